//! Connects the end of a peer's signalling with the session of its call. The module of the WebSocket sees our ICE username fragment in
//! the descriptions that pass, which names one session.

use crate::clock;
use crate::globals::globals;

/// Notes that the WebSocket of the peer has closed whose description has our ICE username fragment `local_ufrag` (RFC 8839 §5.4).
/// `rtp show sessions` and the log tell it; the call goes on, because the page may connect again. Returns whether there is such a
/// session.
///
/// The caller holds no lock of a session. This locks the `state` of one session after the other, for a look each.
pub fn peer_signalling_gone(local_ufrag: &str) -> bool {
    let Some(globals) = globals() else { return false };
    let now = clock::now();
    let sessions = globals.worker().tasks().all();
    let found = sessions.iter().find(|session| {
        let has_it = session.peek(|state| state.transport().has_local_ufrag(local_ufrag));
        has_it == Some(true)
    });
    found.is_some_and(|session| session.note_signalling_closed(now))
}
