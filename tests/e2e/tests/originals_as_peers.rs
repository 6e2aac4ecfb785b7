//! Asterisk with its own modules, whose ICE is pjnath's, as the phone of an Asterisk with ours, and the other way round.

use std::thread;
use std::time::{Duration, Instant};

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::site::{MUSIC, Protection, Site};

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn it_is_called_over_ice_with_keys_in_the_description() -> Result {
    talk("pjnath-called-sdes", Protection::SdesOverIce, Caller::Ours)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn it_calls_over_ice_with_keys_in_the_description() -> Result {
    talk("pjnath-calls-sdes", Protection::SdesOverIce, Caller::Original)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn it_is_called_over_ice_with_dtls() -> Result {
    talk("pjnath-called-dtls", Protection::DtlsOverIce, Caller::Ours)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn it_calls_over_ice_with_dtls() -> Result {
    talk("pjnath-calls-dtls", Protection::DtlsOverIce, Caller::Original)
}

#[derive(PartialEq, Eq)]
enum Caller {
    Ours,
    Original,
}

/// The caller plays a tone and hears it again from the echo of the other.
fn talk(name: &str, protection: Protection, caller: Caller) -> Result {
    let site = Site { plain: protection, ..Site::default() };
    let ours = Lab::start(name, &site)?;
    let as_phone = Some((ours.ports().plain, ours.ports().sip));
    let original = Lab::with_originals(&format!("{name}-original"), &Site { as_phone, ..site })?;
    let lab = if caller == Caller::Ours { &ours } else { &original };
    lab.originate("2001/echo", "music")?;
    let end = Instant::now() + Duration::from_secs(20);
    let heard = || lab.recorded().map(|recorded| recorded.time_of_tone(MUSIC)).unwrap_or_default();
    while heard() < Duration::from_secs(2) {
        ensure(Instant::now() < end, || {
            format!("the caller heard its tone for {:?}: {}", heard(), ours.directory().display())
        })?;
        thread::sleep(Duration::from_millis(100));
    }
    lab.asterisk().cli("channel request hangup all")?;
    lab.until_idle(Duration::from_secs(5))
}
