//! A host that is to take no more calls: those that are up go on.

use std::time::Duration;

use crate::message::{Message, Start};
use crate::respond;

/// Answers an INVITE that begins a call with 503 (Service Unavailable) and the time after which to try again (RFC 3261 §21.5.4).
/// Returns `None` for every other message, which passes.
pub fn refuse_new_call(message: &[u8], retry_after: Duration) -> Option<Vec<u8>> {
    // Media and registrations are not INVITEs: most messages need not be read.
    let message = message.starts_with(b"INVITE ").then(|| Message::parse(message)).flatten()?;
    let begins = matches!(message.start, Start::Request(b"INVITE")) && !message.has_to_tag;
    let more = format!("Retry-After: {}\r\n", retry_after.as_secs());
    begins.then(|| respond::unavailable(&message, more.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:echo@pbx SIP/2.0\r\nVia: SIP/2.0/WS a.invalid;branch=z9hG4bK1\r\n\
        From: <sip:1001@pbx>;tag=1\r\nTo: <sip:echo@pbx>\r\nCall-ID: 1\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn rfc3261_section_21_5_4_a_new_call_is_refused_for_a_time() {
        let response = refuse_new_call(INVITE.as_bytes(), Duration::from_secs(5)).unwrap();
        let response = String::from_utf8(response).unwrap();
        assert_eq!(
            response,
            "SIP/2.0 503 Service Unavailable\r\nVia: SIP/2.0/WS a.invalid;branch=z9hG4bK1\r\nFrom: <sip:1001@pbx>;tag=1\r\n\
             To: <sip:echo@pbx>;tag=draining\r\nCall-ID: 1\r\nCSeq: 7 INVITE\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn what_belongs_to_a_call_that_is_up_passes() {
        let again = INVITE.replace("To: <sip:echo@pbx>", "To: <sip:echo@pbx>;tag=2");
        for passes in
            [again, INVITE.replace("INVITE", "REGISTER"), INVITE.replace("INVITE", "BYE"), "INVITE ".to_owned()]
        {
            assert_eq!(refuse_new_call(passes.as_bytes(), Duration::from_secs(5)), None, "{passes}");
        }
    }
}
