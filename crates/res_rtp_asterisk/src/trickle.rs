//! Facts from the signalling of a call that the host does not pass on (`asterisk::signalling`).

use std::ffi::{CStr, c_char, c_int};

use asterisk::fence::fence_crypto;
use asterisk::signalling::Fact;
use ice::attribute::{self, Signalled};

use crate::clock;
use crate::globals::globals;
use crate::session::Session;

/// Takes a fact about the call that has our ICE user fragment `ufrag`; answers 0, or -1 if there is no such call. See
/// [`asterisk::signalling::Receive`].
///
/// # Safety
/// Both strings are null or lent for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn asterisk_webrtc_signal(kind: c_int, ufrag: *const c_char, value: *const c_char) -> c_int {
    fence_crypto("asterisk_webrtc_signal", -1, || {
        // SAFETY: the caller's word.
        let (ufrag, value) = unsafe { (text(ufrag), text(value)) };
        let (Some(fact), Some(ufrag), Some(value)) = (Fact::from_number(kind), ufrag, value) else { return -1 };
        if receive(fact, ufrag, value) { 0 } else { -1 }
    })
}

/// # Safety
/// `text` is null or a string that outlives the answer.
unsafe fn text<'a>(text: *const c_char) -> Option<&'a str> {
    // SAFETY: the caller's word.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })?.to_str().ok()
}

fn receive(fact: Fact, ufrag: &str, value: &str) -> bool {
    let Some(globals) = globals() else { return false };
    let sessions = globals.worker().tasks().all();
    let Some(session) = sessions.iter().find(|session| session.is_called(ufrag)) else { return false };
    match fact {
        Fact::Candidate => session.take_candidate(value),
        Fact::EndOfCandidates => {}
        Fact::SignallingClosed => session.note_signalling_closed(clock::now()),
    }
    true
}

impl Session {
    /// Whether our ICE user fragment is this one.
    fn is_called(&self, ufrag: &str) -> bool {
        let is_ours = |ice: &ice::Agent| ice.local_credentials().ufrag == ufrag;
        self.peek(|state| state.transport().ice().is_some_and(|ice| is_ours(ice.agent()))) == Some(true)
    }

    /// Adds a candidate that the peer has sent after its description (RFC 8838 §11).
    fn take_candidate(&self, attribute: &str) {
        let now = clock::now();
        let Some(Signalled::Candidate(candidate)) = attribute::parse(attribute) else { return };
        self.with_at(now, |state| {
            if let Some(ice) = state.transport_mut().ice_mut() {
                ice.add_late_candidate(now, candidate);
                state.drive(now);
            }
        });
    }
}
