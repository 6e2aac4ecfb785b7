//! Interactive Connectivity Establishment (RFC 8445): one session, one or two components.
//!
//! This crate opens no sockets, reads no clock and draws no random numbers of its own. The caller
//! feeds datagrams and the time, and sends what [`Agent::poll_transmit`] writes.
//!
//! ```
//! use ice::{Agent, Component, Config, Credentials, Role};
//! use std::time::Instant;
//!
//! let random = [7; 32]; // from the system's generator in earnest
//! let mut agent = Agent::new(Config::new(Role::Controlling, 0x0123_4567_89ab_cdef, Credentials::from_random(&random), random));
//! agent.add_local_candidate(Component::Rtp, "192.0.2.1:10000".parse().unwrap());
//! // ... the description goes to the peer, the peer's comes back ...
//! let now = Instant::now();
//! agent.set_remote_credentials(now, Credentials { ufrag: "h6vY".into(), password: "VOkJxbRl1RmTxUk/WvJxBt".into() });
//! agent.start(now);
//! let mut buffer = [0; ice::MAX_DATAGRAM];
//! while let Some(transmit) = agent.poll_transmit(&mut buffer) {
//!     println!("{} bytes along {:?}", transmit.len, transmit.path);
//! }
//! ```
//!
//! After any input the driver drains transmits, then events, then asks [`Agent::poll_timeout`].
//!
//! # Where to find which section
//!
//! | file | RFC 8445 |
//! |---|---|
//! | `candidate.rs` | §5.1 candidates: foundations, priorities |
//! | `checklist.rs`, `pair.rs` | §6.1.2 forming, ordering, freezing; §6.1.4 choosing the next check |
//! | `request.rs` | §7.2.4 sending a check, §7.3 receiving one, early ones included |
//! | `response.rs` | §7.2.5 what an answer, or none, means |
//! | `role.rs` | §6.1.1, §7.2.5.1, §7.3.1.1 roles and their conflict |
//! | `nominate.rs` | §8 nomination and the selected pair |
//! | `restart.rs` | §9 restarts |
//! | `consent.rs` | RFC 7675, which also does what §11 asks of keepalives |
//! | `timer.rs` | §14 and what else happens by the clock |
//! | `message.rs` | §16.1 and RFC 8489: from and to the wire |
//!
//! # Left out, with reasons
//!
//! - ICE-TCP (RFC 6544): the host has no way to signal it.
//! - mDNS names: the host never passes them on. A peer that offers nothing else is met by its own
//!   checks, as a peer-reflexive candidate.
//! - Scopes of link-local IPv6 addresses: candidates do not carry them.
//! - The lite role for ourselves: we are a full agent. A lite *peer* is served ([`Agent::set_remote_lite`]).
//! - Gathering from STUN and TURN servers belongs to the caller so far; what it finds comes in through
//!   [`Agent::add_gathered_candidate`].
//!
//! # Where we depart from the RFC
//!
//! - The two components do not wait for each other (§8.1.1 leaves it open): a peer that multiplexes
//!   RTCP (RFC 5761) abandons component 2 without a word.
//! - An unauthenticated request is dropped and counted instead of being answered with 400 or 401
//!   (RFC 8489 §9.1.3): strangers get no traffic from us.
//! - An answer from elsewhere than the request went to is dropped instead of failing the pair
//!   (§7.2.5.2.1): the pair fails by its timeout, and nobody can fail it for us by replaying an answer.
//! - A check that arrives while ours is under way makes us repeat the same transaction instead of a
//!   new one beside it (§7.3.1.4): it opens the NAT just as well, and memory stays bounded.
//! - Intervals between retransmissions stop doubling at 2 s (RFC 8489 §6.2.1), for the sake of lossy networks;
//!   a check still ends after 39.5 s, and their rate stays below one per Ta.
//! - A nomination does not wait for its turn in the pacing (§8.1.1 queues it): its path has just worked, and the
//!   call starts 50 ms earlier.
//! - §6.1.2.6 sets up checklists once; ours takes candidates at any time, by the rules of RFC 8838.
//! - A failed component is revived by a peer whose authenticated checks arrive after all.
#![forbid(unsafe_code)]

mod agent;
mod candidate;
mod checklist;
mod consent;
mod credentials;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod message;
mod nominate;
mod pair;
mod path;
mod random;
mod request;
mod response;
mod restart;
mod role;
#[cfg(test)]
mod testing;
mod timer;

pub use agent::{Agent, Config, Event, Seed};
pub use candidate::{Candidate, CandidateKind};
pub use credentials::Credentials;
pub use error::{Counters, Error};
pub use message::MAX_DATAGRAM;
pub use pair::State as PairState;
pub use path::{Component, Path, Transmit};
pub use role::Role;
