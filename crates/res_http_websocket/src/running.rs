//! The state that exists while the module is loaded. [`crate::lifecycle`] makes it and takes it down.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use asterisk::lock;
use asterisk::module::UseCount;
use asterisk::pollable::AlwaysReadable;
use asterisk::worker::Worker;
use websocket::CloseCode;

use crate::buffers::Buffers;
use crate::call_backs::CallBacks;
use crate::carriers::Warnings;
use crate::counters::Counters;
use crate::limits::Limits;
use crate::protocols::{Attempt, Callback, Protocol, Protocols};
use crate::session::Session;
use crate::settings::Settings;

/// Everything that exists from load to unload.
pub struct Running {
    /// The one thread of this module: writes output that a stream did not take at once, serves deadlines, and finishes
    /// closing handshakes.
    pub worker: Worker<Session>,
    /// The protocols at `/ws`.
    pub protocols: Protocols,
    /// Shared by the descriptors of all sessions.
    pub always: Arc<AlwaysReadable>,
    pub buffers: Arc<Buffers>,
    pub limits: Arc<Limits>,
    pub counters: Arc<Counters>,
    pub call_backs: CallBacks,
    pub carriers: Warnings,
    settings: Mutex<Arc<Settings>>,
}

static RUNNING: Mutex<Option<Arc<Running>>> = Mutex::new(None);

/// How long removing one protocol waits for its callbacks to return. Its module is unloaded whatever the outcome.
const PROTOCOL_PATIENCE: Duration = Duration::from_secs(5);

/// The module's state while it is loaded; `None` before loading and after unloading.
pub fn running() -> Option<Arc<Running>> {
    lock(&RUNNING).clone()
}

/// Makes this the state that [`running`] returns; `None` when the module is unloaded.
pub fn set_running(running: Option<Arc<Running>>) {
    let before = std::mem::replace(&mut *lock(&RUNNING), running);
    // Outside the lock: the last reference may be this one.
    drop(before);
}

impl Running {
    /// Starts the thread of the module, with no protocol registered.
    pub fn new(settings: Arc<Settings>) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            worker: Worker::start(c"websocket", None)?,
            protocols: Protocols::default(),
            always: Arc::new(AlwaysReadable::new()?),
            buffers: Arc::default(),
            limits: Arc::default(),
            counters: Arc::default(),
            call_backs: CallBacks::default(),
            carriers: Warnings::default(),
            settings: Mutex::new(settings),
        }))
    }

    /// The current settings of `websocket.conf`.
    pub fn settings(&self) -> Arc<Settings> {
        lock(&self.settings).clone()
    }

    /// Takes other settings, for sessions that begin later.
    pub fn set_settings(&self, settings: Arc<Settings>) {
        *lock(&self.settings) = settings;
    }

    /// Registers a protocol of another module at `/ws`; `false` if the name is taken.
    pub fn add_protocol(&self, name: &str, attempt: Option<Attempt>, callback: Callback) -> bool {
        let added = self.protocols.add(name, attempt, callback, Some(UseCount::take()));
        if added {
            asterisk::verbose!(2, "WebSocket: sub-protocol '{name}' registered");
        }
        added
    }

    /// Removes a protocol of another module from `/ws` and ends its sessions; `false` if none has this name and callback.
    pub fn remove_protocol(&self, name: &str, callback: Callback) -> bool {
        self.remove_from(&self.protocols, name, callback)
    }

    /// Removes a protocol from `protocols` and ends its sessions; `false` if none there has this name and callback.
    pub fn remove_from(&self, protocols: &Protocols, name: &str, callback: Callback) -> bool {
        let Some(protocol) = protocols.remove(name, callback) else { return false };
        self.end_sessions(&protocol);
        if !protocol.wait(PROTOCOL_PATIENCE) {
            asterisk::error!(
                "WebSocket: protocol '{name}' is unregistered while its code still serves sessions; unloading its module may crash"
            );
        }
        asterisk::verbose!(2, "WebSocket: sub-protocol '{name}' unregistered");
        true
    }

    /// Waits until `deadline` for threads of the host that are answering a request; whether all have left. A thread that
    /// sends an error to a peer which does not read may take long, and no protocol counts it.
    pub fn is_left_alone(self: &Arc<Self>, deadline: Instant) -> bool {
        // Two references are the caller's and the slot's.
        while Arc::strong_count(self) > 2 {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Closes the protocol and its sessions; they end once their peers have answered, or not in time.
    pub fn end_sessions(&self, protocol: &Arc<Protocol>) {
        protocol.close();
        let sessions = self.worker.tasks().all().into_iter();
        for session in sessions.filter(|session| Arc::ptr_eq(session.protocol(), protocol)) {
            session.close(CloseCode::GOING_AWAY);
        }
    }
}
