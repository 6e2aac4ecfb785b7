//! Remembers where the last RTCP packet of a stream goes, the BYE (RFC 3550 §6.3.7). The host may forget the peer's address first: a
//! hold and the end of a call both begin with a `stop`.

use std::time::{Duration, Instant};

use ::ice::Component;

use super::Transport;
use super::send::{Route, Stream, Way};

/// The route of reports before the host stopped media.
#[derive(Debug, Default)]
pub struct Farewell {
    route: Option<(Component, Route)>,
    /// When the host stopped media last.
    stopped: Option<Instant>,
}

impl Farewell {
    /// Records that the host stops media. `route` is that of reports until now.
    pub fn handle_stop(&mut self, now: Instant, route: Option<(Component, Route)>) {
        self.stopped = Some(now);
        self.handle_change(route);
    }

    /// Records that the peer's address changes, perhaps to one that leads nowhere. `route` is that of reports until now.
    pub fn handle_change(&mut self, route: Option<(Component, Route)>) {
        self.route = route.or(self.route);
    }

    /// Returns whether the host stopped media long ago. Then the peer's port may serve another call.
    fn is_past(&self, now: Instant) -> bool {
        self.stopped.is_some_and(|stopped| now.saturating_duration_since(stopped) > AT_ONCE)
    }
}

impl Transport {
    /// Returns route and protection of a BYE; `None` if it cannot be sent.
    pub fn way_of_farewell(&self, stream: Stream) -> Option<Way> {
        let (component, route) = self.reports_route().or(self.farewell.route)?;
        self.way(component, route, stream)
    }

    /// Returns whether a BYE still reaches the peer when the session ends: the host has not stopped it, or only just now.
    pub fn may_say_farewell(&self, now: Instant) -> bool {
        !self.farewell.is_past(now)
    }
}

/// Longest time from a `stop` to the end of the session where the one follows from the other, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_call_says_farewell_where_its_reports_went() {
        let (mut farewell, now) = (Farewell::default(), Instant::now());
        assert!(!farewell.is_past(now));
        let route = Some((Component::Rtcp, ("192.0.2.1:4001".parse().unwrap(), None)));
        farewell.handle_stop(now, route);
        farewell.handle_stop(now + AT_ONCE * 2, None);
        assert_eq!(farewell.route, route);
        assert!(!farewell.is_past(now + AT_ONCE * 3) && farewell.is_past(now + AT_ONCE * 4));
    }
}
