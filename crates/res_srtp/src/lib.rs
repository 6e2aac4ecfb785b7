//! `res_srtp.so`: the two tables through which the core, chan_sip and the RTP engine use SRTP (RFC 3711).
//!
//! This crate is only glue: the `media-srtp` crate, which wraps libsrtp, implements sessions and policies. To C, a
//! `session::Session` is an `ast_srtp`, and a `policy::Policy` is an `ast_srtp_policy`.
//!
//! - A packet that was received before, or whose authentication fails, is refused with -1 and EAGAIN and changes
//!   nothing. The original creates a new session when an old packet arrives.
//! - `replace` sets new keys in the existing object, because another thread may hold its pointer. Keys that are set
//!   again unchanged continue their counters; the original starts again from zero and so uses one key stream twice.
//! - Each session counts as a use of the module, so the host refuses to unload it while a call is encrypted.
//! - Some hosts leave `a=crypto` in SDP to this module and find it here; others handle it in chan_sip.

mod host;
mod metrics;
mod policy;
mod session;
mod tables;

use std::sync::Mutex;

use asterisk::module::{self, LoadResult};
use asterisk::rtp::{SrtpRegistration, register_srtp};
use asterisk::{Failed, fence};
use media_srtp::Library;

asterisk::module! {
    name: c"res_srtp",
    description: c"Secure RTP (SRTP)",
    flags: module::GLOBAL_SYMBOLS | module::LOAD_ORDER,
    module: Module,
}

struct Module;

/// Everything that exists from load to unload, dropped in this order.
struct Running {
    _sdp: host::Registration,
    _registration: SrtpRegistration,
    _library: Library,
}

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

impl module::Module for Module {
    fn load() -> LoadResult {
        fence::set_after(media_srtp::thread_stop);
        let library = match Library::open() {
            Ok(library) => library,
            Err(error) => {
                asterisk::error!("SRTP: libsrtp cannot be initialised, so calls cannot be encrypted: {error}");
                return LoadResult::Decline;
            }
        };
        media_srtp::thread_stop();
        let Ok(registration) = register_srtp(&tables::SRTP, &tables::POLICY) else {
            asterisk::error!("SRTP: another SRTP module is registered already, unload it first");
            return LoadResult::Decline;
        };
        let Ok(sdp) = host::register() else {
            asterisk::error!("SRTP: another module handles a=crypto already, unload it first");
            return LoadResult::Decline;
        };
        *running() = Some(Running { _sdp: sdp, _registration: registration, _library: library });
        LoadResult::Success
    }

    fn unload() -> Result<(), Failed> {
        // A forced unload comes here in spite of the use count.
        let (sessions, sections) = (session::Session::count(), host::in_use());
        if sessions + sections > 0 {
            asterisk::error!(
                "SRTP: res_srtp is not unloaded: {sessions} sessions and {sections} media sections use it"
            );
            return Err(Failed);
        }
        *running() = None;
        asterisk::metrics::wait_for_callers();
        media_srtp::thread_stop();
        Ok(())
    }

    fn closing() {
        // If the process ends during calls, their threads may still run this module's code.
        if session::Session::count() == 0 {
            // SAFETY: runs in the destructor: no session is left, and nobody can create one any more.
            unsafe { media_srtp::cleanup() };
        }
    }
}

fn running() -> std::sync::MutexGuard<'static, Option<Running>> {
    asterisk::lock(&RUNNING)
}
