//! WebRTC stacks without a browser call Asterisk and are called, with the descriptions that they write themselves.
//!
//! Their errors with chan_sip alone, before descriptions were mended:
//!
//! - aiortc refused the answer ("Media sections in answer do not match offer": no `a=mid`). It supports no RSA certificate, and
//!   no fingerprint by SHA-1, which is all that Asterisk 11.0 writes.
//! - werift refused answers and offers ("mid not assigned"), and without `a=ssrc` it drops all RTP.
//! - webrtcbin refused answers and offers ("missing or contains an empty 'mid' attribute").
//! - libdatachannel connected, and the track of its own call never opened.
//! - str0m refused answers and offers ("Media is missing a=mid"), then `SHA-256` in capitals ("remote fingerprint no match");
//!   without `a=ssrc` it drops all RTP.
//! - werift, libdatachannel and str0m describe a hold with the version in `o=` of the first offer (RFC 3264 §8 wants a greater
//!   one): chan_sip ignores that description, and the call is not held.

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::peer::{self, ACCOUNT, Peer, Stack, is_over};
use e2e::site::{Site, VOICE};

#[test]
#[cfg_attr(not(peers), ignore = "ASTERISK_PREFIX names no Asterisk, or the stack is not installed")]
fn aiortc_calls() -> Result {
    calls(Stack::Aiortc)
}

#[test]
#[cfg_attr(not(peers), ignore = "ASTERISK_PREFIX names no Asterisk, or the stack is not installed")]
fn aiortc_is_called() -> Result {
    is_called(Stack::Aiortc)
}

#[test]
#[cfg_attr(not(peers), ignore = "ASTERISK_PREFIX names no Asterisk, or the stack is not installed")]
fn aiortc_holds_and_comes_back() -> Result {
    holds(Stack::Aiortc)
}

#[test]
#[cfg_attr(not(peers), ignore = "ASTERISK_PREFIX names no Asterisk, or the stack is not installed")]
fn werift_calls() -> Result {
    calls(Stack::Werift)
}

#[test]
#[cfg_attr(not(peers), ignore = "ASTERISK_PREFIX names no Asterisk, or the stack is not installed")]
fn werift_is_called() -> Result {
    is_called(Stack::Werift)
}

#[test]
#[cfg_attr(not(peers), ignore = "ASTERISK_PREFIX names no Asterisk, or the stack is not installed")]
fn werift_holds_and_comes_back() -> Result {
    holds(Stack::Werift)
}

#[test]
#[cfg_attr(not(peers), ignore = "ASTERISK_PREFIX names no Asterisk, or the stack is not installed")]
fn libdatachannel_calls() -> Result {
    calls(Stack::Libdatachannel)
}

#[test]
#[cfg_attr(not(peers), ignore = "ASTERISK_PREFIX names no Asterisk, or the stack is not installed")]
fn libdatachannel_is_called() -> Result {
    is_called(Stack::Libdatachannel)
}

#[test]
#[cfg_attr(not(peers), ignore = "ASTERISK_PREFIX names no Asterisk, or the stack is not installed")]
fn libdatachannel_holds_and_comes_back() -> Result {
    holds(Stack::Libdatachannel)
}

#[test]
#[cfg_attr(not(peers), ignore = "ASTERISK_PREFIX names no Asterisk, or the stack is not installed")]
fn webrtcbin_calls() -> Result {
    calls(Stack::Webrtcbin)
}

#[test]
#[cfg_attr(not(peers), ignore = "ASTERISK_PREFIX names no Asterisk, or the stack is not installed")]
fn webrtcbin_is_called() -> Result {
    is_called(Stack::Webrtcbin)
}

#[test]
#[cfg_attr(not(str0m), ignore = "ASTERISK_PREFIX names no Asterisk, or host-tests is not built")]
fn str0m_calls() -> Result {
    calls(Stack::Str0m)
}

#[test]
#[cfg_attr(not(str0m), ignore = "ASTERISK_PREFIX names no Asterisk, or host-tests is not built")]
fn str0m_is_called() -> Result {
    is_called(Stack::Str0m)
}

#[test]
#[cfg_attr(not(str0m), ignore = "ASTERISK_PREFIX names no Asterisk, or host-tests is not built")]
fn str0m_holds_and_comes_back() -> Result {
    holds(Stack::Str0m)
}

/// A page opens its RTCPeerConnection anew: nothing but ICE tells that it has no keys any more.
#[test]
#[cfg_attr(not(str0m), ignore = "ASTERISK_PREFIX names no Asterisk, or host-tests is not built")]
fn str0m_opens_its_connection_anew_with_the_same_certificate() -> Result {
    changes("anew", Peer::reconnect)
}

/// Third-party call control (RFC 3725).
#[test]
#[cfg_attr(not(str0m), ignore = "ASTERISK_PREFIX names no Asterisk, or host-tests is not built")]
fn str0m_is_replaced_by_another_that_answers_an_offer_of_asterisk() -> Result {
    changes("replaced", Peer::replace)
}

/// RFC 8839 §4.2.5
#[test]
#[cfg_attr(not(str0m), ignore = "ASTERISK_PREFIX names no Asterisk, or host-tests is not built")]
fn str0m_gives_up_ice_and_begins_again() -> Result {
    changes("without-ice", |peer| {
        peer.leave_ice()?;
        peer.hears(VOICE)?;
        peer.reconnect()
    })
}

/// Calls that str0m began and that it answered go on after the change.
fn changes(name: &str, change: impl Fn(&mut Peer) -> Result) -> Result {
    let lab = Lab::start(&format!("str0m-{name}"), &site())?;
    let mut peer = Peer::registered(&lab, Stack::Str0m)?;
    peer.call("echo")?;
    peer.talks()?;
    change(&mut peer)?;
    peer.hears(VOICE)?;
    peer.hangup()?;
    lab.originate(ACCOUNT, "echo")?;
    peer.answer()?;
    peer.talks()?;
    change(&mut peer)?;
    peer.hears(VOICE)?;
    peer.hangup()?;
    is_over(&lab)
}

fn calls(stack: Stack) -> Result {
    let lab = Lab::start(&format!("{}-calls", stack.name()), &site())?;
    let mut peer = Peer::registered(&lab, stack)?;
    peer.call("echo")?;
    peer.talks()?;
    peer.hangup()?;
    is_over(&lab)
}

fn is_called(stack: Stack) -> Result {
    peer::is_called(&Lab::start(&format!("{}-called", stack.name()), &site())?, stack)
}

fn holds(stack: Stack) -> Result {
    let lab = Lab::start(&format!("{}-hold", stack.name()), &site())?;
    let mut peer = Peer::registered(&lab, stack)?;
    peer.call("echo")?;
    peer.talks()?;
    peer.hold()?;
    peer.hears_none_of(&[VOICE])?;
    ensure(is_on_hold(&lab)?, || "chan_sip does not hold the call".to_owned())?;
    peer.unhold()?;
    peer.hears(VOICE)?;
    ensure(!is_on_hold(&lab)?, || "chan_sip still holds the call".to_owned())?;
    peer.hangup()?;
    is_over(&lab)
}

/// The word of `chan_sip` in the column "Hold".
fn is_on_hold(lab: &Lab) -> Result<bool> {
    let channels = lab.asterisk().cli("sip show channels")?;
    let call = channels.lines().find(|line| line.contains(ACCOUNT)).unwrap_or_default();
    Ok(call.split_whitespace().any(|word| word == "Yes"))
}

/// As in the samples, without a certificate of its own: aiortc supports no RSA certificates.
fn site() -> Site {
    Site { without_certificate: true, ..Site::default() }
}
