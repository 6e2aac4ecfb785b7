//! The reason to install our modules: the host's own fail with current browsers.

use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::prefix::Version;
use e2e::proof::EchoCall;
use e2e::site::{Site, VOICE};

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn the_originals_of_11_fail_chromium_at_its_defaults_and_later_ones_do_not() -> Result {
    defaults(Browser::Chromium, "original-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn the_originals_of_11_fail_firefox_at_its_defaults_and_later_ones_do_not() -> Result {
    defaults(Browser::Firefox, "original-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn beside_the_original_res_srtp_chromium_has_audio_with_aes_cm() -> Result {
    beside_the_original_res_srtp(Browser::Chromium, "srtp-original-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn beside_the_original_res_srtp_firefox_has_audio_with_aes_cm() -> Result {
    beside_the_original_res_srtp(Browser::Firefox, "srtp-original-firefox")
}

fn beside_the_original_res_srtp(browser: Browser, name: &str) -> Result {
    let lab = Lab::with_original("res_srtp.so", name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    phone.call("echo", RtcpMux::Require)?;
    phone.hears(VOICE)?;
    phone.is_protected_by("HMAC_SHA1_80")?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

fn defaults(browser: Browser, name: &str) -> Result {
    let lab = Lab::with_originals(name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    match lab.asterisk().version() {
        Version::Eleven => fails(&mut phone),
        Version::Sixteen | Version::TwentyTwo => EchoCall::SHORT.place(&lab, &mut phone, "echo").map(drop),
    }
}

fn fails(phone: &mut Phone) -> Result {
    phone.dial("echo", RtcpMux::Require)?;
    let outcome = phone.until(&["accepted", "failed"], Duration::from_secs(15))?;
    // "RTCP-MUX is not enabled when it is required", says Chromium.
    let refused = outcome["detail"].as_str().is_some_and(|cause| cause.contains("Bad Media Description"));
    ensure(outcome["name"] == "failed" && refused, || format!("the browser took the answer: {outcome}"))
}
