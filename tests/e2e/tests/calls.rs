//! Tests what people do with a phone: receive calls, call each other, press digits, hold, hang up.

use std::thread;
use std::time::Duration;

use e2e::driver::Driver;
use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux, Transport};
use e2e::proof::{EchoCall, heard_by_asterisk};
use e2e::site::{ANNOUNCEMENT, Site, VOICE};

/// The tone of the second browser, different from the first to distinguish it from an echo.
const OTHER_VOICE: f64 = 1500.0;

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_is_called_by_asterisk() -> Result {
    is_called(Browser::Chromium, RtcpMux::Require, "called-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_is_called_by_asterisk() -> Result {
    is_called(Browser::Firefox, RtcpMux::Require, "called-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_that_negotiates_rtcp_mux_is_called() -> Result {
    is_called(Browser::Chromium, RtcpMux::Negotiate, "called-nego-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_that_negotiates_rtcp_mux_is_called() -> Result {
    is_called(Browser::Firefox, RtcpMux::Negotiate, "called-nego-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_lets_it_ring_for_40_seconds_and_answers() -> Result {
    answers_late(Browser::Chromium, "late-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_lets_it_ring_for_40_seconds_and_answers() -> Result {
    answers_late(Browser::Firefox, "late-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_transfers_firefox_to_echo() -> Result {
    let lab = Lab::start("transfer", &Site::default())?;
    let mut chromium = Phone::registered(&lab, Browser::Chromium, "1001")?;
    let mut firefox = Phone::with_voice(&lab, Browser::Firefox, "1002", OTHER_VOICE)?;
    firefox.register(&lab, Transport::Plain)?;
    chromium.dial("1002", RtcpMux::Require)?;
    firefox.answer(RtcpMux::Require)?;
    chromium.connected(Duration::from_secs(15))?;
    chromium.hears(OTHER_VOICE)?;
    chromium.transfer("echo")?;
    firefox.hears(ANNOUNCEMENT)?;
    // The transferring phone ends its own call (RFC 3515 §2.4.5).
    chromium.hangup()?;
    firefox.hears(OTHER_VOICE)?;
    firefox.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_calls_firefox() -> Result {
    each_other(Browser::Chromium, Browser::Firefox, "chromium-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_calls_chromium() -> Result {
    each_other(Browser::Firefox, Browser::Chromium, "firefox-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_holds_and_comes_back() -> Result {
    hold(Browser::Chromium, "hold-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_holds_and_comes_back() -> Result {
    hold(Browser::Firefox, "hold-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn the_dialplan_reads_digits_of_chromium() -> Result {
    digits(Browser::Chromium, "digits-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn the_dialplan_reads_digits_of_firefox() -> Result {
    digits(Browser::Firefox, "digits-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn asterisk_hangs_up_on_chromium() -> Result {
    goodbye(Browser::Chromium, "goodbye-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn asterisk_hangs_up_on_firefox() -> Result {
    goodbye(Browser::Firefox, "goodbye-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_has_audio_after_a_dialplan_that_read_nothing_for_a_minute() -> Result {
    deaf(Browser::Chromium, "deaf-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_has_audio_after_a_dialplan_that_read_nothing_for_a_minute() -> Result {
    deaf(Browser::Firefox, "deaf-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_has_audio_after_ringing_for_40_seconds() -> Result {
    ringing(Browser::Chromium, "ringing-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_has_audio_after_ringing_for_40_seconds() -> Result {
    ringing(Browser::Firefox, "ringing-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_that_was_given_no_microphone_and_hides_its_addresses_calls() -> Result {
    hidden(Browser::Chromium, "hidden-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_that_was_given_no_microphone_and_hides_its_addresses_calls() -> Result {
    hidden(Browser::Firefox, "hidden-firefox")
}

fn is_called(browser: Browser, rtcp: RtcpMux, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    lab.originate("1001", "echo")?;
    phone.answer(rtcp)?;
    phone.connected(Duration::from_secs(15))?;
    EchoCall::SHORT.prove(&lab, &mut phone).map(drop)
}

fn answers_late(browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    lab.originate("1001", "echo")?;
    phone.until(&["ringing"], Duration::from_secs(15))?;
    thread::sleep(Duration::from_secs(40));
    phone.answer(RtcpMux::Require)?;
    phone.connected(Duration::from_secs(15))?;
    EchoCall::SHORT.prove(&lab, &mut phone).map(drop)
}

fn each_other(caller: Browser, callee: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut caller = Phone::registered(&lab, caller, "1001")?;
    let mut callee = Phone::with_voice(&lab, callee, "1002", OTHER_VOICE)?;
    callee.register(&lab, Transport::Plain)?;
    for who_hangs_up in 0..2 {
        caller.dial("1002", RtcpMux::Require)?;
        callee.answer(RtcpMux::Require)?;
        callee.connected(Duration::from_secs(15))?;
        caller.connected(Duration::from_secs(15))?;
        callee.hears(VOICE)?;
        caller.hears(OTHER_VOICE)?;
        caller.is_protected_by("AEAD_AES_128_GCM")?;
        callee.is_protected_by("AEAD_AES_128_GCM")?;
        caller.hold()?;
        thread::sleep(Duration::from_secs(2));
        caller.unhold()?;
        callee.hears(VOICE)?;
        caller.hears(OTHER_VOICE)?;
        let (first, second) = if who_hangs_up == 0 { (&mut caller, &mut callee) } else { (&mut callee, &mut caller) };
        first.hangup()?;
        second.until(&["ended"], Duration::from_secs(5))?;
        lab.until_idle(Duration::from_secs(5))?;
    }
    Ok(())
}

fn hold(browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    EchoCall { hold: true, ..EchoCall::SHORT }.place(&lab, &mut phone, "echo").map(drop)
}

fn digits(browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    phone.call("digits", RtcpMux::Require)?;
    thread::sleep(Duration::from_secs(1));
    phone.dtmf("12*4#9")?;
    // `#` ends the input of the application Read.
    lab.until_logged("digits read: 12*4.", Duration::from_secs(10))?;
    phone.hears(VOICE)?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

fn goodbye(browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    phone.call("goodbye", RtcpMux::Require)?;
    let ended = phone.until(&["ended"], Duration::from_secs(10))?;
    ensure(ended["detail"].as_str().is_some_and(|who| who.starts_with("remote")), || {
        format!("Asterisk did not end the call: {ended}")
    })?;
    lab.until_idle(Duration::from_secs(5))
}

fn deaf(browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    phone.call("deaf", RtcpMux::Require)?;
    thread::sleep(Duration::from_secs(58));
    EchoCall::SHORT.prove(&lab, &mut phone).map(drop)
}

fn ringing(browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    phone.dial("ringing", RtcpMux::Require)?;
    phone.connected(Duration::from_secs(55))?;
    EchoCall::SHORT.prove(&lab, &mut phone).map(drop)
}

/// A browser that hides its addresses writes 0.0.0.0 in SDP. That once meant hold, and still does for `chan_pjsip`,
/// which then asks the browser for audio but sends none.
fn hidden(browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::hidden(&lab, browser, "1001")?;
    phone.register(&lab, Transport::Plain)?;
    match lab.driver() {
        Driver::ChanSip => EchoCall::SHORT.place(&lab, &mut phone, "echo").map(drop),
        Driver::ChanPjsip => {
            phone.call("record", RtcpMux::Require)?;
            thread::sleep(Duration::from_secs(5));
            phone.hangup()?;
            lab.until_idle(Duration::from_secs(5))?;
            heard_by_asterisk(&lab, Duration::from_secs(3))
        }
    }
}
