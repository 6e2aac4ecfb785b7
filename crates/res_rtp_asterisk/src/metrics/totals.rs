//! Packets of all sessions since the module was loaded: what the sessions that are up have counted, and those that have ended.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use asterisk::lock;

use crate::diagnosis::counters;
use crate::state::State;
use crate::transport::keys::Protection;

/// The counts of sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Streams that we receive.
    pub received: Stream,
    /// Streams that we send.
    pub sent: Stream,
    /// Refused packets, in the order of [`counters::NAMES`].
    pub refused: [u64; counters::NAMES.len()],
    /// Ended sessions, in the order of [`OUTCOMES`].
    pub ended: [u64; OUTCOMES.len()],
}

/// One direction of media.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stream {
    /// RTP packets.
    pub packets: u64,
    /// Octets of their payload.
    pub octets: u64,
    /// Packets that whoever receives them has missed.
    pub lost: u64,
}

/// Which media a session had in its life.
pub const OUTCOMES: [&str; 4] = ["both", "only_received", "only_sent", "none"];

/// How far a session is on its way to media, in the order of [`STAGES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The call is over. chan_sip of Asterisk 11 keeps the session for 32 s.
    Over,
    /// The host has stopped media: the call is on hold.
    Stopped,
    /// ICE has no pair yet.
    Ice,
    /// The peer's address is not known.
    Address,
    /// SRTP keys are not agreed.
    Keys,
    /// Media flows both ways.
    Media,
    /// Media comes in only.
    OnlyReceived,
    /// Media goes out only.
    OnlySent,
    /// Media could flow, and none does.
    Silent,
}

/// The names of [`Stage`].
pub const STAGES: [&str; 9] =
    ["over", "stopped", "ice", "address", "keys", "media", "only_received", "only_sent", "silent"];

/// The counts of the sessions that have ended.
static ENDED: Mutex<Option<Counts>> = Mutex::new(None);

/// The largest sums that were told. Counters may not go back, and a late packet takes back a loss.
static TOLD: Mutex<Option<Counts>> = Mutex::new(None);

impl Counts {
    /// Returns the counts of a session so far.
    pub fn of(state: &State) -> Self {
        let (receiver, sender) = (state.receiver(), state.source().statistics());
        let lost: i64 = sender.remote().last.map_or(0, |block| block.cumulative_lost.into());
        let mut counts = Self {
            received: Stream {
                packets: receiver.packets(),
                octets: receiver.octets(),
                lost: u64::try_from(receiver.cumulative_lost()).unwrap_or(0),
            },
            sent: Stream {
                packets: sender.packets(),
                octets: sender.octets(),
                lost: u64::try_from(lost).unwrap_or(0).min(sender.packets()),
            },
            ..Self::default()
        };
        for (reason, count) in state.refused() {
            if let Some(sum) = counts.refused.get_mut(reason as usize) {
                *sum = count;
            }
        }
        counts
    }

    fn add(&mut self, more: &Self) {
        self.each(more, |sum, more| *sum += more);
    }

    fn rise_to(&mut self, now: &Self) {
        self.each(now, |told, now| *told = (*told).max(now));
    }

    fn each(&mut self, other: &Self, change: impl Fn(&mut u64, u64)) {
        for (ours, theirs) in [(&mut self.received, &other.received), (&mut self.sent, &other.sent)] {
            change(&mut ours.packets, theirs.packets);
            change(&mut ours.octets, theirs.octets);
            change(&mut ours.lost, theirs.lost);
        }
        self.refused.iter_mut().zip(other.refused).for_each(|(ours, theirs)| change(ours, theirs));
        self.ended.iter_mut().zip(other.ended).for_each(|(ours, theirs)| change(ours, theirs));
    }
}

/// Adds what an ended session has counted. The caller has made sure that nobody finds the session any more.
pub fn end(state: &State) {
    let mut counts = Counts::of(state);
    let outcome = match (counts.received.packets > 0, counts.sent.packets > 0) {
        (true, true) => 0,
        (true, false) => 1,
        (false, true) => 2,
        (false, false) => 3,
    };
    counts.ended[outcome] = 1;
    lock(&ENDED).get_or_insert_default().add(&counts);
}

/// The counts of the sessions that have ended. Read them before those of the others: then a session that ends meanwhile is missed,
/// which [`rise`] covers, and never counted twice.
pub fn ended() -> Counts {
    lock(&ENDED).clone().unwrap_or_default()
}

/// Adds the counts of the sessions that are up to those of the others, and returns what may be told.
pub fn rise(mut ended: Counts, live: &Counts) -> Counts {
    ended.add(live);
    let mut told = lock(&TOLD);
    let told = told.get_or_insert_default();
    told.rise_to(&ended);
    told.clone()
}

/// Adds what a session has counted to the sum of those that are up.
pub fn add_live(sum: &mut Counts, state: &State) {
    sum.add(&Counts::of(state));
}

/// How far the session is.
pub fn stage(state: &State, now: Instant) -> Stage {
    if state.transport().is_silent() {
        return Stage::Over;
    }
    if state.transport().remote().is_stopped() {
        return Stage::Stopped;
    }
    let ice = state.transport().ice().filter(|ice| ice.is_active());
    if ice.is_some_and(|ice| ice.agent().selected(::ice::Component::Rtp).is_none()) {
        return Stage::Ice;
    }
    if state.media_route().is_none() {
        return Stage::Address;
    }
    if state.protection() == Protection::Due {
        return Stage::Keys;
    }
    let flows = |last: Option<Instant>| last.is_some_and(|last| now.saturating_duration_since(last) < SILENCE);
    match (flows(state.receiver().last_packet()), flows(state.source().statistics().last_packet())) {
        (true, true) => Stage::Media,
        (true, false) => Stage::OnlyReceived,
        (false, true) => Stage::OnlySent,
        (false, false) => Stage::Silent,
    }
}

/// Time without a packet after which a direction counts as silent.
const SILENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_never_becomes_less() {
        let lost = |lost| Counts { received: Stream { packets: 100, octets: 100, lost }, ..Counts::default() };
        assert_eq!(rise(Counts::default(), &lost(5)).received.lost, 5);
        // A packet came late, and a session is between those that are up and those that have ended.
        assert_eq!(rise(Counts::default(), &lost(4)).received.lost, 5);
        assert_eq!(rise(Counts::default(), &Counts::default()).received.packets, 100);
        assert_eq!(rise(lost(5), &lost(2)).received, Stream { packets: 200, octets: 200, lost: 7 });
    }
}
