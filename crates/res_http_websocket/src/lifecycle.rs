//! Load, reload and unload: everything that exists while the module is loaded.
//!
//! The host may unload and load the module twice on one image (a loaded chan_sip keeps it mapped), so nothing here is
//! initialised only once: [`start`] makes everything, and after [`stop`] all of it is gone.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use asterisk::cli::Commands;
use asterisk::config::Reload;
use asterisk::http::{self, Uri};
use asterisk::{Failed, lock};
use websocket::CloseCode;

use crate::accept::WebSocketUri;
use crate::report::SHOWN;
use crate::running::{Running, running, set_running};
use crate::settings::{self, Settings};
use crate::{cli, drain, echo, host};

/// The registrations with the host.
struct Registered {
    commands: Option<Commands>,
    uri: Option<Uri<WebSocketUri>>,
}

static REGISTERED: Mutex<Registered> = Mutex::new(Registered { commands: None, uri: None });

/// How long the callbacks of all protocols may take to return once their sessions were ended. After that, an unload is
/// refused.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// Loads the module: starts its thread and registers `/ws`.
pub fn start() -> Result<(), StartError> {
    let settings = match Settings::read(Reload::Always) {
        settings::Read::Settings(settings) => Arc::from(settings),
        settings::Read::Unchanged => Arc::default(),
        settings::Read::Invalid => return Err(StartError::Settings),
    };
    drain::end();
    let running = Running::new(settings)?;
    // Without a use count: a protocol of our own does not keep the module from being unloaded.
    running.protocols.add("echo", None, echo::callback, None);
    set_running(Some(running.clone()));
    match asterisk::cli::register(&cli::COMMANDS) {
        Ok(commands) => lock(&REGISTERED).commands = Some(commands),
        Err(Failed) => {
            // `stop` waits until nobody else holds a reference.
            drop(running);
            let _ = stop(IfRefused::StayStopped);
            return Err(StartError::Commands);
        }
    }
    match http::register() {
        Ok(uri) => lock(&REGISTERED).uri = Some(uri),
        Err(Failed) => {
            // `stop` waits until nobody else holds a reference.
            drop(running);
            let _ = stop(IfRefused::StayStopped);
            return Err(StartError::Uri);
        }
    }
    host::provide();
    running.carriers.handle_load(running.settings().sip_rules);
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
    if let Some(uri) = &lock(&REGISTERED).uri {
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
            return refuse(&running, if_refused);
        }
    }
    if !running.is_left_alone(deadline) {
        asterisk::error!("WebSocket: the module cannot be unloaded now: a request is still being answered");
        return refuse(&running, if_refused);
    }
    for session in running.worker.tasks().all() {
        session.cut(CloseCode::GOING_AWAY);
    }
    // Before the worker stops, because the commands look at its sessions.
    let commands = lock(&REGISTERED).commands.take();
    drop(commands);
    SHOWN.turn_off();
    running.call_backs.stop();
    running.worker.stop();
    set_running(None);
    asterisk::metrics::wait_for_callers();
    // `/ws` and our code are about to go, and nothing tells when the last thread of the host has left them.
    std::thread::sleep(ON_THE_WAY_OUT);
    let uri = lock(&REGISTERED).uri.take();
    drop(uri);
    Ok(())
}

/// Reads `websocket.conf` again, for sessions that begin later.
pub fn reload() -> Result<(), Failed> {
    let Some(running) = running() else { return Err(Failed) };
    match Settings::read(Reload::IfChanged) {
        settings::Read::Settings(settings) => {
            running.carriers.handle_reload(settings.sip_rules);
            running.set_settings(Arc::from(settings));
        }
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

/// Refuses to stop, and does what `if_refused` says.
fn refuse(running: &Running, if_refused: IfRefused) -> Result<(), Failed> {
    if if_refused == IfRefused::GoOn {
        go_on(running);
    }
    Err(Failed)
}

/// Takes sessions again, after [`stop`] was refused.
fn go_on(running: &Running) {
    for protocol in running.protocols.all() {
        protocol.reopen();
    }
    host::provide();
    let linked = lock(&REGISTERED).uri.as_ref().is_some_and(|uri| uri.link().is_ok());
    match linked {
        true => asterisk::warning!("WebSocket: res_http_websocket stays, and /ws takes sessions again"),
        false => {
            asterisk::error!("WebSocket: /ws is gone from the HTTP server until the module is unloaded and loaded")
        }
    }
}
