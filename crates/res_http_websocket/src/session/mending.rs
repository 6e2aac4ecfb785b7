//! Mending the messages of a `sip` session ([`crate::mend`]).

use std::time::Instant;

use websocket::{Event, Message, Opcode};

use super::{Session, State};
use crate::drain;
use crate::mend::Mended;
use crate::story::{self, From};

impl State {
    /// Mends a message from the client, or answers it: then there is no event left.
    pub(super) fn mend_incoming(&mut self, now: Instant, session: &Session, event: &mut Option<Event>) -> Mended {
        let Some(Event::Message(message)) = event else { return Mended::Not };
        let is_whole = message.opcode != Opcode::Continuation && !message.more_follows;
        let refusal = drain::refuse(message.opcode, &message.payload);
        if let Some(refusal) = refusal.filter(|_| is_whole && session.is_sip()) {
            self.traffic.count_in(message.payload.len());
            self.answer(now, session, &refusal, From::Drain);
            *event = None;
            return Mended::Not;
        }
        let Some(mender) = self.mender.as_mut().filter(|_| is_whole) else { return Mended::Not };
        let mended = mender.handle_client(&message.payload);
        self.told.extend(mender.facts());
        match &mended {
            Mended::Changed(mended, _) => message.payload.clone_from(mended),
            Mended::Answered(response, _) => {
                self.traffic.count_in(message.payload.len());
                self.answer(now, session, response, From::Module);
                *event = None;
            }
            Mended::Not | Mended::Unreadable => {}
        }
        mended
    }

    /// Notes a message from the client for the engine, before the host reads it.
    pub(super) fn tell_incoming(&mut self, session: &Session, event: Option<&Event>) {
        if let Some(Event::Message(Message { opcode: Opcode::Text | Opcode::Binary, payload, more_follows: false })) =
            event
            && session.is_sip()
        {
            self.told.extend(story::told(From::Client, session, payload));
        }
    }

    /// Notes a message that the client is sent, for the engine.
    pub(super) fn tell_outgoing(&mut self, session: &Session, payload: &[u8]) {
        if session.is_sip() {
            self.told.extend(story::told(From::Host, session, payload));
        }
    }

    /// Sends a response for the host. A session that takes no more output has ended, and needs none.
    fn answer(&mut self, now: Instant, session: &Session, response: &[u8], from: From) {
        if self.connection.send_text_or_binary(now, response).is_ok() {
            self.traffic.count_out(response.len());
            self.told.extend(story::told(from, session, response));
        }
    }

    /// Mends a message from the host.
    pub(super) fn mend_outgoing(&mut self, opcode: Opcode, payload: &[u8]) -> Mended {
        let is_message = matches!(opcode, Opcode::Text | Opcode::Binary);
        let Some(mender) = self.mender.as_mut().filter(|_| is_message) else { return Mended::Not };
        let mended = mender.handle_host(payload);
        self.told.extend(mender.facts());
        mended
    }
}
