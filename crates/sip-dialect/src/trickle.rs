//! Candidates in INFO (RFC 8840): who they belong to, and the answer.

use std::collections::VecDeque;

use memchr::memchr;

use crate::Event;
use crate::body;
use crate::memory::{Dialog, Text, bounded};
use crate::message::Message;

/// The content type of candidates (RFC 8840 §9).
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// The most candidates that wait for the host's description.
const MAX_EARLY: usize = 32;

/// The most candidates of one INFO. Each costs the engine a search for its call.
const MAX_AT_ONCE: usize = 64;

/// Whether a request carries candidates.
pub fn carries_candidates(info: &Message<'_>) -> bool {
    body::find(info, FRAGMENT).is_some()
}

/// Reads the candidates of an INFO. Those of a section that the host has described become events, the others wait.
pub fn take(info: &Message<'_>, dialog: &mut Dialog, events: &mut VecDeque<Event>) {
    let Some(part) = body::find(info, FRAGMENT) else { return };
    let text = info.bytes.get(part.content).unwrap_or_default();
    // Attributes before the first `a=mid` are those of the only section that a client without mids has.
    let (mut section, most) = (Some(0), events.len() + MAX_AT_ONCE);
    for line in text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        let Some(attribute) = line.strip_prefix(b"a=") else { continue };
        let name = memchr(b':', attribute).unwrap_or(attribute.len());
        let Some((name, value)) = attribute.split_at_checked(name) else { continue };
        let value = value.get(1..).unwrap_or_default();
        match name {
            b"mid" => section = dialog.client.iter().position(|known| known.place.mid.as_deref() == Some(value)),
            // RFC 8840 §4.4: a fragment of another generation is not this one's.
            b"ice-ufrag" if !dialog.client.iter().any(|known| known.ufrag.as_deref() == Some(value)) => return,
            b"candidate" | b"end-of-candidates" if events.len() < most => {
                if let Some((section, candidate)) = section.zip(bounded(attribute)) {
                    tell(dialog, section, candidate, events);
                }
            }
            _ => {}
        }
    }
}

/// Turns candidates that waited into events, once the host has described their section.
pub fn release(dialog: &mut Dialog, events: &mut VecDeque<Event>) {
    for (section, candidate) in std::mem::take(&mut dialog.early) {
        tell(dialog, section, candidate, events);
    }
}

fn tell(dialog: &mut Dialog, section: usize, candidate: Text, events: &mut VecDeque<Event>) {
    match dialog.host.get(section) {
        Some(Some(ufrag)) => events.push_back(event(ufrag, &candidate)),
        // The host has refused the section, or uses no ICE for it.
        Some(None) => {}
        None if dialog.early.len() < MAX_EARLY => dialog.early.push((section, candidate)),
        None => {}
    }
}

fn event(ufrag: &[u8], attribute: &[u8]) -> Event {
    let ufrag = String::from_utf8_lossy(ufrag).into_owned();
    match attribute {
        b"end-of-candidates" => Event::EndOfCandidates { ufrag },
        _ => Event::Candidate { ufrag, candidate: String::from_utf8_lossy(attribute).into_owned() },
    }
}
