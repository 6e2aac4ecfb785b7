//! The SIP libraries of today's pages, JsSIP and SIP.js, in both browsers against the `chan_sip` of Asterisk 11: hold.
//!
//! Hold is proved by what is heard at both ends, by the direction that page and Asterisk agreed on, and by Asterisk's own
//! state of the call.

use std::thread;
use std::time::{Duration, Instant};

use e2e::failure::{Failure, Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Direction, Library, Phone, RtcpMux};
use e2e::plain::{PLAIN_VOICE, PlainPhone};
use e2e::site::{MUSIC, Site, VOICE};

/// How long each hold lasts at least.
const HELD: Duration = Duration::from_secs(3);

/// How long both talk after each hold at least.
const TALK: Duration = Duration::from_secs(1);

/// How often each call is held.
const HOLDS: u32 = 2;

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_chromium_calls_and_holds() -> Result {
    calls_and_holds(Library::JsSip, Browser::Chromium, "hold-calling-jssip-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_firefox_calls_and_holds() -> Result {
    calls_and_holds(Library::JsSip, Browser::Firefox, "hold-calling-jssip-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_chromium_calls_and_holds() -> Result {
    calls_and_holds(Library::SipJs, Browser::Chromium, "hold-calling-sipjs-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_firefox_calls_and_holds() -> Result {
    calls_and_holds(Library::SipJs, Browser::Firefox, "hold-calling-sipjs-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_chromium_is_called_and_holds() -> Result {
    is_called_and_holds(Library::JsSip, Browser::Chromium, "hold-called-jssip-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_firefox_is_called_and_holds() -> Result {
    is_called_and_holds(Library::JsSip, Browser::Firefox, "hold-called-jssip-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_chromium_is_called_and_holds() -> Result {
    is_called_and_holds(Library::SipJs, Browser::Chromium, "hold-called-sipjs-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_firefox_is_called_and_holds() -> Result {
    is_called_and_holds(Library::SipJs, Browser::Firefox, "hold-called-sipjs-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipml_in_chromium_calls_and_holds() -> Result {
    calls_and_holds(Library::SipMl, Browser::Chromium, "hold-calling-sipml-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipml_in_chromium_is_called_and_holds() -> Result {
    is_called_and_holds(Library::SipMl, Browser::Chromium, "hold-called-sipml-chromium")
}

fn calls_and_holds(library: Library, browser: Browser, name: &str) -> Result {
    let (lab, mut phone) = ready(library, browser, name)?;
    let plain = PlainPhone::answer(&lab, Duration::from_secs(1))?;
    phone.call("2001", RtcpMux::Require)?;
    holds_and_comes_back(&lab, &mut phone, held_by(library), plain)
}

fn is_called_and_holds(library: Library, browser: Browser, name: &str) -> Result {
    let (lab, mut phone) = ready(library, browser, name)?;
    let plain = PlainPhone::answer(&lab, Duration::from_secs(1))?;
    lab.originate("1001", "2001")?;
    phone.answer(RtcpMux::Require)?;
    phone.connected(Duration::from_secs(15))?;
    holds_and_comes_back(&lab, &mut phone, held_by(library), plain)
}

fn ready(library: Library, browser: Browser, name: &str) -> Result<(Lab, Phone)> {
    let lab = Lab::start(name, &Site::default())?;
    let phone = Phone::of_library(&lab, library, browser, "1001")?;
    Ok((lab, phone))
}

/// The direction of a held call, as the page's browser sees it.
///
/// sipML5 takes its microphone out of the call, so that its browser offers recvonly, and then writes sendonly into its message.
/// An answer that fits both is inactive.
fn held_by(library: Library) -> Direction {
    if library == Library::SipMl { Direction::Inactive } else { Direction::SendOnly }
}

/// Holds a call with a plain phone and comes back, twice, and hangs up.
fn holds_and_comes_back(lab: &Lab, phone: &mut Phone, held: Direction, plain: PlainPhone) -> Result {
    phone.hears(PLAIN_VOICE)?;
    for _ in 0..HOLDS {
        phone.hold()?;
        let began = Instant::now();
        phone.reaches_direction(held)?;
        is_held(lab, true)?;
        phone.hears_nothing()?;
        thread::sleep(HELD.saturating_sub(began.elapsed()));
        phone.unhold()?;
        phone.reaches_direction(Direction::SendRecv)?;
        is_held(lab, false)?;
        phone.hears(PLAIN_VOICE)?;
        thread::sleep(TALK);
        phone.lives()?;
    }
    phone.hangup()?;
    let heard = plain.finish(Duration::from_secs(40))?.audio;
    let (music, voice) = (heard.time_of_tone(MUSIC), heard.time_of_tone(VOICE));
    ensure(music + Duration::from_secs(1) >= HELD * HOLDS, || format!("{music:?} of music on hold in {HOLDS} holds"))?;
    ensure(voice >= Duration::from_secs(3), || format!("the plain phone heard the page for {voice:?}"))?;
    lab.until_idle(Duration::from_secs(10))
}

/// Waits until the host says that the browser's call is on hold and the other party hears music, or neither.
fn is_held(lab: &Lab, held: bool) -> Result {
    let (hold, written) = if held { (" Yes ", "WriteFormat: slin") } else { (" No ", "WriteFormat: ulaw") };
    let (mut calls, mut other) = (String::new(), String::new());
    for _ in 0..50 {
        calls = lab.asterisk().cli("sip show channels")?;
        other = lab.asterisk().cli(&format!("core show channel {}", channel_of(lab, "SIP/2001-")?))?;
        let said = calls.lines().any(|line| line.contains(" 1001 ") && line.contains(hold));
        if said && other.contains(written) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    let wanted = if held { "" } else { "not " };
    Err(Failure::new(format!("the host does not say that the call is {wanted}held:\n{calls}\n{other}")))
}

/// The name of the channel that begins like this.
fn channel_of(lab: &Lab, beginning: &str) -> Result<String> {
    let channels = lab.asterisk().cli("core show channels concise")?;
    let name = channels.lines().filter_map(|line| line.split('!').next()).find(|name| name.starts_with(beginning));
    name.map(str::to_owned).ok_or_else(|| Failure::new(format!("there is no channel {beginning}: {channels}")))
}
