//! A WebRTC stack without a browser calls Asterisk 22 and is called. Of the stacks that `peers` has meet Asterisk 11, the others do
//! not understand `chan_pjsip`'s descriptions: libdatachannel refuses `a=rtcp-fb:*` (`findings/rtcp-fb-wildcard.sh`), str0m
//! `SHA-256` in capitals (`findings/str0m-fingerprint.sh`), and werift and webrtcbin write `c=IN IP4 0.0.0.0`, which `chan_pjsip`
//! answers as a hold.

use e2e::failure::Result;
use e2e::lab::Lab;
use e2e::peer::{Peer, Stack, is_called, is_over};
use e2e::site::{Site, VOICE};

#[test]
#[cfg_attr(not(all(bundles, aiortc)), ignore = "ASTERISK_PREFIX names no Asterisk 22, or aiortc is not installed")]
fn aiortc_calls_holds_and_comes_back() -> Result {
    let lab = lab("aiortc-calls")?;
    let mut peer = Peer::registered(&lab, Stack::Aiortc)?;
    peer.call("echo")?;
    peer.talks()?;
    peer.hold()?;
    peer.hears_none_of(&[VOICE])?;
    peer.unhold()?;
    peer.hears(VOICE)?;
    peer.hangup()?;
    is_over(&lab)
}

#[test]
#[cfg_attr(not(all(bundles, aiortc)), ignore = "ASTERISK_PREFIX names no Asterisk 22, or aiortc is not installed")]
fn aiortc_is_called() -> Result {
    is_called(&lab("aiortc-called")?, Stack::Aiortc)
}

/// Asterisk makes an elliptic-curve certificate: aiortc supports no RSA certificates.
fn lab(name: &str) -> Result<Lab> {
    Lab::start(name, &Site { without_certificate: true, ..Site::default() })
}
