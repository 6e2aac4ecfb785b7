//! `res_http_websocket.so`: `/ws` in the host's HTTP server, for SIP over WebSocket (RFC 7118).
//!
//! Glue only: the protocol is in the `websocket` crate. Here are the stream, the descriptor that the consumer of a
//! session polls, one thread for what must not wait for the consumer, and the functions that C calls.
//!
//! ```text
//!  host's HTTP thread                         chan_sip, any thread            our thread (worker)
//!    accept -> protocol's callback             __ast_websocket_write           queued output, PINGs,
//!      poll(descriptor), __ast_websocket_read    |                             deadlines, closing handshakes
//!             \________________________________  |  __________________________/
//!                                       Session: one short lock
//!                                   websocket::Connection + stream
//! ```
//!
//! `settings` is `websocket.conf`, `admission` who gets in by it, `report` and `counters` what the log, managers and the
//! console (`cli`) are told.
//!
//! Nobody waits under that lock: the stream answers at once, and what it does not take is left to that thread.

mod accept;
mod admission;
mod buffers;
mod cli;
mod counters;
mod echo;
mod exports;
mod host;
mod protocols;
mod report;
mod running;
mod session;
mod settings;

use asterisk::Failed;
use asterisk::module::{self, LoadResult};

use crate::running::IfRefused;

asterisk::module! {
    name: c"res_http_websocket",
    description: c"HTTP WebSocket Support",
    flags: module::GLOBAL_SYMBOLS | module::LOAD_ORDER,
    module: Module,
}

struct Module;

impl module::Module for Module {
    const RELOADS: bool = true;

    fn load() -> LoadResult {
        match running::start() {
            Ok(()) => LoadResult::Success,
            Err(error) => {
                asterisk::error!("WebSocket: {error}");
                LoadResult::Decline
            }
        }
    }

    fn unload() -> Result<(), Failed> {
        running::stop(IfRefused::GoOn)
    }

    fn reload() -> Result<(), Failed> {
        running::reload()
    }

    fn closing() {
        // After a forced unload and a load, the host has no handle of its own: a loaded chan_sip alone keeps the image
        // mapped, and takes it along without an unload.
        let _ = running::stop(IfRefused::StayStopped);
    }
}
