//! The fourteen functions that other modules call, under the names of the host's own module.
//!
//! chan_sip holds weak references to these names, which are bound when they are first called.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use asterisk::fence::fence;
use asterisk::{Ao2Box, stack, sys};
use websocket::{CloseCode, Opcode, Reassembly};

use crate::protocols::Callback;
use crate::running::running;
use crate::session::{Read, Session};

/// One of the references that C counts and holds to a session.
pub struct Handle(Ao2Box<Counted>);

/// The object that C counts references to. Once C has released the last one nobody reads any more, and the worker finishes
/// the closing handshake.
struct Counted {
    session: Arc<Session>,
    /// See [`Handle::id_of`].
    id: CString,
}

impl Handle {
    /// Makes the first reference; `None` without memory. `id` is for the protocol's module.
    pub fn new(session: Arc<Session>, id: CString) -> Option<Self> {
        session.counters().referred();
        Ao2Box::new(Counted { session, id }).map(Self)
    }

    /// Adds a reference to a session that C lends.
    ///
    /// # Safety
    /// `session` came from [`Handle::into_raw`] and is live for the length of this call.
    pub unsafe fn share(session: NonNull<sys::ast_websocket>) -> Self {
        // SAFETY: the caller's word.
        Self(unsafe { Ao2Box::share(session.cast()) })
    }

    /// Adds a reference to this session.
    pub fn again(&self) -> Self {
        Self(self.0.clone())
    }

    /// Takes over a reference from C.
    ///
    /// # Safety
    /// `session` came from [`Handle::into_raw`] and one count of it is ours to give back.
    pub unsafe fn adopt(session: NonNull<sys::ast_websocket>) -> Self {
        // SAFETY: the caller's word.
        Self(unsafe { Ao2Box::adopt(session.cast()) })
    }

    /// Hands our reference to C, which must release it.
    pub fn into_raw(self) -> *mut sys::ast_websocket {
        self.0.into_raw().cast()
    }

    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// The id of a session, which the protocol's module knows it by; null for null.
    ///
    /// # Safety
    /// `session` is null, or a session that the caller holds a reference to for as long as it uses the answer.
    #[allow(dead_code, reason = "not every host asks")]
    pub unsafe fn id_of(session: *mut sys::ast_websocket) -> *const c_char {
        // SAFETY: the caller's word.
        unsafe { Ao2Box::<Counted>::lend(session.cast()) }.map_or(ptr::null(), |counted| counted.id.as_ptr())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.session.abandon();
        self.session.counters().released();
    }
}

/// Runs `body` on a session that C lends for the length of the call; answers `failed` for null, or if `body` panics. `name`
/// is the called function, for the log.
pub fn with<T>(name: &'static str, session: *mut sys::ast_websocket, failed: T, body: impl FnOnce(&Session) -> T) -> T
where
    T: Copy,
{
    fence(name, failed, || {
        // SAFETY: the caller holds a reference to a session that we gave it, or null.
        let counted = unsafe { Ao2Box::<Counted>::lend(session.cast::<c_void>()) };
        counted.map_or(failed, |counted| body(&counted.session))
    })
}

/// The name of a protocol as C passes it; `None` if it is null or not UTF-8.
///
/// # Safety
/// `name` is null or a string.
pub unsafe fn protocol_name<'a>(name: *const c_char) -> Option<&'a str> {
    // SAFETY: the caller's word.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })?.to_str().ok()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_add_protocol(name: *const c_char, callback: Option<Callback>) -> c_int {
    fence("ast_websocket_add_protocol", -1, || {
        // SAFETY: a string of the caller's.
        let (Some(name), Some(callback)) = (unsafe { protocol_name(name) }, callback) else { return -1 };
        let added = running().is_some_and(|running| running.add_protocol(name, None, callback));
        if added { 0 } else { -1 }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_remove_protocol(name: *const c_char, callback: Option<Callback>) -> c_int {
    fence("ast_websocket_remove_protocol", -1, || {
        // SAFETY: a string of the caller's.
        let (Some(name), Some(callback)) = (unsafe { protocol_name(name) }, callback) else { return -1 };
        let removed = running().is_some_and(|running| running.remove_protocol(name, callback));
        if removed { 0 } else { -1 }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_read(
    session: *mut sys::ast_websocket,
    payload: *mut *mut c_char,
    payload_len: *mut u64,
    opcode: *mut sys::ast_websocket_opcode,
    fragmented: *mut c_int,
) -> c_int {
    let position = stack::position();
    let read = with("ast_websocket_read", session, Read::Ended, |session| session.read_to_handle(position));
    let (answer, kind, more_follows, data, len) = match read {
        Read::Frame { opcode, more_follows, payload, len } => (0, opcode, more_follows, payload, len),
        // Neither -1, on which the caller ends the session, nor an empty text, which chan_sip would handle as SIP.
        Read::NothingYet => (0, Opcode::Continuation, false, ptr::null_mut(), 0),
        Read::Ended => (-1, Opcode::Close, false, ptr::null_mut(), 0),
    };
    // SAFETY: the caller has room for all four.
    unsafe {
        payload.write(data.cast());
        payload_len.write(len as u64);
        opcode.write(kind as _);
        fragmented.write(more_follows.into());
    }
    answer
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_write(
    session: *mut sys::ast_websocket,
    opcode: sys::ast_websocket_opcode,
    payload: *mut c_char,
    payload_size: u64,
) -> c_int {
    let written = with("ast_websocket_write", session, false, |session| {
        let Ok(opcode) = u8::try_from(opcode).map_err(drop).and_then(|bits| Opcode::from_wire(bits).map_err(drop))
        else {
            return false;
        };
        let payload = match usize::try_from(payload_size) {
            Ok(len) if len > 0 && !payload.is_null() => {
                // SAFETY: the caller has that many bytes there.
                unsafe { std::slice::from_raw_parts(payload.cast::<u8>(), len) }
            }
            _ => &[],
        };
        session.write(opcode, payload).is_ok()
    });
    if written {
        return 0;
    }
    with("ast_websocket_write", session, (), |ended| {
        if let Some(session) = NonNull::new(session).filter(|_| ended.wants_to_be_attended()) {
            // SAFETY: the caller holds a reference.
            call_back(unsafe { Handle::share(session) });
        }
    });
    // Not EBADF: for that, chan_sip forgets the packet, and with it the timer that ends a call whose answer is never
    // acknowledged. It ignores the response to an INVITE that it has forgotten, too.
    // SAFETY: `errno` of this thread.
    unsafe { *libc::__errno_location() = libc::EPIPE };
    -1
}

/// Has the protocol of an ended session read the responses to its INVITEs, on another thread: this one holds locks of the
/// protocol.
fn call_back(handle: Handle) {
    let call = handle.session().protocol().begin();
    match (running(), call) {
        (Some(running), Some(call)) => running.call_backs.add(call, handle),
        // The protocol is being removed, and its calls with it.
        _ => drop(handle.session().leave()),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_close(session: *mut sys::ast_websocket, reason: u16) -> c_int {
    with("ast_websocket_close", session, -1, |session| {
        // 0, and codes that must not be sent (RFC 6455 §7.4.1), become 1000 (normal closure).
        session.close(CloseCode::new(reason).unwrap_or(CloseCode::NORMAL));
        0
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_reconstruct_enable(session: *mut sys::ast_websocket, bytes: usize) {
    with("ast_websocket_reconstruct_enable", session, (), |session| session.set_reassembly(Reassembly::UpTo(bytes)));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_reconstruct_disable(session: *mut sys::ast_websocket) {
    with("ast_websocket_reconstruct_disable", session, (), |session| session.set_reassembly(Reassembly::UpTo(0)));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_ref(session: *mut sys::ast_websocket) {
    fence("ast_websocket_ref", (), || {
        if let Some(session) = NonNull::new(session.cast()) {
            // SAFETY: the caller holds a reference, and the new one becomes its own.
            unsafe { Ao2Box::<Counted>::share(session) }.into_raw();
        }
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_unref(session: *mut sys::ast_websocket) {
    fence("ast_websocket_unref", (), || {
        if let Some(session) = NonNull::new(session) {
            // SAFETY: the caller gives its own reference back.
            drop(unsafe { Handle::adopt(session) });
        }
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_fd(session: *mut sys::ast_websocket) -> c_int {
    let position = stack::position();
    with("ast_websocket_fd", session, -1, |session| session.descriptor_to_wait_for(position))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_remote_address(session: *mut sys::ast_websocket) -> *mut sys::ast_sockaddr {
    with("ast_websocket_remote_address", session, ptr::null_mut(), |session| {
        session.remote_address().as_ptr().cast_mut()
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_is_secure(session: *mut sys::ast_websocket) -> c_int {
    with("ast_websocket_is_secure", session, 0, |session| session.is_secure().into())
}

/// Does nothing: a session never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_set_nonblock(_session: *mut sys::ast_websocket) -> c_int {
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __ast_websocket_set_timeout(session: *mut sys::ast_websocket, timeout: c_int) -> c_int {
    with("ast_websocket_set_timeout", session, -1, |session| {
        if let Ok(millis) = u64::try_from(timeout) {
            session.set_write_timeout(Duration::from_millis(millis));
        }
        0
    })
}
