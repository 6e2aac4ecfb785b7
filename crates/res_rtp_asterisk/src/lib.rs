//! Asterisk RTP Stack, in place of the host's res_rtp_asterisk.so: the engine of every call.
//!
//! Glue. What RTP, ICE, DTLS-SRTP are is in the crates of those names; here are sockets, threads and
//! locks. `session.rs` says who may hold what; `engine.rs` is the one thread; `state.rs` is a session,
//! `transport.rs` and `receive.rs` what happens to a datagram, `read.rs` and `write.rs` the way to and
//! from the host's frames, `bundle.rs` several sessions over one transport; `host.rs`, `host_ice.rs` and `host_dtls.rs` are
//! what the host calls.
//!
//! Left out:
//! - feedback that chan_pjsip names in SDP by itself, for an endpoint with `webrtc=yes`, and that we do not serve:
//!   `transport-cc`, and for video `goog-remb` and `nack`. A browser goes on with reports and with pictures asked for anew
//!   (`ccm fir`, which we do serve): what a packet that was lost leaves broken stays so until the next whole picture.

mod bundle;
mod config;
mod console;
mod diagnosis;
mod host;
mod media;
mod notes;
mod rtcp;
mod session;
mod state;
mod transport;
mod worker;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use asterisk::config::Reload;
use asterisk::module::{LoadResult, Module};
use asterisk::rtp::Registration;
use asterisk::{Failed, fence, lock};

use crate::config::Settings;
use crate::session::Session;
use crate::transport::contexts::Contexts;
use crate::worker::Worker;

asterisk::module! {
    name: c"res_rtp_asterisk",
    description: c"Asterisk RTP Stack",
    flags: asterisk::module::LOAD_ORDER,
    module: RtpModule,
}

/// The module, to the loader.
struct RtpModule;

/// What all sessions share, from load to unload.
struct Globals {
    settings: Mutex<Arc<Settings>>,
    contexts: Contexts,
    worker: Worker,
}

/// What is registered with the host.
struct Loaded {
    /// Taken back in this order.
    registration: Registration<Session>,
    commands: asterisk::cli::Commands,
    globals: Arc<Globals>,
}

static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);
static GLOBALS: Mutex<Option<Arc<Globals>>> = Mutex::new(None);

impl Module for RtpModule {
    const RELOADS: bool = true;

    fn load() -> LoadResult {
        match load() {
            Ok(()) => LoadResult::Success,
            Err(Failed) => LoadResult::Decline,
        }
    }

    fn unload() -> Result<(), Failed> {
        // The host asks in spite of its use count when it is forced to; the calls' threads would return to code that is
        // no more.
        let sessions = globals().map_or(0, |globals| globals.worker.shared().count());
        if sessions > 0 {
            asterisk::error!("RTP: {sessions} sessions are in use, res_rtp_asterisk stays");
            return Err(Failed);
        }
        let Some(Loaded { registration, commands, globals }) = lock(&LOADED).take() else { return Ok(()) };
        drop(registration);
        drop(commands);
        lock(&GLOBALS).take();
        // Somebody else may hold a count for a moment longer.
        globals.worker.stop();
        Ok(())
    }

    fn reload() -> Result<(), Failed> {
        if let (Some(globals), Some(settings)) = (globals(), Settings::load(Reload::IfChanged)) {
            globals.set_settings(settings);
        }
        transport::certificates::look_at();
        Ok(())
    }

    fn closing() {
        if lock(&LOADED).is_some() {
            // The process ends with calls up, and their threads may still be in there.
            return;
        }
        // SAFETY: the object goes: no session, no thread of ours and no host thread is in it, and each
        // host thread that was has let go of OpenSSL since (`fence::set_after`).
        unsafe { dtls_srtp::cleanup() };
    }
}

fn load() -> Result<(), Failed> {
    fence::set_after(dtls_srtp::thread_stop);
    let settings = Settings::load(Reload::Always).unwrap_or_default();
    let worker = Worker::start().map_err(|error| {
        asterisk::error!("the RTP engine's thread could not be started: {error}");
        Failed
    })?;
    let (first, last) = settings.ports;
    let contexts = Contexts::new(Instant::now());
    if let Some(problem) = contexts.problem() {
        asterisk::error!("DTLS: {problem}");
    }
    let globals = Arc::new(Globals { settings: Mutex::new(Arc::new(settings)), contexts, worker });
    *lock(&GLOBALS) = Some(Arc::clone(&globals));
    let registered = asterisk::rtp::register::<Session>()
        .and_then(|registration| Ok((registration, asterisk::cli::register(&console::commands::COMMANDS)?)));
    let Ok((registration, commands)) = registered else {
        lock(&GLOBALS).take();
        return Err(Failed);
    };
    *lock(&LOADED) = Some(Loaded { registration, commands, globals });
    transport::certificates::look_at();
    asterisk::verbose!(2, "RTP: calls take ports from {first} to {last}");
    Ok(())
}

/// What all sessions share, while the module is loaded.
fn globals() -> Option<Arc<Globals>> {
    lock(&GLOBALS).clone()
}

impl Globals {
    /// What `rtp.conf` says at this moment.
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&lock(&self.settings))
    }

    fn set_settings(&self, settings: Settings) {
        *lock(&self.settings) = Arc::new(settings);
    }
}
