//! The RTCP side of a session (RFC 3550 §6): regular reports, the BYE at the end, and picture requests.

pub mod events;
pub mod feedback;
pub mod reports;
