//! baresip calls Asterisk and is called, by SIP over UDP, with the protections of media that `chan_sip` and it have in common.
//!
//! With DTLS baresip 1.0.0 has `a=setup` and `a=fingerprint` at session level; in the m-section it repeats them only in an
//! answer without ICE. `chan_sip` of Asterisk 11 rejects a description whose m-section lacks them, whatever the modules are:
//! "Rejecting secure audio stream without encryption details". So DTLS is tried with such an answer alone.

use std::time::Duration;

use e2e::baresip::{Baresip, VOICE};
use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::RtcpMux;
use e2e::site::{MUSIC, Protection, Site};
use e2e::talker::{self, Talker};

#[test]
#[cfg_attr(not(baresip), ignore = "ASTERISK_PREFIX names no Asterisk, or there is no baresip")]
fn it_is_called_with_dtls_alone() -> Result {
    is_called("baresip-called-dtls", Protection::Dtls, RtcpMux::Negotiate)
}

#[test]
#[cfg_attr(not(baresip), ignore = "ASTERISK_PREFIX names no Asterisk, or there is no baresip")]
fn it_calls_over_ice_with_keys_in_the_description() -> Result {
    calls("baresip-calls-sdes", Protection::SdesOverIce, RtcpMux::Negotiate)
}

#[test]
#[cfg_attr(not(baresip), ignore = "ASTERISK_PREFIX names no Asterisk, or there is no baresip")]
fn it_is_called_over_ice_with_keys_in_the_description() -> Result {
    is_called("baresip-called-sdes", Protection::SdesOverIce, RtcpMux::Negotiate)
}

const A_WHILE: Duration = Duration::from_millis(500);

#[test]
#[cfg_attr(not(baresip), ignore = "ASTERISK_PREFIX names no Asterisk, or there is no baresip")]
fn it_holds_presses_digits_and_transfers() -> Result {
    let lab = Lab::start("baresip-plain", &talker::site())?;
    let mut callee = Talker::new(&lab, "callee", 1000.0)?;
    let phone = Baresip::plain(&lab)?;
    let sip = format!("127.0.0.1:{}", lab.ports().sip);
    phone.tell(&lab, "dial", &format!("sip:core-{}@{sip}", callee.phone.port()))?;
    callee.is_called()?;
    callee.hears(VOICE, A_WHILE)?;
    phone.tell(&lab, "hold", "")?;
    callee.hears(MUSIC, A_WHILE)?;
    phone.tell(&lab, "resume", "")?;
    callee.hears(VOICE, A_WHILE)?;
    phone.tell(&lab, "sndcode", "704")?;
    callee.has_digits(3)?;
    ensure(callee.digits() == [7, 0, 4], || format!("the callee was sent {:?}", callee.digits()))?;
    phone.tell(&lab, "reinvite", "")?;
    callee.hears(VOICE, A_WHILE)?;
    phone.tell(&lab, "transfer", &format!("sip:tone@{sip}"))?;
    callee.hears(440.0, A_WHILE)?;
    callee.phone.bye()?;
    lab.until_idle(Duration::from_secs(5))
}

fn calls(name: &str, protection: Protection, mux: RtcpMux) -> Result {
    let lab = Lab::start(name, &site(protection))?;
    let _phone = Baresip::call(&lab, "music", protection, mux)?;
    hears_itself(&lab)
}

fn is_called(name: &str, protection: Protection, mux: RtcpMux) -> Result {
    let lab = Lab::start(name, &site(protection))?;
    let phone = Baresip::start(&lab, protection, mux)?;
    lab.originate("2001", "music")?;
    phone.until_connected()?;
    hears_itself(&lab)
}

/// With DTLS it offers the profile with feedback, whatever it is configured for.
fn site(protection: Protection) -> Site {
    Site { plain: protection, plain_has_feedback: protection.is_dtls(), ..Site::default() }
}

/// Asterisk hears its own tone, which the phone returns.
fn hears_itself(lab: &Lab) -> Result {
    let end = std::time::Instant::now() + Duration::from_secs(10);
    let heard = || lab.recorded().map(|recorded| recorded.time_of_tone(MUSIC)).unwrap_or_default();
    while heard() < Duration::from_secs(2) {
        ensure(std::time::Instant::now() < end, || {
            format!("Asterisk heard its tone for {:?}: {}", heard(), lab.directory().display())
        })?;
        std::thread::sleep(Duration::from_millis(100));
    }
    lab.asterisk().cli("channel request hangup all")?;
    lab.until_idle(Duration::from_secs(5))
}
