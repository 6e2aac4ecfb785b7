//! Asterisk RTP Stack, in place of the host's res_rtp_asterisk.so: the engine of every call.
//!
//! Glue. What RTP, ICE and DTLS-SRTP are is in the crates of those names; here are sockets, threads and locks.
//!
//! | | |
//! |---|---|
//! | `host/` | the calls that the host makes |
//! | `session.rs` | one call's media, and who may hold which lock of it |
//! | `state.rs` | what is under the lock, put together |
//! | `transport/` | a datagram in, a packet out: sockets, ICE, DTLS, keys, and who reads |
//! | `media/` | packets become frames, frames become packets |
//! | `rtcp/` | reports, requests for pictures, manager events |
//! | `bundle.rs` | several sessions over one transport |
//! | `diagnosis/` | why there is no audio; counters and statistics |
//! | `console/` | commands |
//! | `worker.rs` | the thread |
//!
//! A packet comes in by `host/media.rs`, `state.rs`, `transport/receive.rs` and `media/incoming.rs`. It goes out by `host/media.rs`,
//! `media/outgoing.rs`, `state.rs`, `media/source.rs` and `transport/send.rs`.
//!
//! Left out:
//! - feedback that chan_pjsip names in SDP by itself, for an endpoint with `webrtc=yes`, and that we do not serve:
//!   `transport-cc`, and for video `goog-remb` and `nack`. A browser goes on with reports and with pictures asked for anew
//!   (`ccm fir`, which we do serve): what a packet that was lost leaves broken stays so until the next whole picture.
// Clippy looks for this one at the root of a crate only; `cost.rs` counts for each thread of the tests.
#![cfg_attr(test, allow(clippy::disallowed_macros, reason = "the tests are a process of their own"))]

mod bundle;
mod clock;
mod config;
mod console;
mod cost;
mod diagnosis;
mod globals;
mod host;
mod media;
mod notes;
#[cfg(test)]
mod packet_cost;
mod rtcp;
mod session;
mod state;
mod transport;
mod worker;

use std::sync::{Arc, Mutex};

use asterisk::config::Reload;
use asterisk::module::{LoadResult, Module};
use asterisk::pollable::AlwaysReadable;
use asterisk::rtp::Registration;
use asterisk::{Failed, fence, lock};

use crate::config::Settings;
use crate::globals::{Globals, globals, set_globals};
use crate::session::Session;
use crate::transport::certificates;
use crate::transport::contexts::Contexts;

asterisk::module! {
    name: c"res_rtp_asterisk",
    description: c"Asterisk RTP Stack",
    flags: asterisk::module::LOAD_ORDER,
    module: RtpModule,
}

/// The module, to the loader.
struct RtpModule;

/// The module's registrations with the host. They are taken back in this order.
struct Loaded {
    registration: Registration<Session>,
    commands: asterisk::cli::Commands,
    globals: Arc<Globals>,
}

static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

impl Module for RtpModule {
    const RELOADS: bool = true;

    fn load() -> LoadResult {
        match load() {
            Ok(()) => LoadResult::Success,
            Err(Failed) => LoadResult::Decline,
        }
    }

    fn unload() -> Result<(), Failed> {
        // When it is forced to, the host asks in spite of its use count; the calls' threads would return to code that is gone.
        let sessions = globals().map_or(0, |globals| globals.worker().tasks().count());
        if sessions > 0 {
            asterisk::error!("RTP: {sessions} sessions are in use, res_rtp_asterisk stays");
            return Err(Failed);
        }
        let Some(Loaded { registration, commands, globals }) = lock(&LOADED).take() else { return Ok(()) };
        drop(registration);
        drop(commands);
        set_globals(None);
        // Another thread may hold a count of the globals for a moment longer.
        globals.worker().stop();
        Ok(())
    }

    fn reload() -> Result<(), Failed> {
        if let (Some(globals), Some(settings)) = (globals(), Settings::load(Reload::IfChanged)) {
            globals.set_settings(settings);
        }
        certificates::look_at();
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
    let (first, last) = settings.ports;
    let started = AlwaysReadable::new().and_then(|always| Ok((always, worker::start()?)));
    let (always, worker) = started.map_err(|error| {
        asterisk::error!("the RTP engine's thread could not be started: {error}");
        Failed
    })?;
    let now = clock::now();
    let contexts = Contexts::new(now);
    if let Some(problem) = contexts.problem() {
        asterisk::error!("DTLS: {problem}");
    }
    let globals = Globals::new(settings, contexts, worker, always, now);
    set_globals(Some(Arc::clone(&globals)));
    let registered = asterisk::rtp::register::<Session>()
        .and_then(|registration| Ok((registration, asterisk::cli::register(&console::commands::COMMANDS)?)));
    let Ok((registration, commands)) = registered else {
        set_globals(None);
        return Err(Failed);
    };
    *lock(&LOADED) = Some(Loaded { registration, commands, globals });
    certificates::look_at();
    asterisk::verbose!(2, "RTP: calls take ports from {first} to {last}");
    Ok(())
}
