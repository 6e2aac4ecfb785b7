//! `rtp.conf` is read again while a call is up, and the call does not notice.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::plain::{PLAIN_VOICE, PlainPhone};
use e2e::site::Site;

const PATIENCE: Duration = Duration::from_secs(40);

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_call_goes_on_through_five_reloads_of_rtp_conf() -> Result {
    let lab = Lab::start("reloads", &Site::default())?;
    let file = lab.asterisk().home().etc().join("rtp.conf");
    let good = fs::read_to_string(&file)?;
    let phone = PlainPhone::call(&lab, "echo", Duration::from_secs(10))?;
    sleep(Duration::from_secs(2));
    let broken = "[general]\nrtpstart = many\nrtpend = 20\nprobation = 0\nicesupport = perhaps\nrtpstrat = 5\n";
    let other = format!("{good}\nrtcpinterval = 700\nstrictrtp = no\n");
    for content in [Some(&*other), Some(broken), Some("[general\nrtpstart = 7000"), None, Some(&*good)] {
        match content {
            Some(content) => fs::write(&file, content)?,
            None => fs::remove_file(&file)?,
        }
        lab.asterisk().cli("module reload res_rtp_asterisk.so")?;
        sleep(Duration::from_millis(700));
    }
    let received = phone.finish(PATIENCE)?;
    let heard = received.audio.time_of_tone(PLAIN_VOICE);
    ensure(heard >= Duration::from_secs(3) && received.lost == 0, || {
        format!("the phone heard itself for {heard:?}, and {} packets were lost", received.lost)
    })?;
    for said in
        ["rtpstart = 'many'", "probation = '0'", "icesupport = 'perhaps'", "unknown key 'rtpstrat'", "settings stay"]
    {
        lab.until_logged(said, Duration::from_secs(5))?;
    }
    Ok(())
}
