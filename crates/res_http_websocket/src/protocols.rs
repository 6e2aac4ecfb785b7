//! The subprotocols (RFC 6455 §1.9): `echo`, and those that other modules register (chan_sip registers `sip`).
//!
//! A protocol's sessions end when it is removed, and removing it waits until its callback has returned on every thread: the
//! callback's code is about to be unmapped.

use std::ffi::{CStr, c_char, c_int};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use asterisk::http::Request;
use asterisk::lock;
use asterisk::module::{self, UseCount};
use asterisk::sys;

use crate::host::ONLY_PROTOCOL_IS_DEFAULT;

/// Serves one session of the protocol: takes over one reference to it, with the parameters and the headers of its request.
pub type Callback = unsafe extern "C" fn(*mut sys::ast_websocket, *mut sys::ast_variable, *mut sys::ast_variable);

/// Asked before a session begins, with the request, its parameters and headers, and the id that the session will have.
/// Any answer but 0 refuses the session.
pub type Attempt = unsafe extern "C" fn(
    *mut sys::ast_tcptls_session_instance,
    *mut sys::ast_variable,
    *mut sys::ast_variable,
    *const c_char,
) -> c_int;

/// One subprotocol, and the calls of its callback that have not returned.
pub struct Protocol {
    name: String,
    callback: Callback,
    attempt: Option<Attempt>,
    is_ours: bool,
    /// The name of the file that the callback is in.
    module: Option<String>,
    running: Mutex<Calls>,
    returned: Condvar,
}

#[derive(Default)]
struct Calls {
    count: usize,
    /// No more calls may begin.
    closed: bool,
}

/// The registered protocols. Names are compared without case, as the host's own module does.
#[derive(Default)]
pub struct Protocols(Mutex<Vec<Entry>>);

struct Entry {
    protocol: Arc<Protocol>,
    /// Makes the host refuse a plain unload of this module while another module's pointers are in the list.
    _in_use: Option<UseCount>,
}

/// One call of the protocol's callback, from before it begins until it has returned.
pub struct Call {
    protocol: Arc<Protocol>,
    _in_use: UseCount,
}

impl Protocols {
    /// Registers a protocol; `false` if the name is taken. Without `in_use` it is this module's own.
    pub fn add(&self, name: &str, attempt: Option<Attempt>, callback: Callback, in_use: Option<UseCount>) -> bool {
        let mut entries = self.entries();
        if entries.iter().any(|entry| entry.protocol.is_called(name)) {
            return false;
        }
        let (name, is_ours) = (name.to_owned(), in_use.is_none());
        let path = module::path_of(callback as usize);
        let module = path.and_then(|path| path.file_name()?.to_str().map(str::to_owned));
        let (running, returned) = (Mutex::default(), Condvar::new());
        let protocol = Protocol { name, callback, attempt, is_ours, module, running, returned };
        entries.push(Entry { protocol: Arc::new(protocol), _in_use: in_use });
        true
    }

    /// Removes the protocol that has this name and this callback.
    pub fn remove(&self, name: &str, callback: Callback) -> Option<Arc<Protocol>> {
        let mut entries = self.entries();
        let found = entries.iter().position(|entry| {
            entry.protocol.is_called(name) && std::ptr::fn_addr_eq(entry.protocol.callback, callback)
        })?;
        Some(entries.remove(found).protocol)
    }

    /// Finds a protocol by its name. `None`, from a client that names none, finds the only protocol there is, on hosts with
    /// [`ONLY_PROTOCOL_IS_DEFAULT`].
    pub fn find(&self, name: Option<&str>) -> Option<Arc<Protocol>> {
        let entries = self.entries();
        let found = match (name, &entries[..]) {
            (Some(name), all) => all.iter().find(|entry| entry.protocol.is_called(name)),
            (None, [only]) if ONLY_PROTOCOL_IS_DEFAULT => Some(only),
            (None, _) => None,
        };
        found.map(|entry| entry.protocol.clone())
    }

    /// All protocols, in the order of their registration.
    pub fn all(&self) -> Vec<Arc<Protocol>> {
        self.entries().iter().map(|entry| entry.protocol.clone()).collect()
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        lock(&self.0)
    }
}

impl Protocol {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks the module that registered the protocol whether a session may begin.
    pub fn admits(&self, request: &Request<'_>, session_id: &CStr) -> bool {
        let (session, parameters, headers) =
            (request.as_ptr(), request.parameters().as_ptr(), request.headers().as_ptr());
        self.attempt.is_none_or(|attempt| {
            // SAFETY: the request is not over, and its parts are the host's until then; `begin` keeps the module there.
            unsafe { attempt(session, parameters, headers, session_id.as_ptr()) == 0 }
        })
    }

    /// Whether this module registered it (`echo`), not another one.
    pub fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// The file of the module that registered it, without its folder.
    pub fn module(&self) -> Option<&str> {
        self.module.as_deref()
    }

    pub fn callback(&self) -> Callback {
        self.callback
    }

    /// Counts a call of the callback; `None` if the protocol is being removed.
    pub fn begin(self: &Arc<Self>) -> Option<Call> {
        let mut calls = self.calls();
        if calls.closed {
            return None;
        }
        calls.count += 1;
        Some(Call { protocol: self.clone(), _in_use: UseCount::take() })
    }

    /// Lets no more calls begin.
    pub fn close(&self) {
        self.calls().closed = true;
    }

    /// Lets calls begin again.
    pub fn reopen(&self) {
        self.calls().closed = false;
    }

    pub fn is_closed(&self) -> bool {
        self.calls().closed
    }

    /// Waits until every call has returned; `false` if that takes longer than `patience`.
    pub fn wait(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut calls = self.calls();
        while calls.count > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            calls = self.returned.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        lock(&self.running)
    }
}

impl Call {
    pub fn protocol(&self) -> &Arc<Protocol> {
        &self.protocol
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.protocol.calls().count -= 1;
        self.protocol.returned.notify_all();
    }
}
