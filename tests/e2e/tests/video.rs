//! Audio and video on one transport: a browser bundles all its streams (RFC 9143).
//!
//! Only chan_pjsip supports bundles, so these tests do not run on hosts used with chan_sip. Firefox calls Chromium,
//! but not itself: in Echo() it requests key frames forever, because Echo() passes on only the first request of a
//! call. That is the same with the host's own modules.

use std::thread;
use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Colours, Phone, Transport};
use e2e::site::{Site, VOICE};
use serde_json::Value;

/// A picture that is red on the left and blue on the right, and the expected measurement of [`Phone::sees`].
const FIRST: (Colours, [usize; 2]) = (["rgb(220, 0, 0)", "rgb(0, 0, 220)"], [0, 2]);

/// A second picture: green and red.
const SECOND: (Colours, [usize; 2]) = (["rgb(0, 200, 0)", "rgb(220, 0, 0)"], [1, 0]);

/// The tone of the second browser.
const OTHER_VOICE: f64 = 1500.0;

#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk whose SIP knows of bundles")]
fn chromium_sees_and_hears_itself() -> Result {
    let lab = Lab::start("video-chromium", &site())?;
    echo(&lab, "video-chromium")?;
    nothing_is_left(&lab)
}

/// Without SSRCs in SDP, the payload type identifies the stream of a packet (RFC 9143 §9.2).
#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk whose SIP knows of bundles")]
fn chromium_that_names_no_sources_sees_and_hears_itself() -> Result {
    let lab = Lab::start("video-unnamed", &site())?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    let (colours, [left, right]) = FIRST;
    phone.call_with_picture_of_unnamed_sources("echo", colours)?;
    over_one_transport(&phone.sees(left, right)?)?;
    phone.hears(VOICE)?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))?;
    nothing_is_left(&lab)
}

#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk whose SIP knows of bundles")]
fn with_the_originals_chromium_sees_and_hears_itself_too() -> Result {
    echo(&Lab::with_originals("video-original", &site())?, "video-original")
}

#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk whose SIP knows of bundles")]
fn chromium_and_firefox_see_and_hear_each_other() -> Result {
    each_other(Browser::Chromium, Browser::Firefox, "video-chromium-firefox")
}

#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk whose SIP knows of bundles")]
fn firefox_and_chromium_see_and_hear_each_other() -> Result {
    each_other(Browser::Firefox, Browser::Chromium, "video-firefox-chromium")
}

#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk whose SIP knows of bundles")]
fn short_calls_with_pictures_leave_nothing_behind() -> Result {
    let lab = Lab::start("video-short", &site())?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    for call in 0..12 {
        phone.call_with_picture("mirror", FIRST.0)?;
        thread::sleep(Duration::from_millis(call * 90));
        phone.hangup()?;
    }
    lab.until_idle(Duration::from_secs(5))?;
    nothing_is_left(&lab)
}

fn site() -> Site {
    Site { video: true, ..Site::default() }
}

fn echo(lab: &Lab, name: &str) -> Result {
    let mut phone = Phone::registered(lab, Browser::Chromium, "1001")?;
    let (colours, [left, right]) = FIRST;
    for _ in 0..2 {
        // The picture is not checked during the announcement.
        phone.call_with_picture("echo", colours)?;
        thread::sleep(Duration::from_secs(5));
        over_one_transport(&phone.sees(left, right)?)?;
        phone.hears(VOICE)?;
        phone.hold()?;
        thread::sleep(Duration::from_secs(2));
        phone.unhold()?;
        phone.hears(VOICE)?;
        println!("{name}: {}, sound {}", phone.sees(left, right)?, phone.statistics()?);
        println!("{}", lab.asterisk().cli("rtp show sessions")?);
        phone.hangup()?;
        lab.until_idle(Duration::from_secs(5))?;
    }
    Ok(())
}

fn each_other(caller: Browser, callee: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &site())?;
    let mut caller = Phone::registered(&lab, caller, "1001")?;
    let mut callee = Phone::with_voice(&lab, callee, "1002", OTHER_VOICE)?;
    callee.register(&lab, Transport::Plain)?;
    let ((first, [first_left, first_right]), (second, [second_left, second_right])) = (FIRST, SECOND);
    for _ in 0..2 {
        caller.dial_with_picture("1002", first)?;
        callee.answer_with_picture(second)?;
        callee.connected(Duration::from_secs(15))?;
        caller.connected(Duration::from_secs(15))?;
        over_one_transport(&callee.sees(first_left, first_right)?)?;
        over_one_transport(&caller.sees(second_left, second_right)?)?;
        callee.hears(VOICE)?;
        caller.hears(OTHER_VOICE)?;
        println!("{name}: {}, {}", caller.look()?, callee.look()?);
        caller.hangup()?;
        callee.until(&["ended"], Duration::from_secs(5))?;
        lab.until_idle(Duration::from_secs(5))?;
    }
    nothing_is_left(&lab)
}

fn over_one_transport(seen: &Value) -> Result {
    ensure(seen["transports"].as_i64() == Some(1), || format!("not over one transport: {seen}"))
}

/// Checks that no session of an ended call is left, and that our modules logged no error.
fn nothing_is_left(lab: &Lab) -> Result {
    let sessions = lab.asterisk().cli("rtp show sessions")?;
    ensure(sessions.contains("0 RTP sessions"), || format!("sessions are left: {sessions}"))?;
    let log = lab.log()?;
    let errors: Vec<&str> = log
        .lines()
        .filter(|line| (line.contains(".rs: ") || line.contains("res_rtp_asterisk.c: ")) && line.contains("ERROR"))
        .collect();
    ensure(errors.is_empty(), || format!("{errors:?}"))
}
