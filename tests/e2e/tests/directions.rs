//! First offers that are not sendrecv: a page that only listens, one that only talks, and one that does neither yet. Each
//! then offers sendrecv, and goes back.

use std::time::Duration;

use e2e::failure::Result;
use e2e::lab::Lab;
use e2e::phone::{Browser, Direction, Library, Phone};
use e2e::proof::{is_heard_by_asterisk, is_not_heard_by_asterisk};
use e2e::site::{MUSIC, Site};

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_chromium_only_listens_at_first() -> Result {
    begins(Direction::RecvOnly, Library::JsSip, Browser::Chromium, "first-recvonly-jssip-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_firefox_only_listens_at_first() -> Result {
    begins(Direction::RecvOnly, Library::JsSip, Browser::Firefox, "first-recvonly-jssip-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_chromium_only_listens_at_first() -> Result {
    begins(Direction::RecvOnly, Library::SipJs, Browser::Chromium, "first-recvonly-sipjs-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_firefox_only_listens_at_first() -> Result {
    begins(Direction::RecvOnly, Library::SipJs, Browser::Firefox, "first-recvonly-sipjs-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_chromium_only_talks_at_first() -> Result {
    begins(Direction::SendOnly, Library::JsSip, Browser::Chromium, "first-sendonly-jssip-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_firefox_only_talks_at_first() -> Result {
    begins(Direction::SendOnly, Library::JsSip, Browser::Firefox, "first-sendonly-jssip-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_chromium_only_talks_at_first() -> Result {
    begins(Direction::SendOnly, Library::SipJs, Browser::Chromium, "first-sendonly-sipjs-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_firefox_only_talks_at_first() -> Result {
    begins(Direction::SendOnly, Library::SipJs, Browser::Firefox, "first-sendonly-sipjs-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_chromium_does_neither_at_first() -> Result {
    begins(Direction::Inactive, Library::JsSip, Browser::Chromium, "first-inactive-jssip-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn jssip_in_firefox_does_neither_at_first() -> Result {
    begins(Direction::Inactive, Library::JsSip, Browser::Firefox, "first-inactive-jssip-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_chromium_does_neither_at_first() -> Result {
    begins(Direction::Inactive, Library::SipJs, Browser::Chromium, "first-inactive-sipjs-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn sipjs_in_firefox_does_neither_at_first() -> Result {
    begins(Direction::Inactive, Library::SipJs, Browser::Firefox, "first-inactive-sipjs-firefox")
}

/// Calls with this direction, offers sendrecv, and offers the first direction again.
fn begins(direction: Direction, library: Library, browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::of_library(&lab, library, browser, "1001")?;
    phone.call_in_direction("music", direction)?;
    flows(&lab, &mut phone, direction)?;
    phone.renegotiate(Direction::SendRecv)?;
    flows(&lab, &mut phone, Direction::SendRecv)?;
    phone.renegotiate(direction)?;
    flows(&lab, &mut phone, direction)?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(10))
}

/// Checks that audio flows in this direction, as the page sees it, and in no other.
fn flows(lab: &Lab, phone: &mut Phone, direction: Direction) -> Result {
    phone.reaches_direction(direction)?;
    match direction {
        Direction::SendRecv | Direction::RecvOnly => phone.hears(MUSIC)?,
        Direction::SendOnly | Direction::Inactive => phone.hears_nothing()?,
    }
    match direction {
        Direction::SendRecv | Direction::SendOnly => is_heard_by_asterisk(lab)?,
        Direction::RecvOnly | Direction::Inactive => is_not_heard_by_asterisk(lab)?,
    }
    phone.lives()
}
