//! The optional API: functions that other modules are linked to by name while this one is loaded.
//!
//! The client's half is left out: a module that wants to connect as a client is told that this is not supported.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use asterisk::epoll::wait_readable_for;
use asterisk::fence::fence;
use asterisk::http::Request;
use asterisk::module::UseCount;
use asterisk::{Ao2Box, Failed, sys};
use websocket::Opcode;

use crate::accept;
use crate::exports::{self, Handle, protocol_name, with};
use crate::protocols::{Attempt, Callback, Protocols};
use crate::running::running;
use crate::session::Read;

/// Links every module that asked for one of our functions to it. Wraps `ast_optional_api_provide`.
pub fn provide() {
    for (name, function) in table() {
        // SAFETY: the name is static; the function is of the type that goes with it, and stays until `withdraw`.
        unsafe { sys::ast_optional_api_provide(name.as_ptr(), Some(function)) };
    }
}

/// Unlinks the other modules from our functions. Refused while a module has a [`Server`]: the host calls our code for its
/// requests through a pointer that the module keeps.
pub fn withdraw() -> Result<(), Failed> {
    let servers = SERVERS.load(Ordering::Acquire);
    if servers > 0 {
        asterisk::error!(
            "WebSocket: res_http_websocket stays loaded: {servers} servers of other modules use it, which have to be unloaded first"
        );
        return Err(Failed);
    }
    for (name, function) in table() {
        // SAFETY: as in `provide`. What was not provided is not taken back.
        unsafe { sys::ast_optional_api_unprovide(name.as_ptr(), Some(function)) };
    }
    Ok(())
}

type Function = unsafe extern "C" fn();

/// Names and functions, in the order of the host's header.
fn table() -> impl Iterator<Item = (&'static CStr, Function)> {
    let functions: &[(&CStr, *const ())] = &[
        (c"ast_websocket_server_create", server_create as *const ()),
        (c"ast_websocket_uri_cb", uri_cb as *const ()),
        (c"ast_websocket_sub_protocol_alloc", sub_protocol_alloc as *const ()),
        (c"ast_websocket_add_protocol", exports::__ast_websocket_add_protocol as *const ()),
        (c"ast_websocket_add_protocol2", add_protocol2 as *const ()),
        (c"ast_websocket_remove_protocol", exports::__ast_websocket_remove_protocol as *const ()),
        (c"ast_websocket_server_add_protocol", server_add_protocol as *const ()),
        (c"ast_websocket_server_add_protocol2", server_add_protocol2 as *const ()),
        (c"ast_websocket_server_remove_protocol", server_remove_protocol as *const ()),
        (c"ast_websocket_read", exports::__ast_websocket_read as *const ()),
        (c"ast_websocket_read_string", read_string as *const ()),
        (c"ast_websocket_write", exports::__ast_websocket_write as *const ()),
        (c"ast_websocket_write_string", write_string as *const ()),
        (c"ast_websocket_close", exports::__ast_websocket_close as *const ()),
        (c"ast_websocket_reconstruct_enable", exports::__ast_websocket_reconstruct_enable as *const ()),
        (c"ast_websocket_reconstruct_disable", exports::__ast_websocket_reconstruct_disable as *const ()),
        (c"ast_websocket_ref", exports::__ast_websocket_ref as *const ()),
        (c"ast_websocket_unref", exports::__ast_websocket_unref as *const ()),
        (c"ast_websocket_fd", exports::__ast_websocket_fd as *const ()),
        (c"ast_websocket_wait_for_input", wait_for_input as *const ()),
        (c"ast_websocket_remote_address", exports::__ast_websocket_remote_address as *const ()),
        (c"ast_websocket_local_address", local_address as *const ()),
        (c"ast_websocket_is_secure", exports::__ast_websocket_is_secure as *const ()),
        (c"ast_websocket_set_nonblock", exports::__ast_websocket_set_nonblock as *const ()),
        (c"ast_websocket_session_id", session_id as *const ()),
        (c"ast_websocket_client_create", client_create as *const ()),
        (c"ast_websocket_client_create_with_options", client_create_with_options as *const ()),
        (c"ast_websocket_client_accept_protocol", client_accept_protocol as *const ()),
        (c"ast_websocket_set_timeout", exports::__ast_websocket_set_timeout as *const ()),
    ];
    let functions = functions.iter().chain(super::LATER_FUNCTIONS);
    // SAFETY: whoever is linked to a function casts it back to the type that the header gives it, which is its own.
    functions.map(|(name, function)| (*name, unsafe { std::mem::transmute::<*const (), Function>(*function) }))
}

/// The protocols at a path that another module serves.
struct Server(Protocols);

/// The number of [`Server`]s.
static SERVERS: AtomicUsize = AtomicUsize::new(0);

impl Server {
    fn new() -> Self {
        SERVERS.fetch_add(1, Ordering::AcqRel);
        Self(Protocols::default())
    }

    /// # Safety
    /// Null, or what `server_create` answered, which the caller holds a reference to for `'a`.
    unsafe fn lend<'a>(server: *mut sys::ast_websocket_server) -> Option<&'a Self> {
        // SAFETY: the caller's word.
        unsafe { Ao2Box::lend(server.cast()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        SERVERS.fetch_sub(1, Ordering::AcqRel);
    }
}

unsafe extern "C" fn server_create() -> *mut sys::ast_websocket_server {
    fence("ast_websocket_server_create", ptr::null_mut(), || {
        Ao2Box::new(Server::new()).map_or(ptr::null_mut(), |server| server.into_raw().cast())
    })
}

/// Answers a request at a path of another module. The `data` of the path is that module's [`Server`].
unsafe extern "C" fn uri_cb(
    session: *mut sys::ast_tcptls_session_instance,
    uri: *const sys::ast_http_uri,
    _rest: *const c_char,
    method: sys::ast_http_method,
    parameters: *mut sys::ast_variable,
    headers: *mut sys::ast_variable,
) -> c_int {
    fence("ast_websocket_uri_cb", -1, || {
        let (Some(session), Some(running)) = (NonNull::new(session), running()) else { return -1 };
        // SAFETY: as the host calls; the owner of the path keeps its server for as long as that is linked.
        let (request, server) = unsafe {
            let server = uri.as_ref().and_then(|uri| Server::lend(uri.data.cast()));
            (Request::lend(session, method, parameters, headers), server)
        };
        let Some(server) = server else { return -1 };
        if accept::upgrade(&running, &server.0, request).is_ok() { 0 } else { -1 }
    })
}

/// Makes a description of a protocol, with its name, for the caller to fill in.
unsafe extern "C" fn sub_protocol_alloc(name: *const c_char) -> *mut sys::ast_websocket_protocol {
    fence("ast_websocket_sub_protocol_alloc", ptr::null_mut(), || {
        // SAFETY: a string of the caller's.
        let Some(name) = (unsafe { protocol_name(name) }).and_then(|name| CString::new(name).ok()) else {
            return ptr::null_mut();
        };
        let description = sys::ast_websocket_protocol {
            name: name.as_ptr().cast_mut(),
            version: sys::AST_WEBSOCKET_PROTOCOL_VERSION as _,
            session_attempted: None,
            session_established: None,
        };
        Ao2Box::new(Description { c: description, _name: name })
            .map_or(ptr::null_mut(), |description| description.into_raw().cast())
    })
}

/// A protocol as another module describes it. C sees the first field only.
#[repr(C)]
struct Description {
    c: sys::ast_websocket_protocol,
    _name: CString,
}

// SAFETY: C fills it in before it is shared, and we only read it afterwards; the pointers are to static functions and to
// the name beside them.
unsafe impl Send for Description {}
// SAFETY: as for `Send`.
unsafe impl Sync for Description {}

/// Registers a protocol at `/ws`. Takes over the caller's reference to the description when it succeeds.
unsafe extern "C" fn add_protocol2(description: *mut sys::ast_websocket_protocol) -> c_int {
    fence("ast_websocket_add_protocol2", -1, || {
        // SAFETY: from `sub_protocol_alloc`, and the caller has a reference.
        unsafe {
            adopt(description, |name, attempt, callback| {
                running().is_some_and(|running| running.add_protocol(name, attempt, callback))
            })
        }
    })
}

unsafe extern "C" fn server_add_protocol(
    server: *mut sys::ast_websocket_server,
    name: *const c_char,
    callback: Option<Callback>,
) -> c_int {
    fence("ast_websocket_server_add_protocol", -1, || {
        // SAFETY: the caller holds the server, and the string is its own.
        let (Some(server), Some(name), Some(callback)) =
            (unsafe { (Server::lend(server), protocol_name(name), callback) })
        else {
            return -1;
        };
        if server.0.add(name, None, callback, Some(UseCount::take())) { 0 } else { -1 }
    })
}

/// Registers a protocol with a server. Takes over the caller's reference to the description when it succeeds.
unsafe extern "C" fn server_add_protocol2(
    server: *mut sys::ast_websocket_server,
    description: *mut sys::ast_websocket_protocol,
) -> c_int {
    fence("ast_websocket_server_add_protocol2", -1, || {
        // SAFETY: the caller holds the server.
        let Some(server) = (unsafe { Server::lend(server) }) else { return -1 };
        // SAFETY: from `sub_protocol_alloc`, and the caller has a reference.
        unsafe {
            adopt(description, |name, attempt, callback| server.0.add(name, attempt, callback, Some(UseCount::take())))
        }
    })
}

/// Registers a described protocol by `add`, and then takes over the caller's reference to the description. Returns 0, or -1
/// when it is not registered.
///
/// # Safety
/// `description` is null, or from `sub_protocol_alloc` with a reference that the caller owns.
unsafe fn adopt(
    description: *mut sys::ast_websocket_protocol,
    add: impl FnOnce(&str, Option<Attempt>, Callback) -> bool,
) -> c_int {
    let Some(object) = NonNull::new(description.cast::<c_void>()) else { return -1 };
    // SAFETY: live, by the caller's word.
    let described = unsafe { &*description };
    if described.version != sys::AST_WEBSOCKET_PROTOCOL_VERSION as _ {
        asterisk::warning!(
            "WebSocket: a module's protocol is not registered: its interface has version {}, not {}",
            described.version,
            sys::AST_WEBSOCKET_PROTOCOL_VERSION
        );
        return -1;
    }
    // SAFETY: the name is a string beside the description.
    let name = unsafe { protocol_name(described.name) };
    let (Some(name), Some(callback)) = (name, described.session_established) else { return -1 };
    if !add(name, described.session_attempted, callback) {
        return -1;
    }
    // SAFETY: the caller's reference is ours now, and what it described has been copied.
    drop(unsafe { Ao2Box::<Description>::adopt(object) });
    0
}

unsafe extern "C" fn server_remove_protocol(
    server: *mut sys::ast_websocket_server,
    name: *const c_char,
    callback: Option<Callback>,
) -> c_int {
    fence("ast_websocket_server_remove_protocol", -1, || {
        // SAFETY: the caller holds the server, and the string is its own.
        let (Some(server), Some(name), Some(callback)) =
            (unsafe { (Server::lend(server), protocol_name(name), callback) })
        else {
            return -1;
        };
        let removed = running().is_some_and(|running| running.remove_from(&server.0, name, callback));
        if removed { 0 } else { -1 }
    })
}

/// Waits for the next text message and returns a copy of all its fragments. The answer is its length in bytes including
/// the terminating NUL, or -1 when the session has ended.
unsafe extern "C" fn read_string(session: *mut sys::ast_websocket, string: *mut *mut c_char) -> c_int {
    with("ast_websocket_read_string", session, -1, |session| {
        let mut text = Vec::new();
        while matches!(wait_readable_for(session.descriptor(), None), Ok(true)) {
            match session.read() {
                Read::Frame { opcode: Opcode::Text | Opcode::Continuation, more_follows, payload, len } => {
                    // SAFETY: lent by `read` until the next one, which is ours.
                    text.extend_from_slice(unsafe { std::slice::from_raw_parts(payload, len) });
                    if !more_follows {
                        return give(&text, string);
                    }
                }
                Read::Frame { opcode: Opcode::Ping | Opcode::Pong, .. } | Read::NothingYet => {}
                Read::Frame { .. } | Read::Ended => return -1,
            }
        }
        -1
    })
}

/// Hands out a copy in the host's memory, which the caller frees. Returns its length including the NUL, or -1 without
/// memory.
fn give(text: &[u8], string: *mut *mut c_char) -> c_int {
    let us = asterisk::module::name().as_ptr();
    // SAFETY: that many bytes and static strings; the caller has room for a pointer.
    unsafe {
        let copy = sys::__ast_strndup(text.as_ptr().cast(), text.len(), us, 0, us);
        if copy.is_null() {
            return -1;
        }
        string.write(copy);
    }
    c_int::try_from(text.len() + 1).unwrap_or(c_int::MAX)
}

unsafe extern "C" fn write_string(session: *mut sys::ast_websocket, string: *const c_char) -> c_int {
    // SAFETY: a string of the caller's; text is only read.
    unsafe {
        let len = CStr::from_ptr(string).count_bytes();
        exports::__ast_websocket_write(session, sys::AST_WEBSOCKET_OPCODE_TEXT, string.cast_mut(), len as u64)
    }
}

/// Waits until there is something to read: 1 when there is, 0 after `timeout_ms` milliseconds (negative waits for ever), -1
/// on failure.
unsafe extern "C" fn wait_for_input(session: *mut sys::ast_websocket, timeout_ms: c_int) -> c_int {
    let patience = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    with("ast_websocket_wait_for_input", session, -1, |session| {
        wait_readable_for(session.descriptor(), patience).map_or(-1, c_int::from)
    })
}

unsafe extern "C" fn local_address(session: *mut sys::ast_websocket) -> *mut sys::ast_sockaddr {
    with("ast_websocket_local_address", session, ptr::null_mut(), |session| session.local_address().as_ptr().cast_mut())
}

unsafe extern "C" fn session_id(session: *mut sys::ast_websocket) -> *const c_char {
    fence("ast_websocket_session_id", ptr::null(), || {
        // SAFETY: the caller holds a reference, and the id goes with the last one.
        unsafe { Handle::id_of(session) }
    })
}

/// Answers that connecting as a client is not supported.
unsafe extern "C" fn client_create(
    _uri: *const c_char,
    _protocols: *const c_char,
    _tls: *mut sys::ast_tls_config,
    result: *mut sys::ast_websocket_result,
) -> *mut sys::ast_websocket {
    // SAFETY: the caller has room for the answer.
    unsafe { result.write(sys::WS_NOT_SUPPORTED) };
    ptr::null_mut()
}

/// Answers that connecting as a client is not supported.
unsafe extern "C" fn client_create_with_options(
    _options: *mut sys::ast_websocket_client_options,
    result: *mut sys::ast_websocket_result,
) -> *mut sys::ast_websocket {
    // SAFETY: the caller has room for the answer.
    unsafe { result.write(sys::WS_NOT_SUPPORTED) };
    ptr::null_mut()
}

unsafe extern "C" fn client_accept_protocol(_session: *mut sys::ast_websocket) -> *const c_char {
    ptr::null()
}
