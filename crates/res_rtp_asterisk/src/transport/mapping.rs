//! Sockets of the pool (`stunpool`) in a session that waits for the peer's description: their mappings in the NAT, which the peer has
//! been told, are kept while the phone rings. Checks keep them from then on.

use std::time::Instant;

use ::ice::gather::keepalive::Keepalive;

use super::Transport;
use super::ice::IceSide;
use super::sockets::Pair;
use crate::gathering;

/// The mappings of both sockets.
pub struct Mappings([Keepalive; 2]);

impl Mappings {
    /// Makes those of sockets that come from the pool; `None` for others.
    pub fn of(now: Instant, sockets: &Pair) -> Option<Self> {
        let mapped = sockets.mapped?;
        Some(Self([(); 2].map(|()| Keepalive::new(now, mapped.server, gathering::random()))))
    }
}

impl Transport {
    /// Returns when [`Self::keep_mappings`] is due next.
    pub(super) fn mappings_timeout(&self) -> Option<Instant> {
        let Mappings(both) = self.mappings.as_ref().filter(|_| self.awaits_checks())?;
        both.iter().map(Keepalive::poll_timeout).min()
    }

    /// Sends what keeps the mappings, until checks begin.
    pub(super) fn keep_mappings(&mut self, now: Instant) {
        if !self.awaits_checks() {
            self.mappings = None;
        }
        let (Some(Mappings(both)), Some(mapped)) = (&mut self.mappings, self.sockets.mapped) else { return };
        for (socket, mapping) in [&self.sockets.rtp, &self.sockets.rtcp].into_iter().zip(both) {
            if let Some(indication) = mapping.poll_transmit(now) {
                // One that cannot be sent is lost, as on the way.
                let _ = socket.send(&indication, mapping.server(), Some(mapped.base));
            }
        }
    }

    fn awaits_checks(&self) -> bool {
        self.ice.as_deref().is_some_and(|ice: &IceSide| !ice.is_started())
    }
}
