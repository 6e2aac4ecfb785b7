//! Load, reload and unload: everything that exists while the module is loaded.
//!
//! The host may unload and load the module twice on one image (a loaded chan_sip keeps it mapped), so nothing here is
//! initialised only once: [`start`] makes everything, and after [`stop`] all of it is gone.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use asterisk::Failed;
use asterisk::cli::Commands;
use asterisk::config::Reload;
use asterisk::http::{self, Uri};
use asterisk::lock;
use asterisk::module::UseCount;
use asterisk::pollable::AlwaysReadable;
use asterisk::worker::Worker;
use websocket::CloseCode;

use crate::accept::WebSocketUri;
use crate::admission::Admission;
use crate::buffers::Buffers;
use crate::cli;
use crate::counters::Counters;
use crate::echo;
use crate::host;
use crate::protocols::{Attempt, Callback, Protocol, Protocols};
use crate::report::SHOWN;
use crate::session::Session;
use crate::settings::{self, Settings};

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
    pub admission: Arc<Admission>,
    pub counters: Arc<Counters>,
    settings: Mutex<Arc<Settings>>,
    commands: Mutex<Option<Commands>>,
    uri: Mutex<Option<Uri<WebSocketUri>>>,
}

static RUNNING: Mutex<Option<Arc<Running>>> = Mutex::new(None);

/// How long the callbacks of all protocols may take to return once their sessions were ended. After that, an unload is
/// refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long removing one protocol waits for its callbacks to return. Its module is unloaded whatever the outcome.
const PROTOCOL_PATIENCE: Duration = Duration::from_secs(5);

/// How long threads of the host may take that have just looked up `/ws`, or are returning from our code: ample time.
const ON_THE_WAY_OUT: Duration = Duration::from_millis(50);

/// Why the module could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot start the thread of the module: {0}")]
    Io(#[from] io::Error),
    #[error(
        "websocket.conf cannot be read, so the limits that it sets are unknown: correct it and load the module again"
    )]
    Settings,
    #[error("cannot register /ws with the HTTP server")]
    Uri,
    #[error("cannot register the console commands")]
    Commands,
}

/// The module's state while it is loaded; `None` before loading and after unloading.
pub fn running() -> Option<Arc<Running>> {
    slot().clone()
}

/// Loads the module: starts its thread and registers `/ws`.
pub fn start() -> Result<(), StartError> {
    let settings = match Settings::read(Reload::Always) {
        settings::Read::Settings(settings) => Arc::from(settings),
        settings::Read::Unchanged => Arc::default(),
        settings::Read::Invalid => return Err(StartError::Settings),
    };
    let running = Arc::new(Running {
        worker: Worker::start(c"websocket", None)?,
        protocols: Protocols::default(),
        always: Arc::new(AlwaysReadable::new()?),
        buffers: Arc::default(),
        admission: Arc::default(),
        counters: Arc::default(),
        settings: Mutex::new(settings),
        commands: Mutex::new(None),
        uri: Mutex::new(None),
    });
    // Without a use count: a protocol of our own does not keep the module from being unloaded.
    running.protocols.add("echo", None, echo::callback, None);
    *slot() = Some(running.clone());
    match asterisk::cli::register(&cli::COMMANDS) {
        Ok(commands) => *lock(&running.commands) = Some(commands),
        Err(Failed) => {
            // `stop` waits until nobody else holds a reference.
            drop(running);
            let _ = stop(IfRefused::StayStopped);
            return Err(StartError::Commands);
        }
    }
    match http::register() {
        Ok(uri) => *lock(&running.uri) = Some(uri),
        Err(Failed) => {
            // `stop` waits until nobody else holds a reference.
            drop(running);
            let _ = stop(IfRefused::StayStopped);
            return Err(StartError::Uri);
        }
    }
    host::provide();
    Ok(())
}

/// Tells [`stop`] how to leave a module that cannot be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfRefused {
    /// It takes sessions again: the host keeps it loaded.
    GoOn,
    /// It takes no sessions: the host unmaps it all the same.
    StayStopped,
}

/// Unloads the module: ends every session, waits until every callback has returned, and joins the thread. Refused while a
/// callback does not return, because its thread would return into unmapped code; may then be called again.
pub fn stop(if_refused: IfRefused) -> Result<(), Failed> {
    let Some(running) = running() else { return Ok(()) };
    host::withdraw()?;
    if let Some(uri) = &*lock(&running.uri) {
        uri.unlink();
    }
    for protocol in running.protocols.all() {
        running.end_sessions(&protocol);
    }
    let deadline = Instant::now() + PATIENCE;
    for protocol in running.protocols.all() {
        if !protocol.wait(deadline.saturating_duration_since(Instant::now())) {
            let name = protocol.name();
            asterisk::error!("WebSocket: protocol '{name}' does not let go of its sessions, which have ended");
            return running.refuse(if_refused);
        }
    }
    if !running.is_left_alone(deadline) {
        asterisk::error!("WebSocket: the module cannot be unloaded now: a request is still being answered");
        return running.refuse(if_refused);
    }
    for session in running.worker.tasks().all() {
        session.cut(CloseCode::GOING_AWAY);
    }
    // Before the worker stops, because the commands look at its sessions.
    drop(lock(&running.commands).take());
    SHOWN.turn_off();
    running.worker.stop();
    *slot() = None;
    // `/ws` and our code are about to go, and nothing tells when the last thread of the host has left them.
    std::thread::sleep(ON_THE_WAY_OUT);
    drop(lock(&running.uri).take());
    Ok(())
}

/// Reads `websocket.conf` again, for sessions that begin later.
pub fn reload() -> Result<(), Failed> {
    let Some(running) = running() else { return Err(Failed) };
    match Settings::read(Reload::IfChanged) {
        settings::Read::Settings(settings) => *lock(&running.settings) = Arc::from(settings),
        settings::Read::Unchanged => {}
        settings::Read::Invalid => {
            asterisk::error!(
                "WebSocket: websocket.conf cannot be read; the settings that were loaded before stay in force"
            );
            return Err(Failed);
        }
    }
    Ok(())
}

impl Running {
    /// The current settings of `websocket.conf`.
    pub fn settings(&self) -> Arc<Settings> {
        lock(&self.settings).clone()
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
    fn is_left_alone(self: &Arc<Self>, deadline: Instant) -> bool {
        // Two references are the caller's and the slot's.
        while Arc::strong_count(self) > 2 {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Refuses to stop, and does what `if_refused` says.
    fn refuse(&self, if_refused: IfRefused) -> Result<(), Failed> {
        if if_refused == IfRefused::GoOn {
            self.go_on();
        }
        Err(Failed)
    }

    /// Takes sessions again, after [`stop`] was refused.
    fn go_on(&self) {
        for protocol in self.protocols.all() {
            protocol.reopen();
        }
        host::provide();
        let linked = lock(&self.uri).as_ref().is_some_and(|uri| uri.link().is_ok());
        match linked {
            true => asterisk::warning!("WebSocket: res_http_websocket stays, and /ws takes sessions again"),
            false => {
                asterisk::error!("WebSocket: /ws is gone from the HTTP server until the module is unloaded and loaded")
            }
        }
    }

    /// Closes the protocol and its sessions; they end once their peers have answered, or not in time.
    fn end_sessions(&self, protocol: &Arc<Protocol>) {
        protocol.close();
        let sessions = self.worker.tasks().all().into_iter();
        for session in sessions.filter(|session| Arc::ptr_eq(session.protocol(), protocol)) {
            session.close(CloseCode::GOING_AWAY);
        }
    }
}

fn slot() -> MutexGuard<'static, Option<Arc<Running>>> {
    lock(&RUNNING)
}
