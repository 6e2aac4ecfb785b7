//! Interactive Connectivity Establishment (RFC 8445): one session, one or two components.
//!
//! This crate opens no sockets, reads no clock and draws no random numbers of its own. The caller
//! feeds datagrams and the time, and sends what [`Agent::poll_transmit`] writes.
//!
//! ```
//! use ice::{Agent, Component, Config, Credentials, Role};
//! use std::time::Instant;
//!
//! let random = [7; 32]; // use the system's random generator here
//! let mut agent = Agent::new(Config::new(Role::Controlling, 0x0123_4567_89ab_cdef, Credentials::from_random(&random), random));
//! agent.add_local_candidate(Component::Rtp, "192.0.2.1:10000".parse().unwrap());
//! // ... exchange session descriptions with the peer ...
//! let now = Instant::now();
//! agent.set_remote_credentials(now, Credentials { ufrag: "h6vY".into(), password: "VOkJxbRl1RmTxUk/WvJxBt".into() });
//! agent.start(now);
//! let mut buffer = [0; ice::MAX_DATAGRAM];
//! while let Some(transmit) = agent.poll_transmit(&mut buffer) {
//!     println!("{} bytes along {:?}", transmit.len, transmit.path);
//! }
//! ```
//!
//! After any input the caller sends all transmits, then takes all events, then asks [`Agent::poll_timeout`].
//!
//! # Which file implements which section
//!
//! | file | RFC 8445 |
//! |---|---|
//! | `candidate.rs` | §5.1 candidates: foundations, priorities |
//! | `attribute.rs`, `carried.rs` | RFC 8839 §5.1: candidates as signalling names them |
//! | `gather/` | §5.1.1.2 server-reflexive addresses, and RFC 1035 the names of servers; beside the agent, ahead of sessions |
//! | `mdns.rs` | RFC 6762: the names that stand in place of addresses; beside the agent, which takes addresses |
//! | `checklist.rs`, `pair.rs` | §6.1.2 forming, ordering, freezing; §6.1.4 choosing the next check |
//! | `request.rs` | §7.2.4 sending a check, §7.3 receiving one, early ones included |
//! | `response.rs` | §7.2.5 handling the response to a check |
//! | `role.rs` | §6.1.1, §7.2.5.1, §7.3.1.1 roles and role conflicts |
//! | `nominate.rs` | §8 nomination and the selected pair; renomination |
//! | `follow.rs` | beyond the RFC: the selected pair follows the peer's media |
//! | `lost.rs` | beyond the RFC: a local candidate that is gone in mid-session |
//! | `restart.rs` | §9 restarts |
//! | `consent.rs` | RFC 7675 consent; its checks are also the keepalives of §11 |
//! | `pacing.rs` | §14.2 pacing of checks, over all sessions |
//! | `timer.rs` | §14 the timers of a session |
//! | `binding.rs` | RFC 8489 §6.3.1: requests of peers without ICE |
//! | `message.rs` | §16.1 and RFC 8489: parsing and writing STUN messages |
//!
//! # Left out, with reasons
//!
//! - ICE-TCP (RFC 6544): the host has no way to signal it.
//! - Scopes of link-local IPv6 addresses: candidates do not carry them.
//! - Acting as a lite agent: we are always a full agent. A lite *peer* is supported ([`Agent::set_remote_lite`]).
//! - Gathering within the agent: [`gather`] finds addresses ahead of sessions, and the caller adds them with
//!   [`Agent::add_gathered_candidate`].
//!
//! # Where we depart from the RFC
//!
//! - The two components do not wait for each other (§8.1.1 leaves it open): a peer that multiplexes
//!   RTCP (RFC 5761) stops using component 2 without saying so.
//! - An unauthenticated request is dropped and counted instead of being answered with 400 or 401
//!   (RFC 8489 §9.1.3): we send nothing to strangers.
//! - A response from another address than its request was sent to is dropped instead of failing the pair
//!   (§7.2.5.2.1): the pair still fails by its timeout, and an attacker cannot fail it by replaying a response.
//! - A check of the peer that arrives while ours is in progress makes us retransmit our request instead of starting
//!   a second transaction (§7.3.1.4): that opens the NAT just as well, and memory stays bounded.
//! - Intervals between retransmissions stop doubling at 2 s (RFC 8489 §6.2.1), which helps on lossy networks;
//!   a check still ends after 39.5 s, and all checks together stay below one per Ta, but for triggered ones.
//! - A triggered check is sent at once instead of at the next Ta (§6.1.4.2), once per Ta and pair: the peer paces it.
//! - A nomination is sent at once instead of waiting for the next Ta (§8.1.1 queues it): its path has just worked,
//!   and the call starts 50 ms earlier.
//! - §6.1.2.6 forms the checklist once; ours accepts candidates at any time, by the rules of RFC 8838.
//! - The selected pair follows authenticated media of the peer, also to a pair that is not nominated and, during a
//!   restart by the peer, to an address that has sent checks under credentials not signalled yet (`follow.rs`).
//! - Checks of the peer's new generation to our old credentials are answered and used during a restart: they are sent
//!   while our answer is on its way.
//! - A failed component becomes usable again when authenticated checks of the peer arrive later.
#![forbid(unsafe_code)]

mod agent;
mod attribute;
mod binding;
mod candidate;
pub mod carried;
mod checklist;
mod config;
mod consent;
mod credentials;
mod error;
mod follow;
#[doc(hidden)]
pub mod fuzzing;
pub mod gather;
mod lifecycle;
mod lost;
pub mod mdns;
mod message;
mod nominate;
mod outgoing;
mod pacing;
mod pair;
mod path;
mod per_component;
mod random;
mod request;
mod response;
mod restart;
mod role;
mod role_conflict;
#[cfg(test)]
mod testing;
mod timer;

pub use agent::{Agent, Event};
pub use attribute::{AttributeError, Signalled};
pub use binding::answer_binding;
pub use candidate::{Candidate, CandidateKind};
pub use config::{Config, MAX_REMOTE_CANDIDATES, Seed};
pub use credentials::Credentials;
pub use error::{Counters, Error};
pub use message::MAX_DATAGRAM;
pub use pacing::Pacer;
pub use pair::State as PairState;
pub use path::{Component, Path, Transmit};
pub use per_component::PerComponent;
pub use role::Role;
