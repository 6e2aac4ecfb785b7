//! chan_sip's side of a WebSocket: the functions of the module that it calls, looked up by handle.

use asterisk_sys as sys;
use host_tests::modules;
use std::{
    ffi::{CStr, c_char, c_int},
    ptr, slice,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const MODULE: &str = "res_http_websocket";

/// The protocol handler of chan_sip: it polls the descriptor, then reads once per wake-up.
pub struct Sip;

/// The message that makes the handler keep a reference to the session.
pub const REMEMBER: &[u8] = b"remember me";

/// Kept references to sessions, as numbers, because pointers are not `Send`.
pub static REMEMBERED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Responses that the handler was brought, and the threads that brought them.
pub static RESPONSES: Mutex<Vec<(std::thread::ThreadId, String)>> = Mutex::new(Vec::new());

/// The message that makes the handler close the session with a code.
pub const CLOSE_WITH: &str = "close with ";

/// While set, handlers that learn that their session is over do not return.
pub static HELD: AtomicBool = AtomicBool::new(false);

pub static LONGEST_READ: Mutex<Duration> = Mutex::new(Duration::ZERO);

macro_rules! function_of_the_module {
    ($name:ident: fn($($argument:ty),*) $(-> $answer:ty)?) => {
        std::mem::transmute::<*mut libc::c_void, unsafe extern "C" fn($($argument),*) $(-> $answer)?>(
            exported(concat!("__ast_websocket_", stringify!($name), "\0"))
        )
    };
}

/// A function of the module, looked up by handle. A lookup in the global scope would make the dynamic linker note that
/// this program needs the module, and never unmap it.
fn exported(name: &str) -> *mut libc::c_void {
    let path = modules::path(MODULE).to_str().expect("plain text").to_owned() + "\0";
    // SAFETY: NUL-terminated strings; closing our handle does not unload what is already open.
    let function = unsafe {
        let module = libc::dlopen(path.as_ptr().cast(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
        let function = libc::dlsym(module, name.as_ptr().cast());
        libc::dlclose(module);
        function
    };
    assert!(!function.is_null(), "{name} is not exported");
    function
}

type Session = *mut sys::ast_websocket;
type Protocol = unsafe extern "C" fn(Session, *mut sys::ast_variable, *mut sys::ast_variable);

impl Sip {
    pub fn register() -> Self {
        // SAFETY: the function has this type according to the facts of the ABI.
        let add = unsafe { function_of_the_module!(add_protocol: fn(*const c_char, Protocol) -> c_int) };
        // SAFETY: a static string and function.
        assert_eq!(unsafe { add(c"sip".as_ptr(), serve) }, 0);
        Self
    }
}

impl Drop for Sip {
    fn drop(&mut self) {
        // SAFETY: the function has this type according to the facts of the ABI.
        let remove = unsafe { function_of_the_module!(remove_protocol: fn(*const c_char, Protocol) -> c_int) };
        // SAFETY: the same arguments as for registration.
        assert_eq!(unsafe { remove(c"sip".as_ptr(), serve) }, 0);
    }
}

/// Runs on the connection's own thread until the session ends, and drops its reference.
unsafe extern "C" fn serve(session: Session, _parameters: *mut sys::ast_variable, _headers: *mut sys::ast_variable) {
    // SAFETY: as the handler of a protocol, we hold a reference to the session.
    unsafe {
        assert_eq!(function_of_the_module!(set_nonblock: fn(Session) -> c_int)(session), 0);
        assert_eq!(function_of_the_module!(set_timeout: fn(Session, c_int) -> c_int)(session, 100), 0);
        let address = function_of_the_module!(remote_address: fn(Session) -> *mut sys::ast_sockaddr)(session);
        assert!((*address).len > 0);
        while wait(session) && answer_one(session) {}
        assert!(wait(session), "chan_sip would stay in poll: a session that has ended is readable for good");
        // A response to an INVITE that was written meanwhile may come first.
        assert!((0..100).any(|_| !answer_one(session)), "and says so again");
        function_of_the_module!(unref: fn(Session))(session);
    }
    while HELD.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Writes to a session that has ended, which must fail, and drops its last reference.
pub fn forget(session: usize) {
    let session = session as Session;
    // SAFETY: `answer_one` left us a reference, which is dropped last.
    unsafe {
        assert!(wait(session) && !answer_one(session));
        assert!(!sent(session as usize, "late"));
        function_of_the_module!(unref: fn(Session))(session);
    }
}

/// Writes to a remembered session; whether that succeeds.
pub fn sent(session: usize, message: &str) -> bool {
    let mut message = message.as_bytes().to_vec();
    let (bytes, len) = (message.as_mut_ptr().cast(), message.len() as u64);
    // SAFETY: the session is remembered, and the bytes live during the call.
    let written = unsafe {
        let write = function_of_the_module!(write: fn(Session, sys::ast_websocket_opcode, *mut c_char, u64) -> c_int);
        write(session as Session, sys::AST_WEBSOCKET_OPCODE_TEXT, bytes, len)
    };
    // For EBADF and similar errors chan_sip behaves differently and leaves calls behind.
    assert!(written == 0 || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPIPE));
    written == 0
}

/// # Safety
/// The caller holds a reference to the session.
unsafe fn wait(session: Session) -> bool {
    // SAFETY: guaranteed by our caller.
    let fd = unsafe { function_of_the_module!(fd: fn(Session) -> c_int)(session) };
    assert!(fd >= 0, "chan_sip would poll for ever");
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one descriptor.
    unsafe { libc::poll(&raw mut poll, 1, 5000) > 0 }
}

/// # Safety
/// The caller holds a reference to the session.
unsafe fn answer_one(session: Session) -> bool {
    // SAFETY: the function has this type according to the facts of the ABI.
    let read = unsafe {
        function_of_the_module!(
            read: fn(Session, *mut *mut c_char, *mut u64, *mut sys::ast_websocket_opcode, *mut c_int) -> c_int
        )
    };
    let (mut payload, mut length, mut opcode, mut fragmented) = (ptr::null_mut(), 0, 0, 0);
    let began = Instant::now();
    // SAFETY: guaranteed by our caller; there are locations for the results.
    let failed = unsafe { read(session, &raw mut payload, &raw mut length, &raw mut opcode, &raw mut fragmented) };
    let mut longest = LONGEST_READ.lock().expect("no panic");
    *longest = longest.max(began.elapsed());
    if failed != 0 || opcode == sys::AST_WEBSOCKET_OPCODE_CLOSE {
        return false;
    }
    if opcode == sys::AST_WEBSOCKET_OPCODE_TEXT || opcode == sys::AST_WEBSOCKET_OPCODE_BINARY {
        assert!(length > 0, "chan_sip would take it for a SIP message");
        let length = usize::try_from(length).expect("fits");
        // SAFETY: it belongs to the session and is valid until the next read.
        let message = unsafe { slice::from_raw_parts(payload.cast::<u8>(), length) };
        // SAFETY: chan_sip reads it as a string.
        let as_string = unsafe { CStr::from_ptr(payload) };
        assert_eq!(as_string.to_bytes(), message, "chan_sip parses up to the NUL behind the payload");
        if let Some(code) = str::from_utf8(message).ok().and_then(|text| text.strip_prefix(CLOSE_WITH)?.parse().ok()) {
            // SAFETY: as above.
            let close = unsafe { function_of_the_module!(close: fn(Session, u16) -> c_int) };
            // SAFETY: guaranteed by our caller.
            return unsafe { close(session, code) } == 0;
        }
        if message == REMEMBER {
            // SAFETY: guaranteed by our caller.
            unsafe { function_of_the_module!(ref: fn(Session))(session) };
            REMEMBERED.lock().expect("no panic").push(session as usize);
        }
        if message.starts_with(b"SIP/2.0 ") {
            let response = String::from_utf8_lossy(message).into_owned();
            RESPONSES.lock().expect("no panic").push((std::thread::current().id(), response));
            return true;
        }
        let mut answer = [b"got: ", message].concat();
        // SAFETY: as above.
        let write = unsafe {
            function_of_the_module!(write: fn(Session, sys::ast_websocket_opcode, *mut c_char, u64) -> c_int)
        };
        // SAFETY: the bytes live during the call.
        let failed = unsafe { write(session, opcode, answer.as_mut_ptr().cast(), answer.len() as u64) };
        return failed == 0;
    }
    true
}
