//! Opus and VP8 through the `chan_sip` of an Asterisk 11 that knows neither: they travel as G.719 and MPEG-4. Without translators for
//! Opus, as here, a call is between browsers, or one that the dialplan only passes on.

use std::thread;
use std::time::{Duration, Instant};

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Colours, Phone, RtcpMux, Transport};
use e2e::site::{Site, VOICE};
use serde_json::{Value, json};

/// A picture that is red on the left and blue on the right, and the expected measurement of [`Phone::sees`].
const FIRST: (Colours, [usize; 2]) = (["rgb(220, 0, 0)", "rgb(0, 0, 220)"], [0, 2]);

/// A second picture: green and red.
const SECOND: (Colours, [usize; 2]) = (["rgb(0, 200, 0)", "rgb(220, 0, 0)"], [1, 0]);

/// The tone of the second browser.
const OTHER_VOICE: f64 = 1500.0;

/// The most time after a hold until a decoder has pictures again, on a machine that does other things too. A browser sends a whole
/// picture by itself only when it is asked for one.
const AGAIN: Duration = Duration::from_secs(8);

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_hears_itself_in_opus() -> Result {
    echo(Browser::Chromium, "carriers-echo-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn firefox_hears_itself_in_opus() -> Result {
    echo(Browser::Firefox, "carriers-echo-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_calls_firefox_in_opus_and_vp8() -> Result {
    each_other(Browser::Chromium, Browser::Firefox, "carriers-chromium-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn firefox_calls_chromium_in_opus_and_vp8() -> Result {
    each_other(Browser::Firefox, Browser::Chromium, "carriers-firefox-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn the_dialplan_reads_digits_of_chromium_beside_opus() -> Result {
    digits(Browser::Chromium, "carriers-digits-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn the_dialplan_reads_digits_of_firefox_beside_opus() -> Result {
    digits(Browser::Firefox, "carriers-digits-firefox")
}

fn lab(name: &str, video: bool) -> Result<Lab> {
    Lab::start(name, &Site { carriers: true, video, ..Site::default() })
}

fn echo(browser: Browser, name: &str) -> Result {
    let lab = lab(name, false)?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    phone.call("mirror", RtcpMux::Require)?;
    phone.hears(VOICE)?;
    phone.hold()?;
    phone.unhold()?;
    phone.hears(VOICE)?;
    let statistics = phone.statistics()?;
    uses(&statistics, "audio/opus")?;
    let lost = statistics["packetsLost"].as_f64().unwrap_or(f64::MAX);
    ensure(lost <= 5.0, || format!("{lost} packets were lost: {statistics}"))?;
    let sessions = lab.asterisk().cli("rtp show sessions")?;
    println!("{name}: {statistics}\n{sessions}");
    ensure(sessions.contains("Opus (G.719 to Asterisk)"), || format!("it is not called Opus: {sessions}"))?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

fn each_other(caller: Browser, callee: Browser, name: &str) -> Result {
    let lab = lab(name, true)?;
    let mut caller = Phone::registered(&lab, caller, "1001")?;
    let mut callee = Phone::with_voice(&lab, callee, "1002", OTHER_VOICE)?;
    callee.register(&lab, Transport::Plain)?;
    let ((first, [first_left, first_right]), (second, [second_left, second_right])) = (FIRST, SECOND);
    caller.dial_with_picture("1002", first)?;
    callee.answer_with_picture(second)?;
    callee.connected(Duration::from_secs(15))?;
    caller.connected(Duration::from_secs(15))?;
    uses(&callee.sees(first_left, first_right)?, "video/VP8")?;
    uses(&caller.sees(second_left, second_right)?, "video/VP8")?;
    callee.hears(VOICE)?;
    caller.hears(OTHER_VOICE)?;
    uses(&caller.statistics()?, "audio/opus")?;
    uses(&callee.statistics()?, "audio/opus")?;
    caller.hold()?;
    thread::sleep(Duration::from_secs(2));
    caller.unhold()?;
    let resumed = Instant::now();
    let times = [has_pictures_again(&mut caller, resumed)?, has_pictures_again(&mut callee, resumed)?];
    println!("{name}: pictures again after {times:?}");
    callee.sees(first_left, first_right)?;
    caller.sees(second_left, second_right)?;
    callee.hears(VOICE)?;
    caller.hears(OTHER_VOICE)?;
    println!("{name}: {}, {}", caller.look()?, callee.look()?);
    caller.hangup()?;
    callee.until(&["ended"], Duration::from_secs(5))?;
    lab.until_idle(Duration::from_secs(5))
}

/// Waits until new frames are decoded, and returns how long after the end of the hold that was.
fn has_pictures_again(phone: &mut Phone, resumed: Instant) -> Result<Duration> {
    let decoded = |phone: &mut Phone| phone.look().map(|seen| seen["decoded"].as_i64().unwrap_or(0));
    let before = decoded(phone)?;
    while resumed.elapsed() < AGAIN {
        if decoded(phone)? > before {
            return Ok(resumed.elapsed());
        }
        thread::sleep(Duration::from_millis(50));
    }
    ensure(false, || format!("no picture for {AGAIN:?} after the hold"))?;
    Ok(AGAIN)
}

fn digits(browser: Browser, name: &str) -> Result {
    let lab = lab(name, false)?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    phone.call("digits", RtcpMux::Require)?;
    thread::sleep(Duration::from_secs(1));
    phone.dtmf("12*4#")?;
    lab.until_logged("digits read: 12*4.", Duration::from_secs(10))?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

/// Checks the format in both directions.
fn uses(statistics: &Value, codec: &str) -> Result {
    ensure(statistics["codecs"] == json!([codec, codec]), || format!("it does not use {codec}: {statistics}"))
}
