//! The bodies of the fuzz targets, which `tests/fuzz` calls. They panic when a promise of the crate is broken.

use crate::message::Message;
use crate::transport::{Incoming, Sip};
use crate::{Dialect, Outcome, Rule, Rules, memory};

/// Takes messages, between NULs, in turns from the client and the host. A message without rules is the same; a changed one is
/// not changed again and has the right length; an answer is SIP; memory stays bounded.
pub fn dialogue(input: &[u8]) {
    let (mut dialect, mut idle) = (Dialect::new(Rules::ALL), Dialect::new(Rules::NONE));
    for (index, message) in input.split(|byte| *byte == 0).enumerate() {
        let take = if index % 2 == 0 { Dialect::handle_client } else { Dialect::handle_host };
        assert!(matches!(take(&mut idle, message), Outcome::Unchanged | Outcome::Unreadable));
        check(&mut dialect, take, message);
        assert!(dialect.memory() <= memory::MAX_BYTES);
        while dialect.poll_event().is_some() {}
    }
}

fn check(dialect: &mut Dialect, take: fn(&mut Dialect, &[u8]) -> Outcome, message: &[u8]) {
    match take(dialect, message) {
        Outcome::Unchanged | Outcome::Unreadable => {}
        Outcome::Changed { message: changed, rules } => {
            assert!(rules != Rules::NONE && changed != message);
            assert!(Message::parse(&changed).is_some(), "Content-Length is right");
            // To the dialog it is another description, which may have a higher version.
            let is_done = match take(dialect, &changed) {
                Outcome::Unchanged => true,
                Outcome::Changed { rules, .. } => rules == Rule::Version.into(),
                _ => false,
            };
            assert!(is_done, "a changed message is changed again");
        }
        Outcome::Answered { response, .. } => {
            let (asked, answer) = (Message::parse(message), Message::parse(&response));
            let (Some(asked), Some(answer)) = (asked, answer) else { panic!("an answer is SIP") };
            assert_eq!((asked.call_id, asked.sequence), (answer.call_id, answer.sequence));
        }
    }
}

/// Takes the input in as a message of SIP in both directions. A response is written for INVITEs only, is one head, and
/// ends what it answers.
pub fn transport(message: &[u8]) {
    let mut sip = Sip::default();
    sip.handle_outgoing(message);
    assert!(!sip.has_unanswered() || message.starts_with(b"INVITE "));
    if let Some(mut response) = sip.poll_response() {
        assert!(response.ends_with(b"\r\n\r\n") && !Sip::is_for_us(&response));
        sip.handle_outgoing(message);
        assert_eq!(sip.handle_incoming(&mut response), Incoming::Message);
        assert!(!sip.has_unanswered());
    }
    let mut incoming = message.to_vec();
    sip.handle_incoming(&mut incoming);
    assert!(message.ends_with(&incoming) && !incoming.starts_with(b"\r\n") || message == incoming);
}
