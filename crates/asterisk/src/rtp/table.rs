//! The engine's table of functions and its registration with the host.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;

use super::held::{Held, session_of, with, with_packet};
use super::{Component, DtmfMode, Engine, Instance, Property, ice};
use crate::fence::fence_crypto;
use crate::{Failed, FrameRef, answer, check, host, module, sockaddr, sys};

/// A registered engine; dropping it unregisters the engine.
pub struct Registration<E>(NonNull<Tables>, PhantomData<E>);

// SAFETY: the core locks its list, and a registration gives access to nothing else.
unsafe impl<E> Send for Registration<E> {}
// SAFETY: as for `Send`.
unsafe impl<E> Sync for Registration<E> {}

/// Registers an engine with the host. Wraps `ast_rtp_engine_register2`.
pub fn register<E: Engine>() -> Result<Registration<E>, Failed> {
    let tables = Tables::new::<E>();
    // SAFETY: the tables do not move until they are unregistered.
    match check(unsafe { sys::ast_rtp_engine_register2(&raw mut (*tables.as_ptr()).engine, module::host_module()) }) {
        Ok(()) => Ok(Registration(tables, PhantomData)),
        Err(Failed) => {
            // SAFETY: the host did not take them.
            drop(unsafe { Box::from_raw(tables.as_ptr()) });
            Err(Failed)
        }
    }
}

impl<E> Drop for Registration<E> {
    fn drop(&mut self) {
        // SAFETY: registered by `register`. When the host unloads us it has no instance of this engine, because each of
        // them counts as a use of the module; afterwards nobody has a pointer to the tables.
        unsafe {
            sys::ast_rtp_engine_unregister(&raw mut (*self.0.as_ptr()).engine);
            drop(Box::from_raw(self.0.as_ptr()));
        }
    }
}

impl<E> fmt::Debug for Registration<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registration")
    }
}

/// All tables in one allocation, so that the pointers between them stay valid.
struct Tables {
    engine: sys::ast_rtp_engine,
    ice: sys::ast_rtp_engine_ice,
    dtls: host::dtls::Tables,
}

impl Tables {
    fn new<E: Engine>() -> NonNull<Self> {
        let mut tables =
            Box::new(Self { engine: engine::<E>(), ice: ice::table::<E>(), dtls: host::dtls::Tables::of::<E>() });
        tables.engine.dtls = tables.dtls.for_host();
        let tables = Box::into_raw(tables);
        // SAFETY: just allocated; nobody else has a pointer to it.
        unsafe {
            (*tables).engine.ice = &raw mut (*tables).ice;
            NonNull::new_unchecked(tables)
        }
    }
}

/// The functions of engine `E`. There is no `payload_set`: some hosts call it with the codecs locked and lock the instance next, while in every
/// other call the order is the opposite, which would end in a deadlock.
pub(super) fn engine<E: Engine>() -> sys::ast_rtp_engine {
    host::table::complete::<E>(sys::ast_rtp_engine {
        name: E::NAME.as_ptr(),
        new: Some(new::<E>),
        destroy: Some(destroy::<E>),
        write: Some(write::<E>),
        stop: Some(stop::<E>),
        dtmf_begin: Some(dtmf_begin::<E>),
        dtmf_end: Some(dtmf_end::<E>),
        dtmf_end_with_duration: Some(dtmf_end_with_duration::<E>),
        update_source: Some(update_source::<E>),
        change_source: Some(change_source::<E>),
        prop_set: Some(prop_set::<E>),
        remote_address_set: Some(remote_address_set::<E>),
        dtmf_mode_set: Some(dtmf_mode_set::<E>),
        dtmf_mode_get: Some(dtmf_mode_get::<E>),
        get_stat: Some(get_stat::<E>),
        qos: Some(qos::<E>),
        fd: Some(fd::<E>),
        red_init: Some(red_init::<E>),
        red_buffer: Some(red_buffer::<E>),
        read: Some(read::<E>),
        local_bridge: Some(local_bridge::<E>),
        dtmf_compatible: Some(dtmf_compatible),
        activate: Some(activate::<E>),
        stun_request: Some(stun_request::<E>),
        sendcng: Some(sendcng::<E>),
        ..Default::default()
    })
}

unsafe extern "C" fn new<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    _sched: *mut sys::ast_sched_context,
    address: *mut sys::ast_sockaddr,
    _data: *mut c_void,
) -> c_int {
    fence_crypto("rtp new", -1, || {
        let Some(instance) = NonNull::new(instance) else { return -1 };
        // SAFETY: the host lends both for the call.
        let (instance, local) = unsafe { (Instance::lend(instance), sockaddr::from_ptr(address)) };
        answer(E::new(instance, local).map(|session| Held::hang_on(instance, session)))
    })
}

unsafe extern "C" fn destroy<E: Engine>(instance: *mut sys::ast_rtp_instance) -> c_int {
    fence_crypto("rtp destroy", (), || {
        let Some(instance) = NonNull::new(instance) else { return };
        // SAFETY: the host calls this when the last reference is gone, so nobody else uses the instance.
        unsafe {
            let instance = Instance::lend(instance);
            if let Some(held) = Held::<E>::take_down(instance) {
                held.session.destroy(instance);
            }
        }
    });
    // Any other value would make the host leak its part of the instance.
    0
}

unsafe extern "C" fn write<E: Engine>(instance: *mut sys::ast_rtp_instance, frame: *mut sys::ast_frame) -> c_int {
    // SAFETY: the host lends its instance and the frame for the call.
    unsafe {
        with_packet("rtp write", -1, instance, |held: &Held<E>, instance| {
            let Some(frame) = NonNull::new(frame) else { return 0 };
            answer(held.session.write(instance, FrameRef::lend(frame)))
        })
    }
}

unsafe extern "C" fn read<E: Engine>(instance: *mut sys::ast_rtp_instance, rtcp: c_int) -> *mut sys::ast_frame {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with_packet("rtp read", ptr::null_mut(), instance, |held: &Held<E>, instance| {
            let frame = held.session.read(instance, Component::from_host(rtcp));
            frame.map_or(ptr::null_mut(), crate::HostFrame::into_raw)
        })
    }
}

unsafe extern "C" fn stop<E: Engine>(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("rtp stop", (), instance, |held: &Held<E>, instance| Engine::stop(&*held.session, instance)) }
}

unsafe extern "C" fn dtmf_begin<E: Engine>(instance: *mut sys::ast_rtp_instance, digit: c_char) -> c_int {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("rtp dtmf_begin", -1, instance, |held: &Held<E>, instance| {
            answer(held.session.dtmf_begin(instance, digit.cast_unsigned()))
        })
    }
}

unsafe extern "C" fn dtmf_end<E: Engine>(instance: *mut sys::ast_rtp_instance, digit: c_char) -> c_int {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("rtp dtmf_end", -1, instance, |held: &Held<E>, instance| {
            answer(held.session.dtmf_end(instance, digit.cast_unsigned(), None))
        })
    }
}

unsafe extern "C" fn dtmf_end_with_duration<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    digit: c_char,
    duration_ms: c_uint,
) -> c_int {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("rtp dtmf_end", -1, instance, |held: &Held<E>, instance| {
            answer(held.session.dtmf_end(instance, digit.cast_unsigned(), Some(duration_ms)))
        })
    }
}

unsafe extern "C" fn update_source<E: Engine>(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("rtp update_source", (), instance, |held: &Held<E>, instance| held.session.update_source(instance)) }
}

unsafe extern "C" fn change_source<E: Engine>(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("rtp change_source", (), instance, |held: &Held<E>, instance| held.session.change_source(instance)) }
}

unsafe extern "C" fn prop_set<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    property: sys::ast_rtp_property,
    value: c_int,
) {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("rtp prop_set", (), instance, |held: &Held<E>, instance| {
            if let Some(property) = Property::from_host(property) {
                held.session.property_set(instance, property, value);
            }
        });
    }
}

unsafe extern "C" fn remote_address_set<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    address: *mut sys::ast_sockaddr,
) {
    // SAFETY: the host lends its instance and the address for the call.
    unsafe {
        with("rtp remote_address_set", (), instance, |held: &Held<E>, instance| {
            held.session.remote_address_set(instance, sockaddr::from_ptr(address));
        });
    }
}

unsafe extern "C" fn dtmf_mode_set<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    mode: sys::ast_rtp_dtmf_mode,
) -> c_int {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("rtp dtmf_mode_set", -1, instance, |held: &Held<E>, instance| {
            answer(held.session.dtmf_mode_set(instance, DtmfMode::from_host(mode)))
        })
    }
}

unsafe extern "C" fn dtmf_mode_get<E: Engine>(instance: *mut sys::ast_rtp_instance) -> sys::ast_rtp_dtmf_mode {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("rtp dtmf_mode_get", sys::AST_RTP_DTMF_MODE_NONE, instance, |held: &Held<E>, instance| {
            held.session.dtmf_mode_get(instance).to_host()
        })
    }
}

unsafe extern "C" fn get_stat<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    stats: *mut sys::ast_rtp_instance_stats,
    wanted: sys::ast_rtp_instance_stat,
) -> c_int {
    // SAFETY: the host lends its instance for the call, and the statistics to be written.
    unsafe {
        with("rtp get_stat", -1, instance, |held: &Held<E>, instance| {
            match (held.session.statistics(instance), stats.as_mut()) {
                (Some(statistics), Some(stats)) => {
                    statistics.tell(instance, wanted, stats);
                    0
                }
                _ => -1,
            }
        })
    }
}

unsafe extern "C" fn qos<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    tos: c_int,
    cos: c_int,
    description: *const c_char,
) -> c_int {
    // SAFETY: the host lends its instance, and the string or null, for the call.
    unsafe {
        with("rtp qos", -1, instance, |held: &Held<E>, instance| {
            let description = if description.is_null() { c"" } else { CStr::from_ptr(description) };
            answer(held.session.qos(instance, tos, cos, description))
        })
    }
}

unsafe extern "C" fn fd<E: Engine>(instance: *mut sys::ast_rtp_instance, rtcp: c_int) -> c_int {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("rtp fd", -1, instance, |held: &Held<E>, instance| {
            held.session.descriptor(instance, Component::from_host(rtcp))
        })
    }
}

unsafe extern "C" fn red_init<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    buffer_ms: c_int,
    payloads: *mut c_int,
    generations: c_int,
) -> c_int {
    // SAFETY: the host lends its instance, and an array with a payload type for each generation and one for the newest.
    unsafe {
        with("rtp red_init", -1, instance, |held: &Held<E>, instance| {
            let generations = usize::try_from(generations).unwrap_or(0).min(MOST_GENERATIONS);
            let payloads = if payloads.is_null() { &[] } else { slice::from_raw_parts(payloads, generations + 1) };
            answer(held.session.redundancy_start(instance, buffer_ms, payloads))
        })
    }
}

unsafe extern "C" fn red_buffer<E: Engine>(instance: *mut sys::ast_rtp_instance, frame: *mut sys::ast_frame) -> c_int {
    // SAFETY: the host lends its instance and the frame for the call.
    unsafe {
        with("rtp red_buffer", -1, instance, |held: &Held<E>, instance| {
            let Some(frame) = NonNull::new(frame) else { return 0 };
            answer(held.session.redundancy_buffer(instance, FrameRef::lend(frame)))
        })
    }
}

unsafe extern "C" fn activate<E: Engine>(instance: *mut sys::ast_rtp_instance) -> c_int {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("rtp activate", -1, instance, |held: &Held<E>, instance| answer(held.session.activate(instance))) }
}

unsafe extern "C" fn stun_request<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    to: *mut sys::ast_sockaddr,
    username: *const c_char,
) {
    // SAFETY: the host lends its instance, the address and the string or null, for the call.
    unsafe {
        with("rtp stun_request", (), instance, |held: &Held<E>, instance| {
            let username = (!username.is_null()).then(|| CStr::from_ptr(username));
            held.session.stun_request(instance, sockaddr::from_ptr(to), username);
        });
    }
}

unsafe extern "C" fn sendcng<E: Engine>(instance: *mut sys::ast_rtp_instance, level: c_int) -> c_int {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("rtp sendcng", -1, instance, |held: &Held<E>, instance| {
            answer(held.session.send_comfort_noise(instance, level))
        })
    }
}

/// Bridges one direction: packets that `instance` receives go to `peer`, or to the channel again if that is null.
unsafe extern "C" fn local_bridge<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    peer: *mut sys::ast_rtp_instance,
) -> c_int {
    // SAFETY: the host lends both for the call (the peer may be null), and bridges only instances whose engines have the same
    // `local_bridge`.
    unsafe {
        with("rtp local_bridge", -1, instance, |held: &Held<E>, instance| {
            let Some(peer) = NonNull::new(peer) else {
                return answer(held.session.local_bridge(instance, None));
            };
            let peer = Instance::lend(peer);
            match session_of::<E>(peer) {
                Some(session) => answer(held.session.local_bridge(instance, Some((&session, peer)))),
                None => -1,
            }
        })
    }
}

/// Whether media may bypass the host: both ends must send digits in the same way, and both or neither must support the
/// beginning of a digit.
unsafe extern "C" fn dtmf_compatible(
    channel: *mut sys::ast_channel,
    instance: *mut sys::ast_rtp_instance,
    peer_channel: *mut sys::ast_channel,
    peer_instance: *mut sys::ast_rtp_instance,
) -> c_int {
    // SAFETY: the host lends both channels and both instances for the call, each of them locked; a channel
    // has a technology.
    unsafe {
        let carries = |instance| sys::ast_rtp_instance_get_prop(instance, sys::AST_RTP_PROPERTY_DTMF);
        let can_begin = |channel| (*sys::ast_channel_tech(channel)).send_digit_begin.is_some();
        let alike = carries(instance) == carries(peer_instance) && can_begin(channel) == can_begin(peer_channel);
        alike.into()
    }
}

const MOST_GENERATIONS: usize = sys::AST_RED_MAX_GENERATION as usize;
