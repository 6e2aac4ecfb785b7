//! Speaking for the client of a `sip` session in what concerns the transport alone ([`sip_dialect::transport`]): its keepalives are
//! answered, and once the session has ended, the INVITEs that it has not answered.

use std::time::Instant;

use sip_dialect::transport::{Incoming, PONG, Sip};
use websocket::{Event, Message, Opcode};

use super::State;

/// The answer of [`super::Session::leave`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Nothing,
    /// Responses to INVITEs, of a session that has ended.
    Unread,
}

/// Messages that we wrote in a client's place.
pub enum Spoken {
    /// To the client, the answer to its keepalive.
    Pong,
    /// To the consumer, the response to an INVITE that the client can no longer answer.
    Response(Vec<u8>),
}

impl State {
    /// Speaks for the client of a `sip` session: answers its keepalive, and once the session has ended, the INVITEs that the
    /// client has not answered. Returns the event for the consumer.
    pub(super) fn speak(&mut self, now: Instant, mut event: Option<Event>) -> (Option<Event>, Option<Spoken>) {
        let is_over = matches!(event, Some(Event::Ended(_))) || event.is_none() && !self.is_open();
        let Some(sip) = &mut self.sip else { return (event, None) };
        if is_over {
            let Some(response) = sip.poll_response() else { return (event, None) };
            let message = Message { opcode: Opcode::Text, payload: response.clone(), more_follows: false };
            return (Some(Event::Message(message)), Some(Spoken::Response(response)));
        }
        let Some(Event::Message(Message { opcode: Opcode::Text | Opcode::Binary, payload, more_follows: false })) =
            &mut event
        else {
            return (event, None);
        };
        let len = payload.len();
        let incoming = sip.handle_incoming(payload);
        if incoming == Incoming::Message {
            return (event, None);
        }
        self.traffic.count_in(len);
        self.traffic.keepalives += 1;
        if incoming == Incoming::Pong || self.connection.send(now, Opcode::Text, PONG).is_err() {
            return (None, None);
        }
        self.traffic.count_out(PONG.len());
        (None, Some(Spoken::Pong))
    }

    /// Whether the session has ended, and the consumer has not read the responses to its INVITEs.
    pub(super) fn has_unread_response(&self) -> bool {
        !self.is_open() && self.sip.as_ref().is_some_and(Sip::has_unanswered)
    }
}
