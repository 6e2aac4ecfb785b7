//! Modules are unloaded and loaded in a running host, and calls work afterwards.

use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux, Transport};
use e2e::proof::EchoCall;
use e2e::site::{Site, VOICE};

/// The names and descriptions, which are those of the originals.
const MODULES: [(&str, &str); 3] = [
    ("res_http_websocket.so", "HTTP WebSocket Support"),
    ("res_srtp.so", "Secure RTP (SRTP)"),
    ("res_rtp_asterisk.so", "Asterisk RTP Stack"),
];

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn the_host_lists_the_three_as_it_lists_the_originals() -> Result {
    let lab = Lab::start("module-show", &Site::default())?;
    let list = lab.asterisk().cli("module show like res_")?;
    for (module, description) in MODULES {
        let listed = list.lines().any(|line| line.starts_with(module) && line.contains(description));
        ensure(listed, || format!("{module} is not listed as {description:?}:\n{list}"))?;
    }
    Ok(())
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn unloaded_and_loaded_twice_and_then_a_call() -> Result {
    let lab = Lab::start("reload", &Site::default())?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    for _ in 0..2 {
        phone.call("echo", RtcpMux::Require)?;
        phone.hears(VOICE)?;
        for module in ["res_srtp.so", "res_rtp_asterisk.so", "res_http_websocket.so"] {
            refuses_to_go(&lab, module)?;
        }
        phone.hears(VOICE)?;
        phone.hangup()?;
        lab.until_idle(Duration::from_secs(5))?;
        // chan_sip keeps a call's instance as long as it may have to repeat the response to its BYE.
        std::thread::sleep(Duration::from_secs(35));

        refuses_to_go(&lab, "res_http_websocket.so")?;
        for module in ["res_srtp.so", "res_rtp_asterisk.so"] {
            goes(&lab, module)?;
            comes(&lab, module)?;
        }
        phone.unregister()?;
        let user = lab.driver().user_of_the_websocket();
        for module in [user, "res_http_websocket.so"] {
            goes(&lab, module)?;
        }
        for module in ["res_http_websocket.so", user] {
            comes(&lab, module)?;
        }
        phone.register(&lab, Transport::Plain)?;
    }
    EchoCall::SHORT.place(&lab, &mut phone, "echo").map(drop)
}

fn goes(lab: &Lab, module: &str) -> Result {
    let answer = lab.asterisk().cli(&format!("module unload {module}"))?;
    ensure(!is_loaded(lab, module)?, || format!("{module} stays: {answer}"))
}

fn refuses_to_go(lab: &Lab, module: &str) -> Result {
    let answer = lab.asterisk().cli(&format!("module unload {module}"))?;
    ensure(is_loaded(lab, module)?, || format!("{module} went: {answer}"))
}

fn comes(lab: &Lab, module: &str) -> Result {
    let answer = lab.asterisk().cli(&format!("module load {module}"))?;
    ensure(is_loaded(lab, module)?, || format!("{module} does not load: {answer}"))
}

fn is_loaded(lab: &Lab, module: &str) -> Result<bool> {
    let list = lab.asterisk().cli(&format!("module show like {module}"))?;
    Ok(list.lines().any(|line| line.starts_with(module)))
}
