//! The settings of an agent, and its limits.

use std::sync::Arc;
use std::time::Duration;

use crate::{Credentials, Pacer, Role};

/// The settings of an agent. [`Config::new`] sets the defaults.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Our role: controlling if we sent the offer (RFC 8445 §6.1.1).
    pub role: Role,
    /// A random number. In a role conflict, the side with the larger one becomes controlling (RFC 8445 §7.3.1.1).
    pub tie_breaker: u64,
    /// The username fragment and password that we signal, see [`Credentials::from_random`].
    pub local: Credentials,
    /// The seed of transaction ids and jitter: random, and used for nothing else.
    pub seed: Seed,
    /// The number of components: 1, or 2 with RTCP on its own port (the default).
    pub components: u8,
    /// Ta, the interval between two new checks (RFC 8445 §14.2). Default: 50 ms.
    pub pacing: Duration,
    /// The slots for checks that several sessions share; `None` (the default) for a session alone.
    pub pacer: Option<Arc<Pacer>>,
    /// The lower limit of a check's RTO (RFC 8445 §14.3). Default: 500 ms.
    pub rto: Duration,
    /// How long to wait for a better pair after the first one works, before nominating. Default: 200 ms.
    pub nomination_delay: Duration,
    /// The time from the first check until a component without a selected pair fails. Default: 35 s. A peer that
    /// signals no usable candidate has this time to reach us.
    pub failure_timeout: Duration,
    /// The average interval between two consent checks (RFC 7675 §5.1). Default: 5 s, varied by ±20 %.
    pub consent_interval: Duration,
    /// How long consent lasts after a response (RFC 7675 §5.1). Default: 30 s.
    pub consent_lifetime: Duration,
}

impl Config {
    /// Settings with default values for everything that is not an argument.
    pub fn new(role: Role, tie_breaker: u64, local: Credentials, seed: [u8; 32]) -> Self {
        Self {
            role,
            tie_breaker,
            local,
            seed: Seed(seed),
            components: 2,
            pacing: Duration::from_millis(50),
            pacer: None,
            rto: Duration::from_millis(500),
            nomination_delay: Duration::from_millis(200),
            failure_timeout: Duration::from_secs(35),
            consent_interval: Duration::from_secs(5),
            consent_lifetime: Duration::from_secs(30),
        }
    }
}

/// A secret random seed of 32 bytes; its `Debug` output hides them.
#[derive(Clone)]
pub struct Seed(pub(crate) [u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

/// The most remote candidates that an agent keeps; it counts further ones in [`Counters::over_limit`](crate::Counters::over_limit).
///
/// 16 of them are reserved for peer-reflexive candidates (RFC 8445 §7.3.1.3), so that a long list of useless
/// signalled candidates does not keep out the address that the peer's checks come from.
pub const MAX_REMOTE_CANDIDATES: usize = 64;
