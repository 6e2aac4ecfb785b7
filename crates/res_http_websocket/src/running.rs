//! What there is while the module is loaded, and how it comes and goes.
//!
//! The host may unload and load twice on one image (a loaded chan_sip keeps it mapped), so nothing here is initialised
//! once: everything is made by [`start`] and gone after [`stop`].

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

/// Everything that is running.
pub struct Running {
    /// The one thread of this module: writes what a stream did not take at once, lets deadlines pass, and sees closing
    /// handshakes through.
    pub worker: Worker<Session>,
    pub protocols: Protocols,
    pub always: Arc<AlwaysReadable>,
    pub buffers: Arc<Buffers>,
    pub admission: Arc<Admission>,
    pub counters: Arc<Counters>,
    settings: Mutex<Arc<Settings>>,
    commands: Mutex<Option<Commands>>,
    uri: Mutex<Option<Uri<WebSocketUri>>>,
}

static RUNNING: Mutex<Option<Arc<Running>>> = Mutex::new(None);

/// How long a protocol's callbacks may take to return after their sessions were ended, before an unload is refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same for a protocol that goes on its own: its module goes away whatever we say.
const PROTOCOL_PATIENCE: Duration = Duration::from_secs(5);

/// What the threads of the host take that have just found `/ws`, or are returning from our code, with a lot to spare.
const ON_THE_WAY_OUT: Duration = Duration::from_millis(50);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot set up its thread: {0}")]
    Io(#[from] io::Error),
    #[error("websocket.conf cannot be read, and what it forbids is not known")]
    Settings,
    #[error("cannot register /ws with the HTTP server")]
    Uri,
    #[error("cannot register its commands")]
    Commands,
}

/// What runs now; `None` before loading and after unloading.
pub fn running() -> Option<Arc<Running>> {
    slot().clone()
}

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
    // Our own: it needs no reference of the module to itself.
    running.protocols.add("echo", None, echo::callback, None);
    *slot() = Some(running.clone());
    match asterisk::cli::register(&cli::COMMANDS) {
        Ok(commands) => *lock(&running.commands) = Some(commands),
        Err(Failed) => {
            // It would be waited for.
            drop(running);
            let _ = stop(IfRefused::StayStopped);
            return Err(StartError::Commands);
        }
    }
    match http::register() {
        Ok(uri) => *lock(&running.uri) = Some(uri),
        Err(Failed) => {
            // It would be waited for.
            drop(running);
            let _ = stop(IfRefused::StayStopped);
            return Err(StartError::Uri);
        }
    }
    host::provide();
    Ok(())
}

/// What becomes of a module that cannot be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfRefused {
    /// The host keeps it: it takes sessions again.
    GoOn,
    /// It is unmapped all the same.
    StayStopped,
}

/// Ends every session, waits for every callback, joins the thread. Refused while a callback does not come back: its
/// thread would return into code that is gone. May be called again then.
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
        asterisk::error!("WebSocket: a request is still being answered");
        return running.refuse(if_refused);
    }
    for session in running.worker.tasks().all() {
        session.cut(CloseCode::GOING_AWAY);
    }
    // They look at sessions.
    drop(lock(&running.commands).take());
    SHOWN.turn_off();
    running.worker.stop();
    *slot() = None;
    // `/ws` and our code are about to go, and nothing tells when the last of those threads has left them.
    std::thread::sleep(ON_THE_WAY_OUT);
    drop(lock(&running.uri).take());
    Ok(())
}

/// Reads `websocket.conf` again, for sessions to come.
pub fn reload() -> Result<(), Failed> {
    let Some(running) = running() else { return Err(Failed) };
    match Settings::read(Reload::IfChanged) {
        settings::Read::Settings(settings) => *lock(&running.settings) = Arc::from(settings),
        settings::Read::Unchanged => {}
        settings::Read::Invalid => {
            asterisk::error!("WebSocket: websocket.conf cannot be read, what it said before stays");
            return Err(Failed);
        }
    }
    Ok(())
}

impl Running {
    /// What `websocket.conf` says at this moment.
    pub fn settings(&self) -> Arc<Settings> {
        lock(&self.settings).clone()
    }

    /// A protocol of another module; `false` if the name is taken.
    pub fn add_protocol(&self, name: &str, attempt: Option<Attempt>, callback: Callback) -> bool {
        let added = self.protocols.add(name, attempt, callback, Some(UseCount::take()));
        if added {
            asterisk::verbose!(2, "WebSocket: sub-protocol '{name}' registered");
        }
        added
    }

    /// Takes it out together with its sessions; `false` if this is not it.
    pub fn remove_protocol(&self, name: &str, callback: Callback) -> bool {
        self.remove_from(&self.protocols, name, callback)
    }

    /// The same for another list of protocols.
    pub fn remove_from(&self, protocols: &Protocols, name: &str, callback: Callback) -> bool {
        let Some(protocol) = protocols.remove(name, callback) else { return false };
        self.end_sessions(&protocol);
        if !protocol.wait(PROTOCOL_PATIENCE) {
            asterisk::error!("WebSocket: protocol '{name}' goes while it still has sessions");
        }
        asterisk::verbose!(2, "WebSocket: sub-protocol '{name}' unregistered");
        true
    }

    /// Waits for the threads of the host that answer a request: one with an error, to a peer that does not read, may take
    /// its time, and belongs to no protocol.
    fn is_left_alone(self: &Arc<Self>, deadline: Instant) -> bool {
        // Ours, and the slot's.
        while Arc::strong_count(self) > 2 {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Whoever comes is served again, unless nobody can be.
    fn refuse(&self, if_refused: IfRefused) -> Result<(), Failed> {
        if if_refused == IfRefused::GoOn {
            self.go_on();
        }
        Err(Failed)
    }

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
