//! SIP in messages (RFC 7118), as far as it is the transport's business: keepalives of CRLF (RFC 5626 §3.5.1), and INVITEs
//! that a client can no longer answer (RFC 3261 §8.1.3.1).
//!
//! Only INVITEs are read, and final responses to them.

use std::collections::VecDeque;

use crate::message::{Message, Start};

/// The SIP of one session, as a server.
#[derive(Debug, Default)]
pub struct Sip {
    /// INVITEs that began no dialog yet and have no final response, oldest first.
    unanswered: VecDeque<Invite>,
}

/// The content of a message from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming {
    /// A SIP message.
    Message,
    /// A keepalive, to be answered with [`PONG`] (RFC 5626 §4.4.1).
    Ping,
    /// The answer to a keepalive.
    Pong,
}

/// The answer to a keepalive (RFC 5626 §4.4.1).
pub const PONG: &[u8] = b"\r\n";

/// The most INVITEs that are remembered. The oldest is forgotten for one more: then its timer ends it.
const MAX_UNANSWERED: usize = 64;

/// The tag of our responses.
const TAG: &[u8] = b";tag=unreachable";

#[derive(Debug)]
struct Invite {
    call_id: Vec<u8>,
    /// The number in `CSeq`.
    number: u32,
    response: Vec<u8>,
}

impl Sip {
    /// Whether a message to the client is for us: the ACK of a response of [`Self::poll_response`] goes no further than the
    /// response came from (RFC 3261 §17.1.1.3).
    pub fn is_for_us(message: &[u8]) -> bool {
        let to = |message: &[u8]| Message::parse(message)?.value("to").map(|to| to.ends_with(TAG));
        message.starts_with(b"ACK ") && to(message) == Some(true)
    }

    /// Takes in a message from the client. CRLFs in front of a SIP message are removed (RFC 3261 §7.5); a client whose
    /// keepalive and message are sent together may put them there.
    pub fn handle_incoming(&mut self, message: &mut Vec<u8>) -> Incoming {
        let crlfs = message.chunks(2).take_while(|two| *two == b"\r\n").count();
        match (crlfs, message.len() == 2 * crlfs) {
            (1, true) => return Incoming::Pong,
            (2.., true) => return Incoming::Ping,
            (0, _) => {}
            _ => drop(message.drain(..2 * crlfs)),
        }
        if !self.unanswered.is_empty() {
            self.handle_response(message);
        }
        Incoming::Message
    }

    fn handle_response(&mut self, bytes: &[u8]) {
        let Some(message) = Message::parse(bytes).filter(|message| message.answers(b"INVITE")) else { return };
        if matches!(message.start, Start::Response(200..)) {
            self.forget(message.call_id, message.sequence.number);
        }
    }

    /// Notes a message to the client, whether or not it could be sent: an INVITE wants a final response.
    pub fn handle_outgoing(&mut self, message: &[u8]) {
        let Some(invite) = Invite::outside_of_a_dialog(message) else { return };
        self.forget(&invite.call_id, invite.number);
        if self.unanswered.len() == MAX_UNANSWERED {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back(invite);
    }

    /// Whether [`Self::poll_response`] would return a response.
    pub fn has_unanswered(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// Returns the final response to the oldest INVITE that has none. For a session that has ended: a failed transport ends
    /// the INVITE's transaction at once.
    ///
    /// The status is 408 (Request Timeout), which RFC 3261 §8.1.3.1 has for a client that does not answer. It has 503 for a
    /// transport that fails, but chan_sip 11 makes congestion of that, and Dial should say what it says of a peer that is
    /// not registered: CHANUNAVAIL.
    pub fn poll_response(&mut self) -> Option<Vec<u8>> {
        self.unanswered.pop_front().map(|invite| invite.response)
    }

    fn forget(&mut self, call_id: &[u8], number: u32) {
        self.unanswered.retain(|invite| invite.call_id != call_id || invite.number != number);
    }
}

impl Invite {
    /// Reads an INVITE whose `To` has no tag; `None` for any other message.
    fn outside_of_a_dialog(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(b"INVITE ") {
            return None;
        }
        let message = Message::parse(bytes).filter(|message| message.sequence.method == b"INVITE")?;
        let (from, to) = (message.value("from")?, message.value("to")?);
        let cseq = format!("{} INVITE", message.sequence.number);
        if message.has_to_tag {
            return None;
        }
        // A response has the headers of its request, and a tag in To (RFC 3261 §8.2.6.2).
        let mut response = b"SIP/2.0 408 Request Timeout\r\n".to_vec();
        for via in message.headers().filter(|header| header.is("via")) {
            response.extend_from_slice(bytes.get(via.lines)?);
        }
        for (name, value, more) in [
            ("From", from, b"".as_slice()),
            ("To", to, TAG),
            ("Call-ID", message.call_id, b""),
            ("CSeq", cseq.as_bytes(), b""),
            ("Warning", br#"399 localhost "the WebSocket has ended""#.as_slice(), b""),
            ("Content-Length", b"0", b"\r\n"),
        ] {
            response.extend([name.as_bytes(), b": ", value, more, b"\r\n"].concat());
        }
        Some(Self { call_id: message.call_id.to_vec(), number: message.sequence.number, response })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:1001@192.0.2.1:4711;transport=ws SIP/2.0\r\n\
        Via: SIP/2.0/WS 192.0.2.9:5060;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n\
        From: \"a: b\" <sip:600@pbx.example>;tag=as1\r\nTo: <sip:1001@192.0.2.1:4711;transport=ws>\r\n\
        Call-ID: 1@pbx.example\r\nCSeq: 102 INVITE\r\nContent-Length: 6\r\n\r\nTo: x\n";

    fn answered(sip: &mut Sip, status: &str, cseq: &str) {
        let response = format!("SIP/2.0 {status}\r\nCall-ID: 1@pbx.example\r\nCSeq: {cseq}\r\n\r\n");
        assert_eq!(sip.handle_incoming(&mut response.into_bytes()), Incoming::Message);
    }

    #[test]
    fn rfc_5626_section_4_4_1_two_crlfs_are_a_ping_and_one_is_a_pong() {
        let incoming = |text: &str| {
            let mut message = text.as_bytes().to_vec();
            let incoming = Sip::default().handle_incoming(&mut message);
            (incoming, String::from_utf8(message).unwrap())
        };
        assert_eq!(incoming("\r\n\r\n").0, Incoming::Ping);
        assert_eq!(incoming("\r\n\r\n\r\n\r\n").0, Incoming::Ping);
        assert_eq!(incoming("\r\n").0, Incoming::Pong);
        for other in ["", "\r", "\n", "\n\n", "x\r\n", "BYE x\r\n\r\n", "\0\0", "\r\r\n\n"] {
            assert_eq!(incoming(other), (Incoming::Message, other.to_owned()));
        }
        // RFC 3261 §7.5.
        assert_eq!(incoming("\r\n\r\nBYE x\r\n\r\n"), (Incoming::Message, "BYE x\r\n\r\n".to_owned()));
        assert_eq!(incoming("\r\n\r"), (Incoming::Message, "\r".to_owned()));
    }

    #[test]
    fn rfc_3261_section_8_2_6_2_an_invite_that_reaches_nobody_is_answered() {
        let mut sip = Sip::default();
        sip.handle_outgoing(INVITE.as_bytes());
        let response = String::from_utf8(sip.poll_response().unwrap()).unwrap();
        assert_eq!(
            response,
            "SIP/2.0 408 Request Timeout\r\nVia: SIP/2.0/WS 192.0.2.9:5060;branch=z9hG4bK1;rport\r\n\
             From: \"a: b\" <sip:600@pbx.example>;tag=as1\r\n\
             To: <sip:1001@192.0.2.1:4711;transport=ws>;tag=unreachable\r\nCall-ID: 1@pbx.example\r\nCSeq: 102 INVITE\r\n\
             Warning: 399 localhost \"the WebSocket has ended\"\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(sip.poll_response(), None);
        let ack = response.replace("SIP/2.0 408 Request Timeout", "ACK sip:1001@192.0.2.1:4711 SIP/2.0");
        assert!(Sip::is_for_us(ack.as_bytes()));
        assert!(!Sip::is_for_us(ack.replace("tag=unreachable", "tag=x").as_bytes()));
        assert!(!Sip::is_for_us(ack.replace("ACK ", "BYE ").as_bytes()));
        let compact = INVITE
            .replace("Via:", "v:")
            .replace("From:", "f:")
            .replacen("\r\nTo:", "\r\nt:", 1)
            .replace("Call-ID", "i");
        sip.handle_outgoing(compact.as_bytes());
        assert_eq!(String::from_utf8(sip.poll_response().unwrap()).unwrap(), response.replace("Via:", "v:"));
    }

    #[test]
    fn the_response_ends_the_invite_that_it_answers_whatever_else_is_in_it() {
        let twice = INVITE.replace("CSeq: 102 INVITE", "CSeq: 101 BYE\r\nCSeq: 102 INVITE");
        let mut sip = Sip::default();
        sip.handle_outgoing(twice.as_bytes());
        let mut response = sip.poll_response().unwrap();
        sip.handle_outgoing(twice.as_bytes());
        assert_eq!(sip.handle_incoming(&mut response), Incoming::Message);
        assert!(!sip.has_unanswered());
    }

    #[test]
    fn only_an_invite_outside_of_a_dialog_is_answered() {
        let mut sip = Sip::default();
        for other in [
            INVITE.replacen("INVITE", "OPTIONS", 1),
            INVITE.replace("transport=ws>", "transport=ws> ; Tag = x"),
            INVITE.replace("<sip:1001@192.0.2.1:4711;transport=ws>", "sip:1001@192.0.2.1;tag=x"),
            INVITE.replace("CSeq", "X"),
            INVITE.replace("\r\nTo:", "\r\n\r\nTo:"),
            "INVITE ".to_owned(),
            String::new(),
        ] {
            sip.handle_outgoing(other.as_bytes());
            assert!(!sip.has_unanswered(), "{other}");
        }
        sip.handle_outgoing(INVITE.replace("transport=ws>", "tag=1>").as_bytes());
        assert!(sip.has_unanswered(), "a parameter of the URI is no tag");
    }

    #[test]
    fn rfc_3261_section_17_1_1_2_a_final_response_ends_an_invite_and_a_provisional_one_does_not() {
        let mut sip = Sip::default();
        sip.handle_outgoing(INVITE.as_bytes());
        answered(&mut sip, "180 Ringing", "102 INVITE");
        answered(&mut sip, "200 OK", "102 CANCEL");
        answered(&mut sip, "200 OK", "101 INVITE");
        assert!(sip.has_unanswered());
        answered(&mut sip, "401 Unauthorized", "102 INVITE");
        assert!(!sip.has_unanswered());
        sip.handle_outgoing(INVITE.replace("102 INVITE", "103 INVITE").as_bytes());
        answered(&mut sip, "200 OK", "103 INVITE");
        assert!(!sip.has_unanswered());
    }

    #[test]
    fn a_repeated_invite_counts_once_and_few_are_remembered() {
        let mut sip = Sip::default();
        (0..3).for_each(|_| sip.handle_outgoing(INVITE.as_bytes()));
        assert_eq!(sip.unanswered.len(), 1);
        (0..1000).for_each(|number| sip.handle_outgoing(INVITE.replace("102", &number.to_string()).as_bytes()));
        assert_eq!(sip.unanswered.len(), MAX_UNANSWERED);
    }
}
