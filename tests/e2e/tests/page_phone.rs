//! The demo page's devices and list of calls, in Chromium, which has several fake devices.

use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::Browser;
use e2e::site::Site;
use e2e::user::{Microphone, Screen, User};

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn another_microphone_is_used_at_once_and_in_the_next_calls() -> Result {
    let (lab, mut user) = User::registered("page-devices", &Site::default(), Screen::Telephone)?;
    user.notes_connections()?;
    user.calls("echo", "In call with echo")?;
    user.sees_level("hearing", -40, 0)?;
    user.goes_to("devices-summary")?;
    user.presses("Enter")?;
    user.sees_it_all(Screen::Telephone)?;
    let first = user.devices()?;
    let chosen = user.chooses_last("#microphone")?;
    ensure(first["microphone"] != chosen.as_str(), || format!("{first} and {chosen}"))?;
    let speaker = user.chooses_last("#speaker")?;
    ensure(speaker.starts_with("Fake"), || speaker.clone())?;
    is_in_use(&mut user, &chosen)?;
    user.sees_level("hearing", -40, 0)?;
    user.sees_level("speaking", -40, 0)?;
    user.hangs_up(&lab)?;

    // The browser remembers it.
    user.opens_again(&lab)?;
    user.notes_connections()?;
    user.registers(PASSWORD, "Registered as 1001")?;
    user.calls("echo", "In call with echo")?;
    is_in_use(&mut user, &chosen)?;
    user.sees_level("hearing", -40, 0)?;
    user.hangs_up(&lab)?;
    user.met_no_error()
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn the_last_calls_are_listed_and_called_again_and_forgotten() -> Result {
    let (lab, mut user) = User::registered("page-calls", &Site::default(), Screen::Telephone)?;
    user.finds("#calls", "hidden", "")?;
    user.calls("echo", "In call with echo")?;
    user.reads("#clock", "0:02")?;
    user.hangs_up(&lab)?;
    user.calls("busy", "busy was not reached: 486, it is busy")?;
    lab.originate("1001", "echo")?;
    user.is_told("is calling")?;
    user.presses("Escape")?;
    user.is_told("You have declined")?;
    user.sees_it_all(Screen::Telephone)?;
    user.takes_picture("calls")?;
    let all = |user: &mut User| -> Result<Vec<String>> { user.texts("#calls li") };
    let calls = all(&mut user)?;
    ensure(calls.len() == 3 && calls[0].contains("incoming") && calls[0].ends_with("declined"), || {
        format!("{calls:?}")
    })?;
    ensure(calls[1].starts_with("busyoutgoing") && calls[1].ends_with("refused, 486"), || format!("{calls:?}"))?;
    ensure(calls[2].starts_with("echooutgoing") && calls[2].contains("0:0"), || format!("{calls:?}"))?;

    // They are there when the page is opened again; the latest is the first.
    user.opens_again(&lab)?;
    ensure(all(&mut user)? == calls, || format!("{calls:?} is gone"))?;
    user.registers(PASSWORD, "Registered as 1001")?;
    user.calls("goodbye", "goodbye has hung up")?;
    user.goes_to("again")?;
    user.presses("Enter")?;
    user.is_told("In call with goodbye")?;
    user.is_told("goodbye has hung up")?;
    let latest = all(&mut user)?;
    ensure(latest.len() == 5 && latest[0].starts_with("goodbye") && latest[1].starts_with("goodbye"), || {
        format!("{latest:?}")
    })?;
    user.goes_to("clear")?;
    user.presses("Enter")?;
    ensure(all(&mut user)?.is_empty(), || "the list is not empty".to_owned())?;
    user.finds("#calls", "hidden", "")?;
    user.met_no_error()
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn answer_is_for_the_caller_who_was_ringing_and_not_for_the_next_one() -> Result {
    let (lab, mut user) = User::registered("page-callers", &Site::default(), Screen::Desk)?;
    user.hesitates()?;
    lab.originate("1001", "echo")?;
    user.is_told("is calling")?;
    user.goes_to("answer")?;
    user.presses("Enter")?;
    user.is_told("The browser asks for the microphone")?;
    lab.asterisk().cli("channel request hangup all")?;
    user.is_told("has given up")?;
    lab.originate("1001", "echo")?;
    user.is_told("is calling")?;
    user.allows_the_microphone()?;
    std::thread::sleep(Duration::from_secs(1));
    user.reads("#state", "Incoming call")?;
    user.goes_to("answer")?;
    user.presses("Enter")?;
    user.is_told("In call with")?;
    user.sees_level("hearing", -40, 0)?;
    user.hangs_up(&lab)?;
    user.met_no_error()
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn entries_that_are_no_calls_are_left_out_and_without_storage_the_list_lasts_as_long_as_the_page() -> Result {
    let (lab, mut user) = User::registered("page-calls-strange", &Site::default(), Screen::Desk)?;
    let right = r#"{"peer":"right","at":0,"incoming":true,"seconds":null,"result":"missed"}"#;
    let wrong =
        r#"{"peer":"wrong","at":1e300,"seconds":null,"result":""},{"peer":"wrong","at":0,"seconds":"x","result":""}"#;
    user.stores("webrtc-demo-calls", &format!("[{wrong},{right},null,1]"))?;
    user.stores("calls", r#"[{"peer":"other","at":0,"incoming":true,"seconds":null,"result":"missed"}]"#)?;
    user.opens_again(&lab)?;
    let all = user.texts("#calls li")?;
    ensure(all.len() == 1 && all[0].starts_with("right"), || format!("{all:?}"))?;

    user.loses_the_storage()?;
    user.registers(PASSWORD, "Registered as 1001")?;
    for called in ["busy", "nowhere"] {
        user.calls(called, &format!("{called} was not reached"))?;
    }
    let all = user.texts("#calls li")?;
    ensure(all.len() >= 2 && all[0].starts_with("nowhere") && all[1].starts_with("busy"), || format!("{all:?}"))?;
    user.met_no_error()
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn without_callreport_a_report_has_what_the_browser_measured() -> Result {
    let lab = Lab::start("page-report-off", &Site::default())?;
    let mut user = User::open(&lab, Browser::Chromium, Screen::Desk, Microphone::Given)?;
    user.finds("#reporting", "hidden", "")?;
    user.registers(PASSWORD, "Registered as 1001")?;
    user.calls("echo", "In call with echo")?;
    user.sees_level("hearing", -40, 0)?;
    user.hangs_up(&lab)?;
    let text = user.copies_the_report()?;
    for part in [
        "Received audio: audio/PCM",
        "/webrtc/call answers 404. Either it does not know the call, or “callreport = yes”",
    ] {
        ensure(text.contains(part), || format!("{part} is missing in {text}"))?;
    }
    // The report of the next call says nothing of this one.
    for called in ["busy", "nowhere"] {
        user.goes_to("number")?;
        user.calls(called, &format!("{called} was not reached"))?;
    }
    let text = user.copies_the_report()?;
    let is_of_last = text.contains("Registered as 1001.") && text.contains("Calling nowhere");
    ensure(is_of_last && !text.contains("echo") && !text.contains("busy"), || text.clone())?;
    user.met_no_error()
}

const PASSWORD: &str = "demo-1001";

fn is_in_use(user: &mut User, microphone: &str) -> Result {
    // The change takes a moment.
    for _ in 0..50 {
        if user.devices()?["microphone"] == microphone {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let devices = user.devices()?;
    ensure(false, || format!("{devices} in place of {microphone}"))
}
