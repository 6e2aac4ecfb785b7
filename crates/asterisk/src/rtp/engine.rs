//! The functions that an engine provides to the host. The type that implements [`Engine`] is one media session. The
//! host holds one reference to it for each of its instances, from `new` to `destroy`.

use std::ffi::CStr;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;

use super::{Dtls, Ice, Instance, Property, Statistics};
use crate::{Failed, FrameRef, HostFrame, sys};

/// A media session. The host calls each method inside a fence and with none of our locks held. It serialises the calls
/// of a channel, except `stop`, `remote_address_set` and the statistics, which come from other threads as well.
pub trait Engine: Ice + Dtls + Send + Sync + Sized + 'static {
    /// The name under which the engine registers.
    const NAME: &'static CStr;

    /// Creates a session for a new instance, with sockets on the address `local`; the engine chooses the port.
    fn new(instance: Instance<'_>, local: Option<SocketAddr>) -> Result<Arc<Self>, Failed>;

    /// Ends the session, on any thread. The instance must not be used once this returns.
    fn destroy(self: &Arc<Self>, instance: Instance<'_>);

    /// Sends a frame. Comes for each packet, outside of the fence for cryptography: an engine that uses OpenSSL here frees what OpenSSL
    /// keeps for the thread, as [`fence_crypto`](crate::fence::fence_crypto) does after all other callbacks.
    fn write(&self, instance: Instance<'_>, frame: FrameRef<'_>) -> Result<(), Failed>;

    /// Reads what arrived on a descriptor, outside of the fence for cryptography like [`Self::write`]. `None` makes the host hang up, so
    /// no input from a peer may cause it.
    fn read(&self, instance: Instance<'_>, component: Component) -> Option<HostFrame>;

    /// Stops the media; the instance remains.
    fn stop(&self, instance: Instance<'_>);

    /// The media to be sent begins a new talkspurt: sets the marker on the next packet.
    fn update_source(&self, instance: Instance<'_>);

    /// The media to be sent comes from a new source: changes our SSRC.
    fn change_source(&self, instance: Instance<'_>);

    /// Begins sending a digit (RFC 4733).
    fn dtmf_begin(&self, instance: Instance<'_>, digit: u8) -> Result<(), Failed>;

    /// Ends the digit. `duration_ms` is its length in milliseconds, if known.
    fn dtmf_end(&self, instance: Instance<'_>, digit: u8, duration_ms: Option<u32>) -> Result<(), Failed>;

    /// A property of the instance has changed.
    fn property_set(&self, instance: Instance<'_>, property: Property, value: i32);

    /// SDP has set the peer's address; `None` when there is none (any more).
    fn remote_address_set(&self, instance: Instance<'_>, address: Option<SocketAddr>);

    /// SDP has set a second address from which media may come.
    fn alt_remote_address_set(&self, _instance: Instance<'_>, _address: Option<SocketAddr>) {}

    /// Sets how digits are sent.
    fn dtmf_mode_set(&self, instance: Instance<'_>, mode: DtmfMode) -> Result<(), Failed>;

    /// How digits are sent.
    fn dtmf_mode_get(&self, instance: Instance<'_>) -> DtmfMode;

    /// The statistics of the session; `None` without RTCP.
    fn statistics(&self, instance: Instance<'_>) -> Option<Statistics>;

    /// The SSRC of our packets (RFC 3550 §3).
    fn ssrc(&self, instance: Instance<'_>) -> u32;

    /// The canonical name in our reports (RFC 3550 §6.5.1).
    fn cname(&self, instance: Instance<'_>) -> Option<String>;

    /// Sets the type of service and the class of service of our packets.
    fn qos(&self, instance: Instance<'_>, tos: i32, cos: i32, description: &CStr) -> Result<(), Failed>;

    /// The descriptor that the channel polls; -1 for none. The host keeps the number, so the result never changes.
    fn descriptor(&self, instance: Instance<'_>, component: Component) -> RawFd;

    /// The SDP exchange is complete: media may start.
    fn activate(&self, _instance: Instance<'_>) -> Result<(), Failed> {
        Ok(())
    }

    /// Passes packets on to `peer` from now on, without the channel; `None` ends it. The host calls it for either instance of two
    /// that it bridges, and keeps both during the call. Some hosts hold neither channel's lock.
    fn local_bridge(
        self: &Arc<Self>,
        _instance: Instance<'_>,
        _peer: Option<(&Arc<Self>, Instance<'_>)>,
    ) -> Result<(), Failed> {
        Err(Failed)
    }

    /// Sends comfort noise of this level (RFC 3389).
    fn send_comfort_noise(&self, instance: Instance<'_>, level: i32) -> Result<(), Failed>;

    /// Turns on redundancy for text (RFC 4103), with these payload types, that of the oldest generation first.
    fn redundancy_start(&self, _instance: Instance<'_>, _buffer_ms: i32, _payloads: &[i32]) -> Result<(), Failed> {
        Err(Failed)
    }

    /// Adds text to the next packet.
    fn redundancy_buffer(&self, _instance: Instance<'_>, _frame: FrameRef<'_>) -> Result<(), Failed> {
        Err(Failed)
    }

    /// Sends and receives the stream of this session on the transport of `parent` from now on (RFC 9143), or on its own
    /// again if `parent` is `None`. A host that supports it calls this with each description.
    ///
    /// The caller holds the lock of this instance but not that of the parent, which lives during the call.
    fn bundle(self: &Arc<Self>, _instance: Instance<'_>, _parent: Option<&Arc<Self>>) -> Result<(), Failed> {
        Err(Failed)
    }

    /// SDP has set the SSRC of the peer's packets (RFC 5576 §4.1).
    fn set_remote_ssrc(&self, _instance: Instance<'_>, _ssrc: u32) {}

    /// Sets the number of this stream in its channel, which frames carry.
    fn set_stream_number(&self, _instance: Instance<'_>, _number: i32) {}

    /// Asks a STUN server for our address. Asterisk 11 does not call it for SIP.
    fn stun_request(&self, _instance: Instance<'_>, _to: Option<SocketAddr>, _username: Option<&CStr>) {}
}

/// RTP or RTCP, numbered as ICE components (RFC 8445 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// RTP: media.
    Rtp = 1,
    /// RTCP: control.
    Rtcp = 2,
}

impl Component {
    /// Converts the host's flag: 0 for RTP, anything else for RTCP.
    pub(super) fn from_host(rtcp: std::ffi::c_int) -> Self {
        if rtcp == 0 { Self::Rtp } else { Self::Rtcp }
    }
}

/// How digits are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtmfMode {
    /// Not by the engine.
    None,
    /// As telephone-event (RFC 4733, formerly RFC 2833).
    Rfc2833,
    /// As tones in the audio.
    Inband,
}

impl DtmfMode {
    pub(super) fn from_host(mode: sys::ast_rtp_dtmf_mode) -> Self {
        match mode {
            sys::AST_RTP_DTMF_MODE_RFC2833 => Self::Rfc2833,
            sys::AST_RTP_DTMF_MODE_INBAND => Self::Inband,
            _ => Self::None,
        }
    }

    pub(super) fn to_host(self) -> sys::ast_rtp_dtmf_mode {
        match self {
            Self::None => sys::AST_RTP_DTMF_MODE_NONE,
            Self::Rfc2833 => sys::AST_RTP_DTMF_MODE_RFC2833,
            Self::Inband => sys::AST_RTP_DTMF_MODE_INBAND,
        }
    }
}
