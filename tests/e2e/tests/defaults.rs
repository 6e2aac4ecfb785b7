//! Pages that leave everything to their library: JsSIP with its session timers, and SIP.js' SimpleUser.

use std::thread;
use std::time::{Duration, Instant};

use e2e::failure::Result;
use e2e::lab::Lab;
use e2e::phone::{Browser, Direction, Library, Phone, RtcpMux, Transport};
use e2e::proof::{EchoCall, is_heard_by_asterisk};
use e2e::site::{MUSIC, Site, VOICE};
use serde_json::json;

/// JsSIP asks for sessions of 90 s and refreshes them after 45 s; a call whose refresh fails ends at 60 s.
const ONE_REFRESH: Duration = Duration::from_secs(70);

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_chromium_refreshes_a_call_from_asterisk() -> Result {
    lives_on_its_defaults(Browser::Chromium, ONE_REFRESH, "refresh-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_firefox_refreshes_a_call_from_asterisk() -> Result {
    lives_on_its_defaults(Browser::Firefox, ONE_REFRESH, "refresh-firefox")
}

#[test]
#[ignore = "two and a half minutes"]
fn jssip_in_chromium_lives_through_three_refreshes() -> Result {
    lives_on_its_defaults(Browser::Chromium, Duration::from_secs(150), "refreshes-chromium")
}

#[test]
#[ignore = "two and a half minutes"]
fn jssip_in_firefox_lives_through_three_refreshes() -> Result {
    lives_on_its_defaults(Browser::Firefox, Duration::from_secs(150), "refreshes-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn a_simple_user_in_chromium_calls_and_holds() -> Result {
    simple_user_calls(Browser::Chromium, "simple-calling-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn a_simple_user_in_firefox_calls_and_holds() -> Result {
    simple_user_calls(Browser::Firefox, "simple-calling-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn a_simple_user_in_chromium_is_called_and_holds() -> Result {
    simple_user_is_called(Browser::Chromium, "simple-called-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn a_simple_user_in_firefox_is_called_and_holds() -> Result {
    simple_user_is_called(Browser::Firefox, "simple-called-firefox")
}

/// Asterisk calls the page, which makes itself the refresher of the session (RFC 4028). The call has audio both ways for as
/// long as `length`.
fn lives_on_its_defaults(browser: Browser, length: Duration, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::open(&lab, browser, "1001")?.with_options(json!({ "session_timers": true }));
    phone.register(&lab, Transport::Plain)?;
    lab.originate("1001", "echo")?;
    phone.answer(RtcpMux::Require)?;
    phone.connected(Duration::from_secs(15))?;
    let end = Instant::now() + length;
    while Instant::now() < end {
        phone.lives()?;
        thread::sleep(Duration::from_secs(1));
    }
    phone.hears(VOICE)?;
    is_heard_by_asterisk(&lab)?;
    let messages = phone.messages()?;
    let refreshes =
        messages.iter().filter(|message| message.starts_with("UPDATE ") || is_an_invite_again(message)).count();
    println!("{name}: {refreshes} refreshes in {length:?}");
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(10))
}

/// Whether the message is a re-INVITE.
fn is_an_invite_again(message: &str) -> bool {
    let to = message.lines().find(|line| line.starts_with("To:"));
    message.starts_with("INVITE ") && to.is_some_and(|to| to.contains(";tag="))
}

fn simple_user_calls(browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::of_library(&lab, Library::SimpleUser, browser, "1001")?;
    EchoCall::SHORT.place(&lab, &mut phone, "echo")?;
    phone.call("music", RtcpMux::Require)?;
    holds_and_hangs_up(&lab, &mut phone)
}

fn simple_user_is_called(browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::of_library(&lab, Library::SimpleUser, browser, "1001")?;
    lab.originate("1001", "music")?;
    phone.answer(RtcpMux::Require)?;
    phone.connected(Duration::from_secs(15))?;
    holds_and_hangs_up(&lab, &mut phone)
}

/// Holds a call with music and comes back, twice.
fn holds_and_hangs_up(lab: &Lab, phone: &mut Phone) -> Result {
    phone.hears(MUSIC)?;
    is_heard_by_asterisk(lab)?;
    for _ in 0..2 {
        phone.hold()?;
        phone.reaches_direction(Direction::SendOnly)?;
        phone.hears_nothing()?;
        phone.unhold()?;
        phone.reaches_direction(Direction::SendRecv)?;
        phone.hears(MUSIC)?;
        is_heard_by_asterisk(lab)?;
        phone.lives()?;
    }
    phone.hangup()?;
    phone.until(&["ended"], Duration::from_secs(10))?;
    lab.until_idle(Duration::from_secs(10))
}
