//! Responses that this crate gives for the host (RFC 3261 §8.2.6).

use crate::message::Message;

/// Answers a request with 200 (OK). `more` are further header lines, each with its line end.
pub fn ok(request: &Message<'_>, more: &[u8]) -> Vec<u8> {
    respond(request, b"200 OK", b"", more)
}

/// Answers a request outside of a dialog with 503 (Service Unavailable). `more` are further header lines, each with its line end.
pub fn unavailable(request: &Message<'_>, more: &[u8]) -> Vec<u8> {
    respond(request, b"503 Service Unavailable", b";tag=draining", more)
}

/// `to_tag` is the parameter that a response to a request without a tag needs (RFC 3261 §8.2.6.2).
fn respond(request: &Message<'_>, status: &[u8], to_tag: &[u8], more: &[u8]) -> Vec<u8> {
    let mut response = [b"SIP/2.0 ", status, b"\r\n"].concat();
    for name in ["via", "from", "to", "call-id", "cseq"] {
        for header in request.headers().filter(|header| header.is(name)) {
            response.extend_from_slice(request.bytes.get(header.lines).unwrap_or_default().trim_ascii_end());
            response.extend_from_slice(if name == "to" { to_tag } else { b"" });
            response.extend_from_slice(b"\r\n");
        }
    }
    response.extend_from_slice(more);
    response.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    response
}
