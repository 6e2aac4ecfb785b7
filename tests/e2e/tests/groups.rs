//! Pages whose media sections share a transport (BUNDLE, RFC 9143), or would once an answer has a group, and the `chan_sip` of an
//! Asterisk 11, which has a transport for each section: audio goes on through every change.

use std::thread;
use std::time::{Duration, Instant};

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Colours, Phone, RtcpMux, Transport};
use e2e::site::{Site, VOICE};
use serde_json::json;

/// A picture that is red on the left and blue on the right, and the expected measurement of [`Phone::sees`].
const PICTURE: (Colours, [usize; 2]) = (["rgb(220, 0, 0)", "rgb(0, 0, 220)"], [0, 2]);

/// The tone of the second browser.
const OTHER_VOICE: f64 = 1500.0;

/// JsSIP asks for sessions of 90 s, and Asterisk refreshes them after half of that.
const UNTIL_REFRESHED: Duration = Duration::from_secs(60);

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn firefox_adds_a_camera_in_mid_call_and_removes_it() -> Result {
    adds_a_camera_in_mid_call(Browser::Firefox, "groups-camera-firefox")
}

/// The host has no transport for a picture that joins an encrypted call. The camera is refused, and the call goes on.
#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_adds_a_camera_in_mid_call_and_removes_it() -> Result {
    adds_a_camera_in_mid_call(Browser::Chromium, "groups-camera-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn a_call_in_chromium_outlives_asterisks_refresh_after_a_refused_camera() -> Result {
    outlives_a_refresh(Browser::Chromium, "groups-refresh-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn a_call_in_firefox_outlives_asterisks_refresh_after_a_refused_camera() -> Result {
    outlives_a_refresh(Browser::Firefox, "groups-refresh-firefox")
}

/// A call with audio and video shows that each section has a transport, so the next has no group.
#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_adds_a_camera_after_a_video_call() -> Result {
    let lab = lab("groups-known-chromium")?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    let (colours, [left, right]) = PICTURE;
    phone.call_with_picture("mirror", colours)?;
    phone.sees(left, right)?;
    phone.hears(VOICE)?;
    phone.camera(None)?;
    phone.hears(VOICE)?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))?;
    phone.call("mirror", RtcpMux::Require)?;
    adds_a_camera(&mut phone)?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_calls_with_one_transport() -> Result {
    calls_with_one_transport(Browser::Chromium, "groups-calls-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn firefox_calls_with_one_transport() -> Result {
    calls_with_one_transport(Browser::Firefox, "groups-calls-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn firefox_is_called_with_one_transport() -> Result {
    is_called(Browser::Firefox, Known::No, "groups-called-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_is_called_with_one_transport() -> Result {
    is_called(Browser::Chromium, Known::ByItsCall, "groups-called-chromium")
}

/// Chromium refuses the first call, since it is not known to share a transport, and takes the next.
#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_is_called_again_with_one_transport() -> Result {
    is_called(Browser::Chromium, Known::ByItsRefusal, "groups-again-chromium")
}

/// The way in which the called page has shown its habit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    No,
    ByItsCall,
    ByItsRefusal,
}

fn lab(name: &str) -> Result<Lab> {
    Lab::start(name, &Site { carriers: true, video: true, ..Site::default() })
}

fn adds_a_camera_in_mid_call(browser: Browser, name: &str) -> Result {
    let lab = lab(name)?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    phone.call("mirror", RtcpMux::Require)?;
    adds_a_camera(&mut phone)?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

fn adds_a_camera(phone: &mut Phone) -> Result {
    let (colours, _) = PICTURE;
    phone.hears(VOICE)?;
    for _ in 0..2 {
        phone.camera(Some(colours))?;
        phone.hears(VOICE)?;
        phone.camera(None)?;
        phone.hears(VOICE)?;
    }
    phone.hold()?;
    phone.unhold()?;
    phone.hears(VOICE)?;
    phone.lives()
}

/// The page asks for a session timer, so Asterisk refreshes the call. Its re-INVITE says nothing of the camera that it has refused; a
/// page that got it like that would refuse it, and Asterisk would hang up.
fn outlives_a_refresh(browser: Browser, name: &str) -> Result {
    let lab = lab(name)?;
    let mut phone = Phone::open(&lab, browser, "1001")?.with_options(json!({ "session_timers": true }));
    phone.register(&lab, Transport::Plain)?;
    phone.call("mirror", RtcpMux::Require)?;
    phone.hears(VOICE)?;
    phone.camera(Some(PICTURE.0))?;
    phone.hears(VOICE)?;
    let end = Instant::now() + UNTIL_REFRESHED;
    while !phone.messages()?.iter().any(|message| is_an_invite_to(message, "1001")) {
        ensure(Instant::now() < end, || format!("{name}: Asterisk did not refresh the call in {UNTIL_REFRESHED:?}"))?;
        phone.lives()?;
        thread::sleep(Duration::from_secs(1));
    }
    phone.hears(VOICE)?;
    phone.lives()?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

/// Whether the message is an INVITE of Asterisk's to this account.
fn is_an_invite_to(message: &str, account: &str) -> bool {
    let to = message.lines().find(|line| line.starts_with("To:"));
    message.starts_with("INVITE ") && to.is_some_and(|to| to.contains(&format!("sip:{account}@")))
}

/// First with audio and video, then with audio alone.
fn calls_with_one_transport(browser: Browser, name: &str) -> Result {
    let lab = lab(name)?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    for colours in [Some(PICTURE.0), None] {
        phone.dial_bundled("mirror", colours)?;
        phone.connected(Duration::from_secs(15))?;
        phone.hears(VOICE)?;
        phone.hold()?;
        phone.unhold()?;
        phone.hears(VOICE)?;
        phone.lives()?;
        phone.hangup()?;
        lab.until_idle(Duration::from_secs(5))?;
    }
    Ok(())
}

fn is_called(browser: Browser, known: Known, name: &str) -> Result {
    let lab = lab(name)?;
    let mut caller = Phone::registered(&lab, Browser::Firefox, "1001")?;
    let mut callee = Phone::with_voice(&lab, browser, "1002", OTHER_VOICE)?;
    callee.register(&lab, Transport::Plain)?;
    let (colours, _) = PICTURE;
    match known {
        Known::No => {}
        Known::ByItsCall => {
            callee.dial_bundled("mirror", Some(colours))?;
            callee.connected(Duration::from_secs(15))?;
            callee.hangup()?;
            lab.until_idle(Duration::from_secs(5))?;
        }
        Known::ByItsRefusal => {
            caller.dial_with_picture("1002", colours)?;
            callee.answer_bundled(colours)?;
            let outcome = caller.until(&["failed", "accepted"], Duration::from_secs(15))?;
            ensure(outcome["name"] == "failed", || format!("the first call did not fail: {outcome}"))?;
        }
    }
    caller.dial_with_picture("1002", colours)?;
    callee.answer_bundled(colours)?;
    callee.connected(Duration::from_secs(15))?;
    caller.connected(Duration::from_secs(15))?;
    callee.hears(VOICE)?;
    caller.hears(OTHER_VOICE)?;
    callee.hold()?;
    callee.unhold()?;
    callee.hears(VOICE)?;
    caller.hears(OTHER_VOICE)?;
    caller.hangup()?;
    callee.until(&["ended"], Duration::from_secs(5))?;
    lab.until_idle(Duration::from_secs(5))
}
