//! HMAC-SHA1 (RFC 2104, RFC 3711 §4.2.1). The hash of the padded key is computed once per key.

use std::ffi::{c_int, c_void};
use std::slice;

use ::hmac::{Hmac, Mac};
use libsrtp2_sys as sys;
use sha1::Sha1;
use sys::srtp_err_status_t as Status;

use super::abi::{self, Auth, AuthType};
use super::cipher::OK;
use super::{vectors, wipe};

pub static SHA1: AuthType = AuthType {
    alloc,
    dealloc,
    init,
    compute,
    update,
    start,
    description: c"HMAC-SHA1".as_ptr(),
    test: &vectors::HMAC,
    id: abi::HMAC_SHA1,
};

/// A key, and the hash of what has come of this packet.
#[derive(Default)]
struct State {
    keyed: Option<Hmac<Sha1>>,
    running: Option<Hmac<Sha1>>,
}

/// A state as libsrtp has it. `raw` comes first: libsrtp gives its address back.
#[repr(C)]
struct Held {
    raw: Auth,
    state: State,
}

unsafe extern "C" fn alloc(to: *mut *mut Auth, key_len: c_int, tag_len: c_int) -> Status {
    if !(0..=LONGEST_TAG).contains(&tag_len) {
        return sys::srtp_err_status_t_srtp_err_status_bad_param;
    }
    let raw = Auth { kind: &SHA1, state: std::ptr::null_mut(), tag_len, key_len, prefix_len: 0 };
    let held = Box::into_raw(Box::new(Held { raw, state: State::default() }));
    // SAFETY: the box is ours, and libsrtp lends the place of the result.
    unsafe {
        (*held).raw.state = (&raw mut (*held).state).cast();
        *to = held.cast();
    }
    OK
}

unsafe extern "C" fn dealloc(auth: *mut Auth) -> Status {
    // SAFETY: from `alloc`, and libsrtp frees it once.
    unsafe { wipe(auth.cast::<Held>()) };
    OK
}

unsafe extern "C" fn init(state: *mut c_void, key: *const u8, len: c_int) -> Status {
    // SAFETY: libsrtp lends `len` bytes, and calls for one packet of a session at a time.
    let (state, key) = unsafe { (&mut *state.cast::<State>(), lent(key, len)) };
    state.keyed = Hmac::new_from_slice(key).ok();
    state.running = state.keyed.clone();
    OK
}

unsafe extern "C" fn start(state: *mut c_void) -> Status {
    // SAFETY: as in `init`.
    let state = unsafe { &mut *state.cast::<State>() };
    state.running.clone_from(&state.keyed);
    OK
}

unsafe extern "C" fn update(state: *mut c_void, data: *const u8, len: c_int) -> Status {
    // SAFETY: as in `init`.
    let (state, data) = unsafe { (&mut *state.cast::<State>(), lent(data, len)) };
    let Some(running) = &mut state.running else { return FAILED };
    running.update(data);
    OK
}

unsafe extern "C" fn compute(state: *mut c_void, data: *const u8, len: c_int, tag_len: c_int, tag: *mut u8) -> Status {
    // SAFETY: as in `init`; libsrtp lends room for `tag_len` bytes, of which `alloc` has accepted the number.
    let (state, data, tag) = unsafe { (&mut *state.cast::<State>(), lent(data, len), lent_mut(tag, tag_len)) };
    let running = state.running.take().or_else(|| state.keyed.clone());
    let Some(mut running) = running else { return FAILED };
    running.update(data);
    let computed = running.finalize().into_bytes();
    tag.iter_mut().zip(computed).for_each(|(to, byte)| *to = byte);
    OK
}

/// # Safety
/// `len` bytes at `data` are lent for `'a`.
unsafe fn lent<'a>(data: *const u8, len: c_int) -> &'a [u8] {
    match usize::try_from(len) {
        // SAFETY: guaranteed by our caller.
        Ok(len @ 1..) => unsafe { slice::from_raw_parts(data, len) },
        _ => &[],
    }
}

/// # Safety
/// `len` bytes at `data` are lent for `'a`, and nobody else uses them.
unsafe fn lent_mut<'a>(data: *mut u8, len: c_int) -> &'a mut [u8] {
    match usize::try_from(len) {
        // SAFETY: guaranteed by our caller.
        Ok(len @ 1..) => unsafe { slice::from_raw_parts_mut(data, len) },
        _ => &mut [],
    }
}

const FAILED: Status = sys::srtp_err_status_t_srtp_err_status_auth_fail;

/// The length of SHA-1 in bytes.
const LONGEST_TAG: c_int = 20;
