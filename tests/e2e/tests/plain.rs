//! A plain SIP phone without ICE, DTLS and SRTP, which also uses our engine.

use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::plain::{PLAIN_VOICE, PlainPhone, Received};
use e2e::site::{ANNOUNCEMENT, Site, VOICE};

const PATIENCE: Duration = Duration::from_secs(40);

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_plain_phone_hears_the_announcement_and_itself() -> Result {
    let lab = Lab::start("plain-echo", &Site::default())?;
    let received = PlainPhone::call(&lab, "echo", Duration::from_secs(10))?.finish(PATIENCE)?;
    heard(&received, ANNOUNCEMENT)?;
    heard(&received, PLAIN_VOICE)?;
    let recorded = lab.recorded()?.time_of_tone(PLAIN_VOICE);
    ensure(recorded > Duration::from_secs(5), || format!("Asterisk recorded {recorded:?} of the phone"))
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_plain_phone_calls_chromium() -> Result {
    calls(Browser::Chromium, "plain-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_plain_phone_calls_firefox() -> Result {
    calls(Browser::Firefox, "plain-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_calls_a_plain_phone() -> Result {
    is_called(Browser::Chromium, "chromium-plain", Duration::from_secs(1))
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_calls_a_plain_phone() -> Result {
    is_called(Browser::Firefox, "firefox-plain", Duration::from_secs(1))
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_talks_to_a_plain_phone_that_rang_for_40_seconds() -> Result {
    is_called(Browser::Chromium, "ring40-plain", Duration::from_secs(40))
}

fn calls(browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    let plain = PlainPhone::call(&lab, "1001", Duration::from_secs(10))?;
    phone.answer(RtcpMux::Require)?;
    phone.connected(Duration::from_secs(15))?;
    phone.hears(PLAIN_VOICE)?;
    phone.until(&["ended"], Duration::from_secs(20))?;
    heard(&plain.finish(PATIENCE)?, VOICE)?;
    lab.until_idle(Duration::from_secs(5))
}

fn is_called(browser: Browser, name: &str, ringing: Duration) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    let plain = PlainPhone::answer(&lab, ringing)?;
    phone.dial("2001", RtcpMux::Require)?;
    phone.connected(ringing + Duration::from_secs(15))?;
    phone.hears(PLAIN_VOICE)?;
    std::thread::sleep(Duration::from_secs(5));
    phone.hangup()?;
    heard(&plain.finish(PATIENCE)?, VOICE)?;
    lab.until_idle(Duration::from_secs(5))
}

fn heard(received: &Received, frequency: f64) -> Result {
    let time = received.audio.time_of_tone(frequency);
    let holds = time >= Duration::from_secs(3) && received.lost == 0;
    ensure(holds, || {
        let (packets, lost) = (received.packets, received.lost);
        format!("the plain phone heard {frequency} Hz for {time:?}, in {packets} packets, {lost} lost")
    })
}
