//! What an engine does for the host. The type that implements it is one media session; the host holds one reference to it
//! for each of its instances, from `new` to `destroy`.

use std::ffi::CStr;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;

use super::{Dtls, Ice, Instance, Statistics};
use crate::{Failed, FrameRef, HostFrame, sys};

/// A media session, as the host drives it. Every call arrives inside a fence, with none of our locks held; the host
/// serialises the calls of a channel, but `stop`, `remote_address_set` and the statistics come from other threads too.
pub trait Engine: Ice + Dtls + Send + Sync + Sized + 'static {
    /// The engine's name among those registered.
    const NAME: &'static CStr;

    /// Whether calls may use OpenSSL, which then has to let go of the host's thread after each.
    const CRYPTO: bool = true;

    /// A session for a new instance, with sockets on that local address, whose port is not chosen yet.
    fn new(instance: Instance<'_>, local: Option<SocketAddr>) -> Result<Arc<Self>, Failed>;

    /// The instance goes, on whatever thread that happens; nothing may touch it once this returns.
    fn destroy(self: &Arc<Self>, instance: Instance<'_>);

    /// Sends a frame.
    fn write(&self, instance: Instance<'_>, frame: FrameRef<'_>) -> Result<(), Failed>;

    /// Takes what arrived on a descriptor. `None` makes the host hang up, so nothing that a peer sends may lead to it.
    fn read(&self, instance: Instance<'_>, component: Component) -> Option<HostFrame>;

    /// Media ends; the instance stays.
    fn stop(&self, instance: Instance<'_>);

    /// What we send begins a new talkspurt: the marker is due.
    fn update_source(&self, instance: Instance<'_>);

    /// What we send comes from somewhere else now: a new SSRC.
    fn change_source(&self, instance: Instance<'_>);

    /// A digit begins (RFC 4733).
    fn dtmf_begin(&self, instance: Instance<'_>, digit: u8) -> Result<(), Failed>;

    /// And ends, after so long if that is known.
    fn dtmf_end(&self, instance: Instance<'_>, digit: u8, duration_ms: Option<u32>) -> Result<(), Failed>;

    /// A property changed.
    fn property_set(&self, instance: Instance<'_>, property: Property, value: i32);

    /// SDP names the peer's address; `None` when there is none (any more).
    fn remote_address_set(&self, instance: Instance<'_>, address: Option<SocketAddr>);

    /// SDP names a second one that media may come from.
    fn alt_remote_address_set(&self, _instance: Instance<'_>, _address: Option<SocketAddr>) {}

    /// How digits travel.
    fn dtmf_mode_set(&self, instance: Instance<'_>, mode: DtmfMode) -> Result<(), Failed>;

    /// How digits travel.
    fn dtmf_mode_get(&self, instance: Instance<'_>) -> DtmfMode;

    /// The counts; `None` without RTCP.
    fn statistics(&self, instance: Instance<'_>) -> Option<Statistics>;

    /// The source that our packets name (RFC 3550 §3).
    fn ssrc(&self, instance: Instance<'_>) -> u32;

    /// The canonical name in our reports (RFC 3550 §6.5.1).
    fn cname(&self, instance: Instance<'_>) -> Option<String>;

    /// Marks packets for the network.
    fn qos(&self, instance: Instance<'_>, tos: i32, cos: i32, description: &CStr) -> Result<(), Failed>;

    /// What the channel polls; -1 for none. The host keeps the number, so the answer never changes.
    fn descriptor(&self, instance: Instance<'_>, component: Component) -> RawFd;

    /// SDP is complete: media may start.
    fn activate(&self, _instance: Instance<'_>) -> Result<(), Failed> {
        Ok(())
    }

    /// Sends comfort noise of this level (RFC 3389).
    fn send_comfort_noise(&self, instance: Instance<'_>, level: i32) -> Result<(), Failed>;

    /// Text is to be sent with redundancy (RFC 4103) in these payload types, the oldest generation first.
    fn redundancy_start(&self, _instance: Instance<'_>, _buffer_ms: i32, _payloads: &[i32]) -> Result<(), Failed> {
        Err(Failed)
    }

    /// Text for the next packet.
    fn redundancy_buffer(&self, _instance: Instance<'_>, _frame: FrameRef<'_>) -> Result<(), Failed> {
        Err(Failed)
    }

    /// The stream of this session comes and goes over the transport of `parent` from now on (RFC 9143); over its own again
    /// when there is none. Who knows of it says which parent with each description.
    ///
    /// The caller has the lock of this instance, not that of the parent, which stays for the call.
    fn bundle(self: &Arc<Self>, _instance: Instance<'_>, _parent: Option<&Arc<Self>>) -> Result<(), Failed> {
        Err(Failed)
    }

    /// SDP names the source that the peer sends (RFC 5576 §4.1).
    fn set_remote_ssrc(&self, _instance: Instance<'_>, _ssrc: u32) {}

    /// Which stream of its channel it is; frames say so.
    fn set_stream_number(&self, _instance: Instance<'_>, _number: i32) {}

    /// The host wants to be seen by a STUN server. Nothing in Asterisk 11 asks for it on behalf of SIP.
    fn stun_request(&self, _instance: Instance<'_>, _to: Option<SocketAddr>, _username: Option<&CStr>) {}
}

/// RTP or RTCP: the numbers are those of ICE components (RFC 8445 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Media.
    Rtp = 1,
    /// Control.
    Rtcp = 2,
}

impl Component {
    /// The host says 0 for media and anything else for control.
    pub(super) fn from_host(rtcp: std::ffi::c_int) -> Self {
        if rtcp == 0 { Self::Rtp } else { Self::Rtcp }
    }
}

/// The value of [`Property::Rtcp`] by which hosts that negotiate `a=rtcp-mux` say that it was.
pub const RTCP_ON_ONE_PORT: i32 = 2;

/// What can be set on an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// Send to where media comes from.
    Nat,
    /// telephone-event is in use.
    Dtmf,
    /// The peer sends digits in a way that needs mending.
    DtmfCompensate,
    /// STUN answers are wanted.
    Stun,
    /// RTCP: 0 for off, 1 for on, [`RTCP_ON_ONE_PORT`] for on and negotiated to come and go with RTP (RFC 5761).
    Rtcp,
}

impl Property {
    pub(super) fn from_host(property: sys::ast_rtp_property) -> Option<Self> {
        Some(match property {
            sys::AST_RTP_PROPERTY_NAT => Self::Nat,
            sys::AST_RTP_PROPERTY_DTMF => Self::Dtmf,
            sys::AST_RTP_PROPERTY_DTMF_COMPENSATE => Self::DtmfCompensate,
            sys::AST_RTP_PROPERTY_STUN => Self::Stun,
            sys::AST_RTP_PROPERTY_RTCP => Self::Rtcp,
            _ => return None,
        })
    }

    pub(super) fn to_host(self) -> sys::ast_rtp_property {
        match self {
            Self::Nat => sys::AST_RTP_PROPERTY_NAT,
            Self::Dtmf => sys::AST_RTP_PROPERTY_DTMF,
            Self::DtmfCompensate => sys::AST_RTP_PROPERTY_DTMF_COMPENSATE,
            Self::Stun => sys::AST_RTP_PROPERTY_STUN,
            Self::Rtcp => sys::AST_RTP_PROPERTY_RTCP,
        }
    }
}

/// How digits travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtmfMode {
    /// Not here.
    None,
    /// As telephone-event (RFC 4733, once RFC 2833).
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
