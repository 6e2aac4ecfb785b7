//! Answers Binding requests of phones without ICE, which keep their NAT open or learn their own address by them.
//!
//! Only the phone's media address gets an answer, signalled or learned by strict RTP, so a stranger learns nothing. Whoever forges that
//! address has little sent there: an answer is 12 octets longer than its request, and there are few.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ::ice::Component;

use super::Transport;
use super::remote::Remote;
use super::sockets::Received;

/// The limit on answers of one session.
#[derive(Debug, Default)]
pub struct PlainStun {
    second: Option<Instant>,
    answers: u32,
}

impl PlainStun {
    fn allow(&mut self, now: Instant) -> bool {
        if self.second.is_none_or(|second| now.saturating_duration_since(second) >= SECOND) {
            (self.second, self.answers) = (Some(now), 0);
        }
        self.answers = self.answers.saturating_add(1);
        self.answers <= MOST_A_SECOND
    }
}

impl Transport {
    /// Answers a STUN datagram of a phone without ICE. Returns whether it was answered.
    pub(super) fn answer_plain_stun(
        &mut self,
        now: Instant,
        component: Component,
        received: &Received,
        datagram: &[u8],
    ) -> bool {
        if self.is_ice_active() || !is_phones(&self.remote, component, received.from) {
            return false;
        }
        let mut buffer = [0; ::ice::MAX_DATAGRAM];
        let Some(len) = ::ice::answer_binding(received.from, datagram, &mut buffer) else { return false };
        let answer = buffer.get(..len).filter(|_| self.plain_stun.allow(now));
        answer.is_some_and(|answer| self.send_response(component, answer, received.from, Some(received.to.ip())))
    }
}

fn is_phones(remote: &Remote, component: Component, from: SocketAddr) -> bool {
    let learned = remote.source().filter(|_| component == Component::Rtp);
    [remote.signalled(component), learned].contains(&Some(from))
}

/// Most answers of a session in a second. Phones ask every few seconds, and three times at once if there is no answer.
const MOST_A_SECOND: u32 = 5;
const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_few() {
        let (mut limit, start) = (PlainStun::default(), Instant::now());
        let allowed = |limit: &mut PlainStun, now| (0..100).filter(|_| limit.allow(now)).count();
        assert_eq!(allowed(&mut limit, start), 5);
        assert_eq!(allowed(&mut limit, start + SECOND / 2), 0);
        assert_eq!(allowed(&mut limit, start + SECOND), 5);
    }
}
