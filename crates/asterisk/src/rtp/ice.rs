//! The ICE functions of an engine (RFC 8445), and the conversion of candidates to and from C.

use std::ffi::{CString, c_char, c_void};
use std::net::SocketAddr;
use std::ptr;

use super::Instance;
use super::held::{Held, with};
use crate::host::{self, objects};
use crate::{SockAddr, log, sockaddr, sys};

/// The ICE functions of a session, called by the host with values from SDP.
pub trait Ice {
    /// Sets the peer's username fragment and password. They may come one at a time, and again with every SDP.
    fn set_authentication(&self, instance: Instance<'_>, ufrag: Option<&str>, password: Option<&str>);

    /// Adds a candidate of the peer.
    fn add_remote_candidate(&self, instance: Instance<'_>, candidate: &Candidate);

    /// All candidates of the peer have been added: checks may start.
    fn start(&self, instance: Instance<'_>);

    /// Stops ICE: the peer does not support it.
    fn stop(&self, instance: Instance<'_>);

    /// Our username fragment for SDP; `None` without ICE.
    fn ufrag(&self, instance: Instance<'_>) -> Option<String>;

    /// Our password for SDP; `None` without ICE.
    fn password(&self, instance: Instance<'_>) -> Option<String>;

    /// Our candidates for SDP; `None` without ICE. An empty list has chan_sip print ufrag and password nevertheless.
    fn local_candidates(&self, instance: Instance<'_>) -> Option<Vec<Candidate>>;

    /// The peer is a lite agent (RFC 8445 §2.5).
    fn set_lite(&self, instance: Instance<'_>);

    /// Sets our role. Hosts before 11.11 never call this.
    fn set_role(&self, instance: Instance<'_>, role: Role);
}

/// Our role: which side nominates (RFC 8445 §6.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The peer nominates.
    Controlled,
    /// We nominate.
    Controlling,
}

/// A candidate as in SDP (RFC 8839 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Equal for candidates of one kind, base and server (RFC 8445 §5.1.1.3).
    pub foundation: String,
    /// 1 for RTP, 2 for RTCP.
    pub component: u32,
    /// The transport protocol, usually "udp".
    pub transport: String,
    /// The priority: larger ones are preferred.
    pub priority: u32,
    /// The transport address.
    pub address: SocketAddr,
    /// The related address (`raddr` and `rport`), from which it was derived.
    pub related: Option<SocketAddr>,
    /// The type of the candidate.
    pub kind: CandidateKind,
}

/// The type of a candidate: how it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateKind {
    /// An address of the machine itself.
    Host,
    /// Our address as seen by a STUN server or the peer.
    ServerReflexive,
    /// An address at a TURN server.
    Relayed,
}

impl Candidate {
    /// Converts from the host; `None` if the host could not parse the address: a name, or too long for chan_sip.
    fn from_host(host: &sys::ast_rtp_engine_ice_candidate) -> Option<Self> {
        // SAFETY: null or strings that live during the call.
        let text = |raw: *const c_char| unsafe { log::text(raw) }.unwrap_or_default().to_owned();
        Some(Self {
            foundation: text(host.foundation),
            component: host.id,
            transport: text(host.transport),
            // chan_sip stores the unsigned 32 bits in an int.
            priority: host.priority.cast_unsigned(),
            address: sockaddr::from_host(&host.address)?,
            related: sockaddr::from_host(&host.relay_address),
            kind: match host.type_ {
                sys::AST_RTP_ICE_CANDIDATE_TYPE_SRFLX => CandidateKind::ServerReflexive,
                sys::AST_RTP_ICE_CANDIDATE_TYPE_RELAYED => CandidateKind::Relayed,
                _ => CandidateKind::Host,
            },
        })
    }

    /// Copies it into an object of the host, with strings that [`forget_candidate`] frees. Null if out of memory.
    fn to_host(&self) -> *mut sys::ast_rtp_engine_ice_candidate {
        let size = size_of::<sys::ast_rtp_engine_ice_candidate>();
        // SAFETY: the destructor frees the strings stored below, and accepts an object of zeros too.
        let object = unsafe { objects::allocate(size, forget_candidate) };
        let host = object.cast::<sys::ast_rtp_engine_ice_candidate>();
        if host.is_null() {
            return host;
        }
        let filled = sys::ast_rtp_engine_ice_candidate {
            foundation: log::c_text(&self.foundation).into_raw(),
            id: self.component,
            transport: log::c_text(&self.transport).into_raw(),
            priority: self.priority.cast_signed(),
            address: SockAddr::from(self.address).0,
            relay_address: SockAddr::from(self.related).0,
            type_: match self.kind {
                CandidateKind::Host => sys::AST_RTP_ICE_CANDIDATE_TYPE_HOST,
                CandidateKind::ServerReflexive => sys::AST_RTP_ICE_CANDIDATE_TYPE_SRFLX,
                CandidateKind::Relayed => sys::AST_RTP_ICE_CANDIDATE_TYPE_RELAYED,
            },
        };
        // SAFETY: allocated with this size, and nobody else knows of it.
        unsafe { host.write(filled) };
        host
    }
}

unsafe extern "C" fn forget_candidate(object: *mut c_void) {
    let host = object.cast::<sys::ast_rtp_engine_ice_candidate>();
    // SAFETY: the host calls this once, with what `to_host` filled in.
    for text in unsafe { [(*host).foundation, (*host).transport] } {
        if !text.is_null() {
            // SAFETY: it came from `into_raw`.
            drop(unsafe { CString::from_raw(text) });
        }
    }
}

/// A container with a copy of each candidate. Null if out of memory. The caller owns the reference.
fn contain(candidates: &[Candidate]) -> *mut sys::ao2_container {
    let container = objects::list();
    if container.is_null() {
        return container;
    }
    for candidate in candidates {
        let object = candidate.to_host().cast::<c_void>();
        if !object.is_null() {
            // SAFETY: both are live; the container takes a reference of its own, and ours goes.
            unsafe {
                objects::link(container, object);
                objects::count(object, -1);
            }
        }
    }
    container
}

#[allow(clippy::needless_update, reason = "hosts from 16 on have more members")]
pub(super) fn table<E: Ice>() -> sys::ast_rtp_engine_ice {
    sys::ast_rtp_engine_ice {
        set_authentication: Some(set_authentication::<E>),
        add_remote_candidate: Some(add_remote_candidate::<E>),
        start: Some(start::<E>),
        stop: Some(stop::<E>),
        get_ufrag: Some(get_ufrag::<E>),
        get_password: Some(get_password::<E>),
        get_local_candidates: Some(get_local_candidates::<E>),
        ice_lite: Some(ice_lite::<E>),
        set_role: Some(set_role::<E>),
        ..host::table::ice()
    }
}

unsafe extern "C" fn set_authentication<E: Ice>(
    instance: *mut sys::ast_rtp_instance,
    ufrag: *const c_char,
    password: *const c_char,
) {
    // SAFETY: the host lends its instance and two strings, or null, for the call.
    unsafe {
        with("ice set_authentication", (), instance, |held: &Held<E>, instance| {
            held.session.set_authentication(instance, log::text(ufrag), log::text(password));
        });
    }
}

unsafe extern "C" fn add_remote_candidate<E: Ice>(
    instance: *mut sys::ast_rtp_instance,
    candidate: *const sys::ast_rtp_engine_ice_candidate,
) {
    // SAFETY: the host lends its instance and the candidate for the call.
    unsafe {
        with("ice add_remote_candidate", (), instance, |held: &Held<E>, instance| {
            if let Some(candidate) = candidate.as_ref().and_then(Candidate::from_host) {
                held.session.add_remote_candidate(instance, &candidate);
            }
        });
    }
}

unsafe extern "C" fn start<E: Ice>(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("ice start", (), instance, |held: &Held<E>, instance| held.session.start(instance)) }
}

unsafe extern "C" fn stop<E: Ice>(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("ice stop", (), instance, |held: &Held<E>, instance| Ice::stop(&*held.session, instance)) }
}

unsafe extern "C" fn get_ufrag<E: Ice>(instance: *mut sys::ast_rtp_instance) -> *const c_char {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("ice get_ufrag", ptr::null(), instance, |held: &Held<E>, instance| {
            held.ufrag.show(held.session.ufrag(instance))
        })
    }
}

unsafe extern "C" fn get_password<E: Ice>(instance: *mut sys::ast_rtp_instance) -> *const c_char {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("ice get_password", ptr::null(), instance, |held: &Held<E>, instance| {
            held.password.show(held.session.password(instance))
        })
    }
}

unsafe extern "C" fn get_local_candidates<E: Ice>(instance: *mut sys::ast_rtp_instance) -> *mut sys::ao2_container {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("ice get_local_candidates", ptr::null_mut(), instance, |held: &Held<E>, instance| {
            let candidates = held.session.local_candidates(instance);
            candidates.map_or(ptr::null_mut(), |candidates| contain(&candidates))
        })
    }
}

unsafe extern "C" fn ice_lite<E: Ice>(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("ice ice_lite", (), instance, |held: &Held<E>, instance| held.session.set_lite(instance)) }
}

unsafe extern "C" fn set_role<E: Ice>(instance: *mut sys::ast_rtp_instance, role: sys::ast_rtp_ice_role) {
    let role = if role == sys::AST_RTP_ICE_ROLE_CONTROLLING { Role::Controlling } else { Role::Controlled };
    // SAFETY: the host lends its instance for the call.
    unsafe { with("ice set_role", (), instance, |held: &Held<E>, instance| held.session.set_role(instance, role)) }
}
