//! Facts about a call that another module of ours reads in its signalling ([`asterisk::signalling`]): the peer's candidates, one at
//! a time (RFC 8838), their end, and the end of the connection that carries the signalling.
//!
//! The caller is a thread of a WebSocket, in no call of the host's about the session, so the host keeps nothing alive for it. It
//! holds a lock of ours, the `state` of a session or what reads and writes its frames, for as long as it takes to note the fact. The
//! worker thread does the rest.
//!
//! The caller keeps this file mapped by a handle of its own. Loaders before Asterisk 11.11 close a module until it is gone,
//! handles of others included, so unloading waits for callers as well.

use std::ffi::{CStr, c_char, c_int};
use std::sync::Arc;

use ::story::event::By;
use ::story::sip::Message;
use asterisk::callers::{Callers, LAST_STEPS};
use asterisk::fence::fence_crypto;
use asterisk::signalling::{Fact, Receive};
use ice::Signalled;

use crate::clock;
use crate::diagnosis::calls::Connection;
use crate::diagnosis::capture::{self, Content, Direction, Seen};
use crate::diagnosis::story;
use crate::globals::globals;
use crate::session::Session;
use crate::state::State;
use crate::transport::ice::{IceSide, Trickled};

/// The threads that are inside [`asterisk_webrtc_signal`].
static CALLERS: Callers = Callers::new();

/// Takes a fact about the call in whose description of ours `local_ufrag` is the ICE username fragment. Returns 0, or -1 if there is
/// no such call.
///
/// # Safety
/// Both strings are null or end with a NUL, and live during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn asterisk_webrtc_signal(
    kind: c_int,
    local_ufrag: *const c_char,
    value: *const c_char,
) -> c_int {
    let _inside = CALLERS.enter();
    if globals().is_none() {
        return -1;
    }
    // Dropping the last reference to a session frees what OpenSSL holds for it.
    fence_crypto("asterisk_webrtc_signal", -1, || {
        // SAFETY: our caller promises it.
        let (ufrag, value) = unsafe { (text(local_ufrag), text(value)) };
        let (Some(fact), Some(ufrag), Some(value)) = (Fact::from_number(kind), ufrag, value) else { return -1 };
        let is_used = match fact {
            Fact::Message => handle_message(ufrag, value),
            fact => handle(fact, ufrag, value),
        };
        if is_used { 0 } else { -1 }
    })
}

const _: Receive = asterisk_webrtc_signal;

/// Waits until no thread is inside [`asterisk_webrtc_signal`]. For unloading, after [`globals`] are gone.
pub fn wait_for_callers() {
    CALLERS.wait(LAST_STEPS);
}

/// # Safety
/// The pointer is null, or a string that ends with a NUL and lives as long as the result.
unsafe fn text<'a>(raw: *const c_char) -> Option<&'a str> {
    // SAFETY: our caller promises it.
    (!raw.is_null()).then(|| unsafe { CStr::from_ptr(raw) }).and_then(|text| text.to_str().ok())
}

/// Passes a message of SIP on to the capture and to the stories of calls. Returns whether its sender is known.
fn handle_message(from: &str, value: &str) -> bool {
    let by = match from {
        "client" => Some(By::Client),
        "host" => Some(By::Host),
        "drain" => Some(By::Drain),
        // Other answers of ours are no part of the story.
        "module" => None,
        _ => return false,
    };
    if capture::is_on() {
        capture_message(by, value);
    }
    globals().is_some_and(|globals| {
        if let Some(by) = by {
            story::handle_message(&globals, by, value);
        }
        true
    })
}

fn capture_message(by: Option<By>, value: &str) {
    let Some((head, message)) = value.split_once("\n\n") else { return };
    let Connection { address: Some(client), local: Some(local), .. } = Connection::of(head) else { return };
    let Some(call_id) = Message::parse(message.as_bytes()).map(|message| message.call_id) else { return };
    let (direction, from, to) = match by {
        Some(By::Client) => (Direction::In, client, local),
        Some(By::Host | By::Drain) | None => (Direction::Out, local, client),
    };
    let seen = Seen { content: Content::Sip, direction, from, to, octets: message.as_bytes() };
    capture::take_message(call_id, client, &seen);
}

/// Returns whether there is a session with this username fragment of ours.
fn handle(fact: Fact, ufrag: &str, value: &str) -> bool {
    let Some(session) = find(ufrag) else { return false };
    match fact {
        Fact::PictureWanted => {
            session.inform(|state| state.ask_for_picture_soon(clock::now()));
        }
        Fact::Opus => session.note_opus(),
        Fact::Message => return false,
        Fact::Candidate => handle_candidate(&session, value),
        Fact::EndOfCandidates => {
            inform(&session, IceSide::handle_end_of_candidates);
        }
        Fact::SignallingClosed => {
            asterisk::debug!(1, "RTP port {}: the connection of the peer's signalling closed: {value}", port(&session));
            session.inform(|state| {
                let now = clock::now();
                state.transport_mut().gone_mut().handle_signalling_closed(now);
                state.transport_mut().story_mut().note_here(now, ::story::Event::WebSocketClosed);
            });
        }
    }
    true
}

fn handle_candidate(session: &Session, value: &str) {
    let outcome = match value.parse::<Signalled>() {
        Ok(signalled) => match inform(session, |ice| ice.handle_trickled(clock::now(), signalled)) {
            Some(Trickled::Taken) | None => return,
            Some(Trickled::OtherGeneration) => "it belongs to another generation (ufrag)".to_owned(),
            Some(Trickled::OverLimit) => "there are too many".to_owned(),
        },
        Err(error) => {
            inform(session, IceSide::ignore_candidate);
            error.to_string()
        }
    };
    asterisk::debug!(1, "ICE: port {}: a candidate is not used: {outcome}", port(session));
}

/// Finds the session whose ICE username fragment is `ufrag` (RFC 8839 §5.4). Locks the `state` of one session after the other.
fn find(ufrag: &str) -> Option<Arc<Session>> {
    let has_it =
        |state: &State| state.transport().ice().is_some_and(|ice| ice.agent().local_credentials().ufrag == ufrag);
    globals()?.worker().tasks().all().into_iter().find(|session| session.peek(has_it) == Some(true))
}

fn inform<R>(session: &Session, run: impl FnOnce(&mut IceSide) -> R) -> Option<R> {
    session.inform(|state| state.transport_mut().ice_mut().map(run)).flatten()
}

fn port(session: &Session) -> u16 {
    session.peek(|state| state.transport().port()).unwrap_or_default()
}
