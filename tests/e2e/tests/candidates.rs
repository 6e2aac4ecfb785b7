//! Offers without candidates, which come later in INFO (RFC 8840), and pages whose only candidates are mDNS names.

use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Checks, Direction, Library, Phone, Transport};
use e2e::proof::is_heard_by_asterisk;
use e2e::site::{ANNOUNCEMENT, MUSIC, Site, VOICE};

/// The longest time from the first candidate to audio. An idle machine takes less than 300 ms, a busy one may take this long.
const SOON: Duration = Duration::from_secs(3);

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_chromium_sends_its_candidates_later() -> Result {
    trickles(Checks::OfBoth, Library::JsSip, Browser::Chromium, "trickle-jssip-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn asterisk_finds_jssip_in_chromium_by_candidates_that_came_later() -> Result {
    trickles(Checks::OfTheHost, Library::JsSip, Browser::Chromium, "trickle-found-jssip-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_firefox_sends_its_candidates_later() -> Result {
    trickles(Checks::OfBoth, Library::JsSip, Browser::Firefox, "trickle-jssip-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn asterisk_finds_jssip_in_firefox_by_candidates_that_came_later() -> Result {
    trickles(Checks::OfTheHost, Library::JsSip, Browser::Firefox, "trickle-found-jssip-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_chromium_sends_its_candidates_later() -> Result {
    trickles(Checks::OfBoth, Library::SipJs, Browser::Chromium, "trickle-sipjs-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn asterisk_finds_sipjs_in_chromium_by_candidates_that_came_later() -> Result {
    trickles(Checks::OfTheHost, Library::SipJs, Browser::Chromium, "trickle-found-sipjs-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_firefox_sends_its_candidates_later() -> Result {
    trickles(Checks::OfBoth, Library::SipJs, Browser::Firefox, "trickle-sipjs-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn asterisk_finds_sipjs_in_firefox_by_candidates_that_came_later() -> Result {
    trickles(Checks::OfTheHost, Library::SipJs, Browser::Firefox, "trickle-found-sipjs-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_chromium_only_listens_and_hides_its_addresses() -> Result {
    hidden(Library::JsSip, Browser::Chromium, "mdns-jssip-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_firefox_only_listens_and_hides_its_addresses() -> Result {
    hidden(Library::JsSip, Browser::Firefox, "mdns-jssip-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_chromium_only_listens_and_hides_its_addresses() -> Result {
    hidden(Library::SipJs, Browser::Chromium, "mdns-sipjs-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_firefox_only_listens_and_hides_its_addresses() -> Result {
    hidden(Library::SipJs, Browser::Firefox, "mdns-sipjs-firefox")
}

fn trickles(checks: Checks, library: Library, browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::of_library(&lab, library, browser, "1001")?;
    phone.call_without_candidates("echo", checks)?;
    let took = phone.trickle()?;
    println!("{name}: audio {took:?} after the first candidate");
    ensure(took < SOON, || format!("the first audio came {took:?} after the first candidate"))?;
    phone.hears(ANNOUNCEMENT)?;
    phone.hears(VOICE)?;
    is_heard_by_asterisk(&lab)?;
    let answers = phone.messages()?.into_iter().filter(|message| message.starts_with("SIP/2.0") && is_of_info(message));
    let answers: Vec<_> = answers.map(|message| message.lines().next().unwrap_or_default().to_owned()).collect();
    ensure(answers.iter().all(|answer| answer.starts_with("SIP/2.0 200 ")) && answers.len() == 2, || {
        format!("the answers to INFO are {answers:?}")
    })?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(10))
}

fn is_of_info(message: &str) -> bool {
    message.lines().any(|line| line.starts_with("CSeq:") && line.ends_with(" INFO"))
}

/// A page without permission for a microphone offers mDNS names in place of its addresses (RFC 8828). The host learns where
/// it is from its checks.
fn hidden(library: Library, browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::hidden(&lab, browser, "1001")?.using(library);
    phone.register(&lab, Transport::Plain)?;
    phone.call_in_direction("music", Direction::RecvOnly)?;
    phone.hears(MUSIC)?;
    let messages = phone.messages()?;
    let offers = messages.iter().filter(|message| message.starts_with("INVITE "));
    let candidates: Vec<_> =
        offers.flat_map(|offer| offer.lines()).filter(|line| line.starts_with("a=candidate:")).collect();
    let hides = !candidates.is_empty() && candidates.iter().all(|candidate| candidate.contains(".local "));
    ensure(hides, || format!("the page's candidates are {candidates:?}"))?;
    phone.lives()?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(10))
}
