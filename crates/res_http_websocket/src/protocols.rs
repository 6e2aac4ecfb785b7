//! Who takes sessions: the subprotocols, `echo` and those that other modules register (chan_sip: `sip`).
//!
//! A protocol that goes takes its sessions along, and waits until its callback has returned everywhere: its code is
//! about to be unmapped.

use std::ffi::{CStr, c_char, c_int};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use asterisk::http::Request;
use asterisk::lock;
use asterisk::module::UseCount;
use asterisk::sys;

use crate::host::ONLY_PROTOCOL_IS_DEFAULT;

/// What C registers.
pub type Callback = unsafe extern "C" fn(*mut sys::ast_websocket, *mut sys::ast_variable, *mut sys::ast_variable);

/// What C may want to be asked before a session is begun: the request, and how the session will be called. Anything but 0
/// refuses.
pub type Attempt = unsafe extern "C" fn(
    *mut sys::ast_tcptls_session_instance,
    *mut sys::ast_variable,
    *mut sys::ast_variable,
    *const c_char,
) -> c_int;

pub struct Protocol {
    name: String,
    callback: Callback,
    attempt: Option<Attempt>,
    is_ours: bool,
    running: Mutex<Calls>,
    returned: Condvar,
}

#[derive(Default)]
struct Calls {
    count: usize,
    /// None begins any more.
    closed: bool,
}

/// Names are compared without case, as the host's own module does.
#[derive(Default)]
pub struct Protocols(Mutex<Vec<Entry>>);

struct Entry {
    protocol: Arc<Protocol>,
    /// Someone else's pointers are here: a plain unload of this module is refused by the host.
    _in_use: Option<UseCount>,
}

/// The protocol's callback is running, or about to.
pub struct Call {
    protocol: Arc<Protocol>,
    _in_use: UseCount,
}

impl Protocols {
    /// `false` if the name is taken.
    pub fn add(&self, name: &str, attempt: Option<Attempt>, callback: Callback, in_use: Option<UseCount>) -> bool {
        let mut entries = self.entries();
        if entries.iter().any(|entry| entry.protocol.is_called(name)) {
            return false;
        }
        let (name, is_ours) = (name.to_owned(), in_use.is_none());
        let protocol =
            Protocol { name, callback, attempt, is_ours, running: Mutex::default(), returned: Condvar::new() };
        entries.push(Entry { protocol: Arc::new(protocol), _in_use: in_use });
        true
    }

    /// Takes it out, if it is this very callback's.
    pub fn remove(&self, name: &str, callback: Callback) -> Option<Arc<Protocol>> {
        let mut entries = self.entries();
        let found = entries.iter().position(|entry| {
            entry.protocol.is_called(name) && std::ptr::fn_addr_eq(entry.protocol.callback, callback)
        })?;
        Some(entries.remove(found).protocol)
    }

    /// The protocol of this name, or for a client that names none the only one that there is, on hosts that do so.
    pub fn find(&self, name: Option<&str>) -> Option<Arc<Protocol>> {
        let entries = self.entries();
        let found = match (name, &entries[..]) {
            (Some(name), all) => all.iter().find(|entry| entry.protocol.is_called(name)),
            (None, [only]) if ONLY_PROTOCOL_IS_DEFAULT => Some(only),
            (None, _) => None,
        };
        found.map(|entry| entry.protocol.clone())
    }

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

    /// Whether the one that it belongs to lets a session begin.
    pub fn admits(&self, request: &Request<'_>, session_id: &CStr) -> bool {
        let (session, parameters, headers) =
            (request.as_ptr(), request.parameters().as_ptr(), request.headers().as_ptr());
        self.attempt.is_none_or(|attempt| {
            // SAFETY: the request is not over, and its parts are the host's until then; `begin` keeps the module there.
            unsafe { attempt(session, parameters, headers, session_id.as_ptr()) == 0 }
        })
    }

    /// `echo`, and not another module's.
    pub fn is_ours(&self) -> bool {
        self.is_ours
    }

    pub fn callback(&self) -> Callback {
        self.callback
    }

    /// `None` if the protocol is going.
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
