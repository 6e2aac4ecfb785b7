//! `res_srtp.so`: the two tables through which the core, chan_sip and the RTP engine reach SRTP (RFC 3711).
//!
//! Glue only: sessions and policies are in the `media-srtp` crate, which owns libsrtp's. Here is what C knows of them: a
//! `session::Session` is C's `ast_srtp`, a `policy::Policy` its `ast_srtp_policy`.
//!
//! - A packet that was seen before, or that does not authenticate, is refused with -1 and EAGAIN, and changes nothing. The
//!   original made its session anew when an old packet arrived.
//! - `replace` puts new keys into the object that is there, since another thread may hold the pointer. Keys that are given
//!   again go on with their counters; the original began with zero again and used one key stream twice.
//! - Each session is a use of the module, so the host refuses to unload it while a call is encrypted.
//! - A host that leaves `a=crypto` in SDP to this module finds it here as well; others have it in chan_sip.

mod host;
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

/// What exists from load to unload; taken back in this order.
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
                asterisk::error!("SRTP: libsrtp does not start: {error}");
                return LoadResult::Decline;
            }
        };
        media_srtp::thread_stop();
        let Ok(registration) = register_srtp(&tables::SRTP, &tables::POLICY) else {
            asterisk::error!("SRTP: another module is registered already");
            return LoadResult::Decline;
        };
        let Ok(sdp) = host::register() else {
            asterisk::error!("SRTP: another module negotiates a=crypto already");
            return LoadResult::Decline;
        };
        *running() = Some(Running { _sdp: sdp, _registration: registration, _library: library });
        LoadResult::Success
    }

    fn unload() -> Result<(), Failed> {
        // The host asks in spite of its use count when it is forced to.
        let (sessions, sections) = (session::Session::count(), host::in_use());
        if sessions + sections > 0 {
            asterisk::error!("SRTP: {sessions} sessions and {sections} media sections are in use, res_srtp stays");
            return Err(Failed);
        }
        *running() = None;
        media_srtp::thread_stop();
        Ok(())
    }

    fn closing() {
        // When the process ends with calls up, their threads may still be in there.
        if session::Session::count() == 0 {
            // SAFETY: runs in the destructor, no session is left, and nobody can make one any more.
            unsafe { media_srtp::cleanup() };
        }
    }
}

fn running() -> std::sync::MutexGuard<'static, Option<Running>> {
    asterisk::lock(&RUNNING)
}
