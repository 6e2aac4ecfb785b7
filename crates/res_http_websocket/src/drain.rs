//! `webrtc drain`: this host is to become empty. No WebSocket begins and, at `/ws`, no call; what is up goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use asterisk::cli::{Invocation, Outcome};
use asterisk::cli_print;
use websocket::Opcode;

use crate::running::running;

/// Whether we drain. It stays so over a reload of the module, and ends with an unload.
static DRAINS: AtomicBool = AtomicBool::new(false);

/// The time after which a caller may try again (RFC 3261 §21.5.4). It should try another host at once.
const RETRY_AFTER: Duration = Duration::from_secs(websocket::handshake::RETRY_AFTER_SECONDS);

/// Whether no new session may begin.
pub fn is_on() -> bool {
    DRAINS.load(Ordering::Relaxed)
}

/// Ends the draining, for a module that is loaded anew.
pub fn end() {
    DRAINS.store(false, Ordering::Relaxed);
}

/// Returns the answer to a message of a client that would begin a call; `None` if the message passes.
pub fn refuse(opcode: Opcode, message: &[u8]) -> Option<Vec<u8>> {
    let is_message = matches!(opcode, Opcode::Text | Opcode::Binary);
    if is_on() && is_message { sip_dialect::drain::refuse_new_call(message, RETRY_AFTER) } else { None }
}

/// `webrtc drain [on|off]`
pub fn command(invocation: &Invocation<'_>) -> Outcome {
    let wish = match invocation.argument(2) {
        None | Some("on") => true,
        Some("off") => false,
        Some(_) => return Outcome::ShowUsage,
    };
    let Some(running) = running() else { return Outcome::Failure };
    if DRAINS.swap(wish, Ordering::Relaxed) != wish {
        asterisk::notice!("WebSocket: {}", if wish { "draining" } else { "no longer draining" });
    }
    let sessions = running.worker.tasks().all().len();
    match wish {
        true => cli_print!(
            invocation,
            "Draining: new WebSockets and new calls at /ws get 503; {sessions} sessions go on. For calls by UDP and TCP there is\n\
             `core stop gracefully`"
        ),
        false => cli_print!(invocation, "Not draining; {sessions} sessions"),
    }
    Outcome::Success
}
