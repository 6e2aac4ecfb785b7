//! `res_http_websocket.so`: `/ws` in the host's HTTP server, for SIP over WebSocket (RFC 7118).
//!
//! Glue only: the protocol is in the `websocket` crate. This crate owns the stream, the descriptor that the consumer of a
//! session polls, one worker thread for the work that must not wait for the consumer, and the functions that C calls.
//! The consumer is the protocol's callback: chan_sip reads one session per HTTP thread.
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
//! Nobody waits under that lock: the stream answers at once, and output that it does not take is left to the worker.
//!
//! | concern | file |
//! |---|---|
//! | the opening handshake of a request at `/ws` | `accept`; the limits on sessions: `limits` |
//! | one session, and its worker thread | `session` ([`asterisk::worker`]) |
//! | subprotocols, `echo` among them | `protocols`, `echo` |
//! | load, reload, unload | `lifecycle`; the state in between: `running`; `websocket.conf`: `settings` |
//! | the functions that C calls | `exports`; those that differ between hosts: `host` |
//! | INVITEs that a client can no longer answer | `call_backs` |
//! | warnings of what does not go with carried formats | `carriers` |
//! | SIP messages mended on their way (`sip-dialect`) | `mend` |
//! | its part of the metrics that `res_rtp_asterisk` serves | `metrics` |
//! | `webrtc drain` | `drain` |
//! | log, manager events, console | `report`, `counters`, `cli` |

mod accept;

mod buffers;
mod call_backs;
mod carriers;
mod cli;
mod counters;
mod drain;
mod echo;
mod exports;
mod host;
mod lifecycle;
mod limits;
mod mend;
mod metrics;
mod protocols;
mod report;
mod running;
mod session;
mod settings;
mod story;

use asterisk::Failed;
use asterisk::module::{self, LoadResult};

use crate::lifecycle::IfRefused;

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
        match lifecycle::start() {
            Ok(()) => LoadResult::Success,
            Err(error) => {
                asterisk::error!("WebSocket: {error}");
                LoadResult::Decline
            }
        }
    }

    fn unload() -> Result<(), Failed> {
        lifecycle::stop(IfRefused::GoOn)
    }

    fn reload() -> Result<(), Failed> {
        lifecycle::reload()
    }

    fn closing() {
        // After a forced unload and a second load, the host keeps no handle to this image: only a loaded chan_sip keeps it
        // mapped, and when chan_sip goes, the image is unmapped without a call of `unload`.
        let _ = lifecycle::stop(IfRefused::StayStopped);
    }
}
