//! Traversal Using Relays around NAT (RFC 8656): a client with one allocation at one server.
//!
//! This crate opens no sockets and reads no clock. The caller feeds datagrams, or the frames that [`Frames`] cuts from a stream, and
//! the time, and sends what [`Allocation::poll_transmit`] and [`Allocation::send`] write.
//!
//! The transactions are those of the crate `turn-client-proto`: long-term credentials, stale nonces, refreshes of allocation,
//! permissions and channels. This crate adds what a call needs beside them:
//!
//! | file | |
//! |---|---|
//! | `allocation.rs` | one allocation in the shape of our other protocol crates, with permissions on demand and keepalives |
//! | `answers.rs` | why a server refuses (300, 401, 486, 508 and others), and our address as the server sees it |
//! | `frames.rs` | STUN messages and ChannelData in a stream of TCP or TLS (§12.5) |
//! | `credentials.rs` | credentials from a shared secret, as coturn's `use-auth-secret` checks them |
//! | `server.rs` | `turn:` and `turns:` URIs (RFC 7065) |
//!
//! # Left out, with reasons
//!
//! - Relayed addresses of TCP (RFC 6062): media is UDP.
//! - Servers without authentication: `turn-client-proto` takes their answer for a failure.
//! - Relayed IPv6 addresses (RFC 8656 §7.1): a browser behind a relay of its own reaches IPv4, and many servers have no other.
//! - ALTERNATE-DOMAIN of a 300: TLS keeps to the name that was configured.
//!
//! # Where we depart from our own rules
//!
//! - `turn-client-proto` takes transaction ids from the system's random generator.
#![forbid(unsafe_code)]

mod allocation;
mod answers;
mod credentials;
mod frames;
pub mod fuzzing;
mod probe;
mod server;
#[cfg(test)]
mod testing;

pub use allocation::{Allocation, Config, Event, MAX_DATAGRAM, Relayed, Sending, Transport};
pub use answers::Failure;
pub use credentials::Credentials;
pub use frames::{Frames, Garbage};
pub use server::{Protocol, Server, ServerError};
