//! Finding our own addresses beyond the machine's (RFC 8445 §5.1.1.2), ahead of sessions and beside the agent.
//!
//! [`mapping`] asks a STUN server for the address that a NAT has given to one socket, and keeps that answer fresh. [`keepalive`] keeps
//! it for a session. [`dns`] looks up the server's name. None opens a socket or reads a clock: the caller sends what `poll_transmit` writes, and adds what is found to
//! sessions with [`Agent::add_gathered_candidate`](crate::Agent::add_gathered_candidate).

pub mod dns;
pub mod keepalive;
pub mod mapping;
