//! The RTCP side of a session (RFC 3550 section 6).

pub mod events;
pub mod reports;
