//! Responses that this crate gives for the host (RFC 3261 §8.2.6).

use crate::message::Message;

/// Answers a request with 200 (OK). `more` are further header lines, each with its line end.
pub fn ok(request: &Message<'_>, more: &[u8]) -> Vec<u8> {
    let mut response = b"SIP/2.0 200 OK\r\n".to_vec();
    for name in ["via", "from", "to", "call-id", "cseq"] {
        for header in request.headers().filter(|header| header.is(name)) {
            response.extend_from_slice(request.bytes.get(header.lines).unwrap_or_default().trim_ascii_end());
            response.extend_from_slice(b"\r\n");
        }
    }
    response.extend_from_slice(more);
    response.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    response
}
