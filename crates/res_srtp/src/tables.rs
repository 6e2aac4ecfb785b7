//! The two tables of functions that C calls.

use std::ffi::{c_int, c_uchar, c_uint, c_ulong, c_void};
use std::slice;

use asterisk::fence::{fence, fence_crypto};
use asterisk::{Failed, random, sys};

use crate::policy::Policy;
use crate::session::{Callback, Session, Which};

pub static SRTP: sys::ast_srtp_res = sys::ast_srtp_res {
    create: Some(create),
    replace: Some(replace),
    destroy: Some(destroy),
    add_stream: Some(add_stream),
    change_source: Some(change_source),
    set_cb: Some(set_cb),
    unprotect: Some(unprotect),
    protect: Some(protect),
    get_random: Some(get_random),
};

pub static POLICY: sys::ast_srtp_policy_res = sys::ast_srtp_policy_res {
    alloc: Some(policy_alloc),
    destroy: Some(policy_destroy),
    set_suite: Some(policy_set_suite),
    set_master_key: Some(policy_set_master_key),
    set_ssrc: Some(policy_set_ssrc),
};

/// # Safety
/// `srtp` came from `create` and `destroy` has not been called; nobody destroys it during `'a`.
unsafe fn session<'a>(srtp: *mut sys::ast_srtp) -> Result<&'a Session, Failed> {
    // SAFETY: guaranteed by our caller.
    unsafe { srtp.cast::<Session>().as_ref() }.ok_or(Failed)
}

/// # Safety
/// `policy` came from `policy_alloc`, `policy_destroy` has not been called, and one thread at a time uses it.
unsafe fn policy<'a>(policy: *mut sys::ast_srtp_policy) -> Result<&'a mut Policy, Failed> {
    // SAFETY: guaranteed by our caller.
    unsafe { policy.cast::<Policy>().as_mut() }.ok_or(Failed)
}

fn answer(callback: &str, body: impl FnOnce() -> Result<(), Failed>) -> c_int {
    if fence_crypto(callback, Err(Failed), body).is_ok() { 0 } else { -1 }
}

unsafe extern "C" fn create(
    srtp: *mut *mut sys::ast_srtp,
    instance: *mut sys::ast_rtp_instance,
    with: *mut sys::ast_srtp_policy,
) -> c_int {
    answer("srtp create", || {
        // SAFETY: the host lends the policy, and the location of the result, for the call.
        unsafe {
            let session = Session::new(instance, policy(with)?.complete()?)?;
            *srtp = Box::into_raw(Box::new(session)).cast();
        }
        Ok(())
    })
}

unsafe extern "C" fn replace(
    srtp: *mut *mut sys::ast_srtp,
    instance: *mut sys::ast_rtp_instance,
    with: *mut sys::ast_srtp_policy,
) -> c_int {
    // SAFETY: the host lends the location of its session pointer, which is null or one of ours.
    if unsafe { (*srtp).is_null() } {
        // SAFETY: the arguments are those that the host passed to us.
        return unsafe { create(srtp, instance, with) };
    }
    // SAFETY: as above; the policy is lent for the call.
    answer("srtp replace", || unsafe { session(*srtp)?.replace(policy(with)?.complete()?) })
}

unsafe extern "C" fn destroy(srtp: *mut sys::ast_srtp) {
    if srtp.is_null() {
        return;
    }
    fence_crypto("srtp destroy", (), || {
        // SAFETY: from `create`; the host calls this once, when nobody uses the session any more.
        drop(unsafe { Box::from_raw(srtp.cast::<Session>()) });
    });
}

unsafe extern "C" fn add_stream(srtp: *mut sys::ast_srtp, with: *mut sys::ast_srtp_policy) -> c_int {
    // SAFETY: the host lends both for the call.
    answer("srtp add_stream", || unsafe { session(srtp)?.add_stream(policy(with)?.complete()?) })
}

unsafe extern "C" fn change_source(srtp: *mut sys::ast_srtp, from: c_uint, to: c_uint) -> c_int {
    // SAFETY: the host lends the session for the call.
    answer("srtp change_source", || unsafe { session(srtp)?.change_source(from, to) })
}

unsafe extern "C" fn set_cb(srtp: *mut sys::ast_srtp, callback: *const sys::ast_srtp_cb, data: *mut c_void) {
    fence_crypto("srtp set_cb", (), || {
        // SAFETY: the host lends the session and the callback, or null, for the call.
        let (session, no_context) = unsafe { (session(srtp), callback.as_ref().and_then(|callback| callback.no_ctx)) };
        if let Ok(session) = session {
            session.set_callback(Callback { no_context, data });
        }
    });
}

unsafe extern "C" fn unprotect(srtp: *mut sys::ast_srtp, packet: *mut c_void, len: *mut c_int, flags: c_int) -> c_int {
    // No OpenSSL here, see `media_srtp::Session`.
    let answer = fence("srtp unprotect", Err(Failed), || {
        // SAFETY: the host lends the session, and `len` bytes at `packet` to be written, for the call.
        unsafe {
            let packet = slice::from_raw_parts_mut(packet.cast::<u8>(), usize::try_from(*len).map_err(|_| Failed)?);
            let unprotected = session(srtp)?.unprotect(packet, Which::from_host(flags))?;
            *len = c_int::try_from(unprotected).map_err(|_| Failed)?;
            Ok(*len)
        }
    });
    answer.unwrap_or_else(|Failed| {
        // EAGAIN tells the engine not to end the call because of this packet.
        set_errno(libc::EAGAIN);
        -1
    })
}

unsafe extern "C" fn protect(
    srtp: *mut sys::ast_srtp,
    packet: *mut *mut c_void,
    len: *mut c_int,
    flags: c_int,
) -> c_int {
    let answer = fence("srtp protect", Err(Failed), || {
        // SAFETY: the host lends the session and `len` bytes at `*packet`, and reads the result from both locations.
        unsafe {
            let plain = slice::from_raw_parts((*packet).cast::<u8>(), usize::try_from(*len).map_err(|_| Failed)?);
            let (place, protected) = session(srtp)?.protect(plain, Which::from_host(flags))?;
            *packet = place.cast();
            *len = c_int::try_from(protected).map_err(|_| Failed)?;
            Ok(*len)
        }
    });
    answer.unwrap_or(-1)
}

unsafe extern "C" fn get_random(to: *mut c_uchar, len: usize) -> c_int {
    // SAFETY: the host lends `len` bytes to be written.
    random::fill(unsafe { slice::from_raw_parts_mut(to, len) });
    0
}

unsafe extern "C" fn policy_alloc() -> *mut sys::ast_srtp_policy {
    Box::into_raw(Box::new(Policy::new())).cast()
}

unsafe extern "C" fn policy_destroy(old: *mut sys::ast_srtp_policy) {
    if !old.is_null() {
        // SAFETY: from `policy_alloc`, and the host calls this once.
        drop(unsafe { Box::from_raw(old.cast::<Policy>()) });
    }
}

unsafe extern "C" fn policy_set_suite(to: *mut sys::ast_srtp_policy, suite: sys::ast_srtp_suite) -> c_int {
    // SAFETY: the host lends the policy for the call, and no other thread uses it.
    answer("srtp policy set_suite", || unsafe { policy(to)?.set_suite(suite) })
}

unsafe extern "C" fn policy_set_master_key(
    to: *mut sys::ast_srtp_policy,
    key: *const c_uchar,
    key_len: usize,
    salt: *const c_uchar,
    salt_len: usize,
) -> c_int {
    answer("srtp policy set_master_key", || {
        // SAFETY: the host lends the policy, key and salt for the call.
        unsafe {
            let (key, salt) = (slice::from_raw_parts(key, key_len), slice::from_raw_parts(salt, salt_len));
            policy(to)?.set_master_key(key, salt);
        }
        Ok(())
    })
}

unsafe extern "C" fn policy_set_ssrc(to: *mut sys::ast_srtp_policy, ssrc: c_ulong, inbound: c_int) {
    answer("srtp policy set_ssrc", || {
        // The parameter has the host's type; an SSRC has 32 bits.
        // SAFETY: the host lends the policy for the call, and no other thread uses it.
        unsafe { policy(to)?.set_ssrc(ssrc as u32, inbound != 0) };
        Ok(())
    });
}

fn set_errno(error: c_int) {
    // SAFETY: this thread's own variable.
    unsafe { *libc::__errno_location() = error };
}
