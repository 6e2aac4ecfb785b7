//! A page with a camera offers audio and video to the `chan_sip` of Asterisk 11. Whatever becomes of the picture, both hear
//! each other, or the page is told that its account has no video.

use std::thread;
use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Colours, Library, Phone, RtcpMux};
use e2e::proof::{heard_by_asterisk, is_heard_by_asterisk};
use e2e::site::{ANNOUNCEMENT, Site, VOICE};

/// The picture that the page sends.
const PICTURE: Colours = ["rgb(220, 0, 0)", "rgb(0, 0, 220)"];

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_chromium_offers_video() -> Result {
    offers_video(Library::JsSip, Browser::Chromium, "camera-h264-jssip-chromium")
}

/// Without OpenH264 its payload type 99 is AV1, which the host takes for H.264: see RFC 3551 section 3 on dynamic types.
#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_firefox_offers_video() -> Result {
    offers_video(Library::JsSip, Browser::Firefox, "camera-h264-jssip-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_chromium_offers_video() -> Result {
    offers_video(Library::SipJs, Browser::Chromium, "camera-h264-sipjs-chromium")
}

/// Without OpenH264 its payload type 99 is AV1, which the host takes for H.264: see RFC 3551 section 3 on dynamic types.
#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_firefox_offers_video() -> Result {
    offers_video(Library::SipJs, Browser::Firefox, "camera-h264-sipjs-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_chromium_has_audio_or_is_told_that_there_is_no_video() -> Result {
    has_audio_or_is_told(Library::JsSip, Browser::Chromium, "camera-audio-jssip-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_firefox_has_audio_or_is_told_that_there_is_no_video() -> Result {
    has_audio_or_is_told(Library::JsSip, Browser::Firefox, "camera-audio-jssip-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_chromium_has_audio_or_is_told_that_there_is_no_video() -> Result {
    has_audio_or_is_told(Library::SipJs, Browser::Chromium, "camera-audio-sipjs-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_firefox_has_audio_or_is_told_that_there_is_no_video() -> Result {
    has_audio_or_is_told(Library::SipJs, Browser::Firefox, "camera-audio-sipjs-firefox")
}

fn offers_video(library: Library, browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site { video: true, ..Site::default() })?;
    let mut phone = Phone::of_library(&lab, library, browser, "1001")?;
    phone.call_with_picture("echo", PICTURE)?;
    phone.hears(ANNOUNCEMENT)?;
    phone.hears(VOICE)?;
    thread::sleep(Duration::from_secs(3));
    is_heard_by_asterisk(&lab)?;
    phone.hears(VOICE)?;
    phone.lives()?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(10))?;
    heard_by_asterisk(&lab, Duration::from_secs(3))
}

/// An account without video: the first releases refuse the picture alone, later ones the whole offer. Then the page learns
/// it, and its next call works.
fn has_audio_or_is_told(library: Library, browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::of_library(&lab, library, browser, "1001")?;
    phone.dial_with_picture("echo", PICTURE)?;
    let outcome = phone.until(&["accepted", "failed"], Duration::from_secs(15))?;
    if outcome["name"] == "failed" {
        let refused = phone.messages()?.iter().any(|message| message.starts_with("SIP/2.0 488 "));
        ensure(refused, || format!("the call failed, but not by 488: {outcome}"))?;
        phone.dial("echo", RtcpMux::Require)?;
    }
    phone.connected(Duration::from_secs(15))?;
    phone.hears(ANNOUNCEMENT)?;
    phone.hears(VOICE)?;
    phone.lives()?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(10))
}
