//! Transaction ids and jitter from the caller's seed: unpredictable for others, repeatable in tests.

use std::time::Duration;

use crate::config::Seed;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

pub(crate) struct Random(ChaCha20Rng);

impl Random {
    pub fn from_seed(seed: &Seed) -> Self {
        Self(ChaCha20Rng::from_seed(seed.0))
    }

    /// A transaction id of 96 bits (RFC 8489 §5).
    pub fn transaction_id(&mut self) -> u128 {
        u128::from(self.0.next_u64()) << 32 | u128::from(self.0.next_u32())
    }

    pub fn tie_breaker(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A random duration between 0.8 and 1.2 times `interval` (RFC 7675 §5.1).
    pub fn around(&mut self, interval: Duration) -> Duration {
        interval * (800 + self.0.next_u32() % 401) / 1000
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random") // its state would reveal future transaction ids
    }
}
