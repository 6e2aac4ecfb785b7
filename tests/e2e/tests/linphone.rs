//! A phone that uses one RTP port for all its calls gets nothing of an earlier call.

use std::thread;
use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::linphone::Linphone;
use e2e::site::{Protection, Site};

/// The line of linphone for a packet that the keys of its call do not fit.
const UNREADABLE: &str = "srtp_unprotect";

#[test]
#[cfg_attr(not(linphone), ignore = "ASTERISK_PREFIX names no Asterisk, or there is no linphonec")]
fn the_second_call_on_a_port_gets_no_packet_of_the_first() -> Result {
    let lab = Lab::start("linphone", &Site { plain: Protection::DtlsOverIce, ..Site::default() })?;
    let mut phone = Linphone::start(&lab)?;
    for _ in 0..2 {
        phone.call(&lab, "echo")?;
        // Longer than two intervals of RTCP.
        thread::sleep(Duration::from_secs(13));
        phone.hangup()?;
    }
    let unreadable = phone.count(UNREADABLE)?;
    ensure(unreadable == 0, || format!("linphone could not read {unreadable} packets: {}", lab.directory().display()))?;
    lab.until_idle(Duration::from_secs(5))
}
