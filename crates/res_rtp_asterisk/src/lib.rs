//! The RTP engine of Asterisk: replaces the host's res_rtp_asterisk.so.
//!
//! This crate connects the host to the protocol crates `rtp`, `ice` and `dtls-srtp`. It owns the sockets, threads and locks; the
//! protocol rules are in those crates.
//!
//! | | |
//! |---|---|
//! | `host/` | implements the functions that the host calls |
//! | `session.rs` | one media session, its locks and their order |
//! | `state/` | the part of a session behind its `state` lock |
//! | `transport/` | receives datagrams and sends packets: sockets, ICE, DTLS, SRTP keys |
//! | `media/` | converts RTP packets to host frames and host frames to RTP packets |
//! | `rtcp/` | RTCP reports, picture requests and manager events |
//! | `bundle.rs` | lets several sessions share one transport (RFC 9143) |
//! | `diagnosis/` | explains missing audio; counters and statistics |
//! | `console/` | the CLI commands and manager actions |
//! | `selftest/` | `webrtc selftest`, which tries the installation out |
//! | `worker.rs` | the worker thread |
//! | `carriers.rs` | the threads that carry packets between bridged sessions |
//! | `endings.rs` | ends the calls of peers that are gone |
//! | `metrics/` | `/metrics` for Prometheus |
//! | `reports/` | `/webrtc/call`: the report of a call for its own client |
//! | `pages.rs` | paths of the host's HTTP server, for both |
//! | `gathering/` | finds our public addresses ahead of calls |
//! | `relay/` | makes allocations at TURN servers ahead of calls |
//! | `trickle.rs` | facts that the WebSocket's module reads in SIP: candidates that come after the description |
//!
//! A received packet passes through `host/media.rs`, `state/receive.rs`, `transport/receive.rs` and `media/incoming.rs`. A sent
//! packet passes through `host/media.rs`, `media/outgoing.rs`, `state/send.rs`, `media/source.rs` and `transport/send.rs`.
//!
//! Not supported:
//! - RTCP feedback that chan_pjsip offers in SDP by itself for an endpoint with `webrtc=yes`: `transport-cc`, and for video
//!   `goog-remb` and `nack`. Browsers fall back to RTCP reports and to requests for a whole picture (`ccm fir`), which are
//!   supported. After packet loss a video stays damaged until the next whole picture.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_macros,
        reason = "`cost` counts per thread, in tests only, and its thread-local has no destructor"
    )
)]

mod bundle;
mod carriers;
mod clock;
mod config;
mod console;
mod cost;
mod diagnosis;
mod endings;
mod gathering;
mod globals;
mod host;
mod media;
mod metrics;
mod notes;
mod pace;
#[cfg(test)]
mod packet_cost;
mod pages;
mod relay;
mod reports;
mod rtcp;
mod selftest;
mod session;
mod state;
mod transport;
mod trickle;
mod worker;

use std::ffi::CStr;
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

/// The module as the host's loader sees it.
struct RtpModule;

/// The module's registrations with the host. `unload` drops them in this order.
struct Loaded {
    registration: Registration<Session>,
    commands: asterisk::cli::Commands,
    actions: [asterisk::manager::Registered; 2],
    globals: Arc<Globals>,
}

static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

impl Module for RtpModule {
    const RELOADS: bool = true;
    const LOG_FILE: Option<&'static CStr> = Some(c"res_rtp_asterisk.c");

    fn load() -> LoadResult {
        match load() {
            Ok(()) => LoadResult::Success,
            Err(Failed) => LoadResult::Decline,
        }
    }

    fn unload() -> Result<(), Failed> {
        // A forced unload ignores the host's use count. Threads of running calls would then return to unmapped code.
        let sessions = globals().map_or(0, |globals| globals.worker().tasks().count());
        if sessions > 0 {
            asterisk::error!("RTP: res_rtp_asterisk cannot be unloaded, {sessions} sessions are in use");
            return Err(Failed);
        }
        let Some(Loaded { registration, commands, actions, globals }) = lock(&LOADED).take() else { return Ok(()) };
        drop(registration);
        drop(commands);
        drop(actions);
        metrics::stop();
        reports::stop();
        set_globals(None);
        trickle::wait_for_callers();
        // Stopped explicitly: another thread may still hold a reference to the globals for a moment.
        globals.carriers().stop();
        globals.endings().stop();
        globals.history().stop();
        diagnosis::capture::stop();
        globals.gatherer().stop();
        globals.relays().stop();
        globals.worker().stop();
        globals.contexts().stop();
        Ok(())
    }

    fn reload() -> Result<(), Failed> {
        if let (Some(globals), Some(settings)) = (globals(), Settings::load(Reload::IfChanged)) {
            let (first, last) = settings.ports;
            let (has_metrics, has_reports) = (settings.metrics.is_on, settings.call_reports.is_on);
            // Whom a path is for has to be known before it is open.
            globals.set_settings(settings);
            metrics::configure(has_metrics);
            reports::configure(has_reports);
            asterisk::verbose!(2, "RTP Allocating from port range {first} -> {last}");
        }
        certificates::check_all();
        Ok(())
    }

    fn closing() {
        if lock(&LOADED).is_some() {
            // The process exits while calls are up. Their threads may still be inside OpenSSL.
            return;
        }
        // SAFETY: the shared object is about to be unmapped. No session and no worker thread is left, and each host
        // thread that called into it has released its OpenSSL state (`fence::set_after`).
        unsafe { dtls_srtp::cleanup() };
    }
}

fn load() -> Result<(), Failed> {
    fence::set_after(dtls_srtp::thread_stop);
    let settings = Settings::load(Reload::Always).unwrap_or_default();
    let (first, last) = settings.ports;
    let started = AlwaysReadable::new().and_then(|always| Ok((always, worker::start()?)));
    let (always, worker) = started.map_err(|error| {
        asterisk::error!("RTP: the worker thread could not be started: {error}");
        Failed
    })?;
    let now = clock::now();
    let contexts = Contexts::new(now);
    if let Some(problem) = contexts.problem() {
        asterisk::error!("DTLS: {problem}");
    }
    let globals = Globals::new(settings, contexts, worker, always, now);
    set_globals(Some(Arc::clone(&globals)));
    let registered = asterisk::rtp::register::<Session>().and_then(|registration| {
        let commands = asterisk::cli::register(&console::commands::COMMANDS)?;
        Ok((registration, commands, console::manager::register()?))
    });
    let Ok((registration, commands, actions)) = registered else {
        set_globals(None);
        globals.gatherer().stop();
        globals.relays().stop();
        globals.worker().stop();
        globals.contexts().stop();
        return Err(Failed);
    };
    metrics::configure(globals.settings().metrics.is_on);
    reports::configure(globals.settings().call_reports.is_on);
    globals.history().start();
    *lock(&LOADED) = Some(Loaded { registration, commands, actions, globals });
    certificates::check_all();
    asterisk::verbose!(2, "RTP Allocating from port range {first} -> {last}");
    Ok(())
}
