//! The RTCP side of a session (RFC 3550 §6): reports at their interval, the goodbye at the end, and requests for pictures.

pub mod events;
pub mod feedback;
pub mod reports;
