//! The address that media is accepted from, and the address that it is sent to, where the signalled ones may be wrong.
//!
//! *Strict RTP* ([`StrictRtp`], `strictrtp` and `probation` in `rtp.conf`): media is accepted from one address only.
//! For a while after the call starts, or after the peer signals another address, the source may change: to the
//! signalled address at once, and to any other after `probation` packets in sequence, once the present source has
//! fallen silent. Two streams that compete keep each other from passing the probation. Afterwards only the signalled
//! address may become the source, also after probation: a stranger may have been heard first, or while the peer was
//! silent. A peer behind a NAT signals an address that no packet comes from.
//!
//! *Symmetric RTP* ([`SymmetricRtp`], `nat=comedia`): media is sent to the address that media comes from (RFC 4961),
//! because a peer behind a NAT does not know its own address. Only packets that strict RTP has accepted count.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::timestamp::SequenceNumber;

/// The verdict of strict RTP on a packet, by its source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The packet comes from the source that media is accepted from.
    Accept,
    /// The packet comes from the source that media is accepted from, beginning with this packet.
    AcceptNewSource,
    /// The packet is dropped, but counts for its address, which is on probation.
    Probation {
        /// The number of packets in sequence that the address still needs to become the source.
        remaining: u32,
    },
    /// The packet comes from an address that media is not accepted from.
    Drop,
}

impl Verdict {
    /// Whether the packet is to be used. Packets of a probation are not.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Accept | Self::AcceptNewSource)
    }
}

/// Strict RTP: decides which source address media is accepted from.
#[derive(Debug, Clone)]
pub struct StrictRtp {
    state: State,
    probation: u32,
    source: Option<Source>,
    signalled: Option<SocketAddr>,
    alternative: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Media is accepted from any address (`strictrtp=no`).
    Open,
    /// The source may still change.
    Learning { since: Instant, candidate: Option<Candidate> },
    /// The source stays, unless the signalled address, the only candidate, passes its probation.
    Closed { candidate: Option<Candidate> },
}

/// The address that media is accepted from.
#[derive(Debug, Clone, Copy)]
struct Source {
    address: SocketAddr,
    heard: Instant,
}

/// An address on probation, which becomes the source when it passes.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    address: SocketAddr,
    last: SequenceNumber,
    received: Instant,
    remaining: u32,
}

impl StrictRtp {
    /// Creates a state that accepts media from any address (`strictrtp=no`).
    pub fn open() -> Self {
        Self { state: State::Open, probation: 0, source: None, signalled: None, alternative: None }
    }

    /// Creates a state that learns its source. An address that is not signalled has to pass a probation of `probation`
    /// packets in sequence.
    pub fn learning(now: Instant, probation: u32) -> Self {
        let state = State::Learning { since: now, candidate: None };
        Self { state, probation: probation.max(1), ..Self::open() }
    }

    /// Sets the address that the peer signals for its media. The source may change again for a while.
    pub fn set_signalled(&mut self, now: Instant, address: Option<SocketAddr>) {
        self.signalled = address;
        self.learn_if_new(now, address);
    }

    /// Sets a second signalled address, after glare between two re-INVITEs. It counts for the learning period that it
    /// starts.
    pub fn set_alternative(&mut self, now: Instant, address: Option<SocketAddr>) {
        self.alternative = address;
        self.learn_if_new(now, address);
    }

    /// Lets the source change again for a while, because ICE selected another pair.
    pub fn learn(&mut self, now: Instant) {
        if !matches!(self.state, State::Open) {
            self.state = State::Learning { since: now, candidate: None };
        }
    }

    /// Judges a media packet by its source address.
    pub fn handle_packet(&mut self, now: Instant, from: SocketAddr, sequence_number: u16) -> Verdict {
        if self.has_learned(now, from) {
            self.state = State::Closed { candidate: None };
            self.alternative = None;
        }
        if let Some(source) = self.source.as_mut().filter(|source| source.address == from) {
            source.heard = now;
            // The known source still sends, so a competitor starts from the beginning.
            if let State::Learning { candidate, .. } = &mut self.state {
                *candidate = None;
            }
            return Verdict::Accept;
        }
        let is_signalled = self.signalled == Some(from);
        let sequence_number = SequenceNumber(sequence_number);
        let (candidate, remaining) = match &mut self.state {
            State::Open => return Verdict::Accept,
            State::Learning { candidate, .. } if is_signalled || self.alternative == Some(from) => (candidate, 0),
            State::Learning { candidate, .. } => {
                let remaining = Candidate::advance(candidate, now, from, sequence_number, self.probation, FLOOD);
                let is_taken = self.source.is_some_and(|source| source.is_alive(now));
                (candidate, remaining.max(u32::from(is_taken)))
            }
            // The present source need not be silent here, and its packets do not undo this probation.
            State::Closed { candidate } if is_signalled => {
                let any = Duration::ZERO;
                let remaining = Candidate::advance(candidate, now, from, sequence_number, self.probation, any);
                (candidate, remaining)
            }
            State::Closed { .. } => return Verdict::Drop,
        };
        if remaining > 0 {
            return Verdict::Probation { remaining };
        }
        *candidate = None;
        self.source = Some(Source { address: from, heard: now });
        Verdict::AcceptNewSource
    }

    /// The source that media is accepted from, once there is one.
    pub fn source(&self) -> Option<SocketAddr> {
        self.source.map(|source| source.address)
    }

    /// Whether media is accepted from any address (`strictrtp=no`).
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Whether the source may still change.
    pub fn is_learning(&self) -> bool {
        matches!(self.state, State::Learning { .. })
    }

    fn learn_if_new(&mut self, now: Instant, address: Option<SocketAddr>) {
        if address.is_some() && address != self.source() {
            self.learn(now);
        }
    }

    /// Whether the learning period is over for a packet from `from`.
    fn has_learned(&self, now: Instant, from: SocketAddr) -> bool {
        let (State::Learning { since, candidate }, Some(source)) = (self.state, self.source) else {
            return false;
        };
        // The successor of a source that has just gone waits until it is certain that the source is gone.
        let awaits_silence = candidate.is_some() && source.address != from;
        let period = if awaits_silence { LEARNING + SILENCE } else { LEARNING };
        now.saturating_duration_since(since) > period
    }
}

impl Source {
    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) < SILENCE
    }
}

impl Candidate {
    /// Counts a packet from `address`, and returns how many more are needed. Packets less than `shortest` apart do not
    /// count.
    fn advance(
        slot: &mut Option<Self>,
        now: Instant,
        address: SocketAddr,
        sequence_number: SequenceNumber,
        probation: u32,
        shortest: Duration,
    ) -> u32 {
        let remaining = match slot {
            Some(known) if known.address == address => {
                let in_sequence = sequence_number == known.last.next();
                // No codec sends packets this close together: it is a flood, not a stream.
                let flood = now.saturating_duration_since(known.received) < shortest;
                if in_sequence && !flood {
                    known.remaining.saturating_sub(1)
                } else {
                    probation.saturating_sub(1).max(1)
                }
            }
            // Each competitor undoes the other's progress.
            _ => probation,
        };
        *slot = Some(Self { address, last: sequence_number, received: now, remaining });
        remaining
    }
}

/// Symmetric RTP: the addresses that our media and our reports are sent to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SymmetricRtp {
    follow: bool,
    rtp: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
}

impl SymmetricRtp {
    /// Creates a state in which no address is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses whether to send to the address that packets come from (`nat=comedia`).
    pub fn set_follow(&mut self, follow: bool) {
        self.follow = follow;
    }

    /// Sets the address that the peer signals for its media. Reports go to the next port (RFC 3550 §11).
    pub fn set_signalled(&mut self, address: Option<SocketAddr>) {
        self.rtp = address;
        self.rtcp = address.map(next_port);
    }

    /// Sets an address of its own for reports, which the peer signals (RFC 3605) or ICE selected.
    pub fn set_rtcp(&mut self, address: Option<SocketAddr>) {
        self.rtcp = address;
    }

    /// Notes that an accepted media packet came from `from`. Returns whether that changes the address that media is
    /// sent to.
    pub fn handle_rtp(&mut self, from: SocketAddr) -> bool {
        let moves = self.follow && self.rtp != Some(from);
        if moves {
            self.rtp = Some(from);
            self.rtcp = Some(next_port(from));
        }
        moves
    }

    /// Notes that a report by the SSRC that we receive came from `from`. Returns whether that changes the address that
    /// reports are sent to.
    pub fn handle_rtcp(&mut self, from: SocketAddr) -> bool {
        let moves = self.follow && self.rtcp != Some(from);
        if moves {
            self.rtcp = Some(from);
        }
        moves
    }

    /// The address that media is sent to.
    pub fn rtp(&self) -> Option<SocketAddr> {
        self.rtp
    }

    /// The address that reports are sent to.
    pub fn rtcp(&self) -> Option<SocketAddr> {
        self.rtcp
    }
}

fn next_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(address.port().wrapping_add(1));
    address
}

/// The learning period: the source may change for this long after the call starts or the peer signals another address.
/// That is long enough for a direct stream to replace one that came through a server.
const LEARNING: Duration = Duration::from_millis(1500);

/// A source that sent within this time is still there. That is longer than eight packets of 60 ms, or than a phone
/// takes to change its access point, and short enough to leave most of [`LEARNING`] to the next source.
const SILENCE: Duration = Duration::from_millis(500);

/// Packets closer together than this are a flood: the shortest packet time in use, 10 ms, less the jitter of a network.
const FLOOD: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use proptest::prelude::*;

    const PROBATION: u32 = 4;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 4000))
    }

    /// Sends `count` packets, 20 ms apart, and returns the verdict on the last.
    fn stream(strict: &mut StrictRtp, now: &mut Instant, from: SocketAddr, first: u16, count: u16) -> Verdict {
        let mut verdict = Verdict::Drop;
        for n in 0..count {
            *now += Duration::from_millis(20);
            verdict = strict.handle_packet(*now, from, first.wrapping_add(n));
        }
        verdict
    }

    /// A call of the tests with two streams, where times are microseconds since the call began.
    struct Call {
        strict: StrictRtp,
        start: Instant,
    }

    /// The number of packets of each stream that were accepted.
    struct Heard {
        phone_at_last: bool,
        stranger: usize,
    }

    const PHONE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4000);
    const STRANGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 4000);

    impl Call {
        fn signalled(address: SocketAddr) -> Self {
            let start = Instant::now();
            let mut strict = StrictRtp::learning(start, PROBATION);
            strict.set_signalled(start, Some(address));
            Self { strict, start }
        }

        fn now(&self, at: u64) -> Instant {
            self.start + Duration::from_micros(at)
        }

        /// Plays the packets of both streams in order of time.
        fn play(&mut self, phone: &[(u64, u16)], stranger: &[(u64, u16)]) -> Heard {
            let packets = phone.iter().map(|packet| (packet, PHONE));
            let mut packets: Vec<_> = packets.chain(stranger.iter().map(|packet| (packet, STRANGER))).collect();
            packets.sort_by_key(|(packet, _)| packet.0);
            let mut heard = Heard { phone_at_last: false, stranger: 0 };
            for ((at, sequence_number), from) in packets {
                let accepted = self.strict.handle_packet(self.now(*at), from, *sequence_number).is_accepted();
                match from {
                    PHONE => heard.phone_at_last = accepted,
                    _ => heard.stranger += usize::from(accepted),
                }
            }
            heard
        }
    }

    /// A packet every `interval` microseconds: its time and its sequence number.
    fn packets(begin: u64, interval: u64, end: u64) -> Vec<(u64, u16)> {
        (begin..end).step_by(usize::try_from(interval).unwrap()).zip(0..).collect()
    }

    /// Runs `check` with packet intervals of a phone, packet intervals of a stranger that are not a flood, and the
    /// offset between the two.
    fn sweep(mut check: impl FnMut(u64, u64, u64)) {
        for ptime in (20_000..=60_000).step_by(10_000) {
            for interval in (5_100..=6_500).step_by(200) {
                for phase in (0..ptime).step_by(1_000) {
                    check(ptime, interval, phase);
                }
            }
        }
    }

    #[test]
    fn signalled_address_is_taken_at_once() {
        let mut now = Instant::now();
        let mut strict = StrictRtp::learning(now, PROBATION);
        strict.set_signalled(now, Some(address(1)));
        assert_eq!(stream(&mut strict, &mut now, address(1), 7, 1), Verdict::AcceptNewSource);
        assert_eq!(stream(&mut strict, &mut now, address(1), 8, 1), Verdict::Accept);
    }

    #[test]
    fn another_address_is_taken_after_probation() {
        let mut now = Instant::now();
        let mut strict = StrictRtp::learning(now, PROBATION);
        strict.set_signalled(now, Some(address(1)));
        assert_eq!(stream(&mut strict, &mut now, address(2), 65534, 4), Verdict::Probation { remaining: 1 });
        assert_eq!(stream(&mut strict, &mut now, address(2), 2, 1), Verdict::AcceptNewSource);
        assert_eq!(strict.source(), Some(address(2)));
    }

    #[test]
    fn probation_starts_over_after_a_gap_and_in_a_flood() {
        let mut now = Instant::now();
        let mut strict = StrictRtp::learning(now, PROBATION);
        stream(&mut strict, &mut now, address(2), 10, 4);
        assert_eq!(stream(&mut strict, &mut now, address(2), 20, 1), Verdict::Probation { remaining: 3 });
        for n in 21..60 {
            now += Duration::from_millis(1);
            assert_eq!(strict.handle_packet(now, address(2), n), Verdict::Probation { remaining: 3 });
        }
    }

    #[test]
    fn competing_streams_keep_each_other_out() {
        let mut now = Instant::now();
        let mut strict = StrictRtp::learning(now, PROBATION);
        for n in 0..200 {
            assert!(!stream(&mut strict, &mut now, address(2), n, 1).is_accepted());
            assert!(!stream(&mut strict, &mut now, address(3), n, 1).is_accepted());
        }
    }

    #[test]
    fn after_learning_nobody_else_gets_in_until_signalling_says_so() {
        let mut now = Instant::now();
        let mut strict = StrictRtp::learning(now, PROBATION);
        strict.set_signalled(now, Some(address(1)));
        stream(&mut strict, &mut now, address(1), 0, 100);
        assert_eq!(stream(&mut strict, &mut now, address(2), 0, 100), Verdict::Drop);
        assert!(!strict.is_learning());
        strict.set_signalled(now, Some(address(1)));
        assert!(!strict.is_learning());
        strict.set_signalled(now, Some(address(5)));
        assert_eq!(stream(&mut strict, &mut now, address(1), 100, 1), Verdict::Accept);
        assert_eq!(stream(&mut strict, &mut now, address(5), 0, 1), Verdict::AcceptNewSource);
    }

    #[test]
    fn alternative_address_is_good_for_one_learning_period() {
        let mut now = Instant::now();
        let mut strict = StrictRtp::learning(now, PROBATION);
        strict.set_signalled(now, Some(address(1)));
        stream(&mut strict, &mut now, address(1), 0, 100);
        strict.set_alternative(now, Some(address(6)));
        assert_eq!(stream(&mut strict, &mut now, address(6), 0, 1), Verdict::AcceptNewSource);
        stream(&mut strict, &mut now, address(6), 1, 100);
        assert_eq!(strict.alternative, None);
    }

    #[test]
    fn the_signalled_address_gets_in_after_learning_and_then_nobody_else() {
        let mut now = Instant::now();
        let mut strict = StrictRtp::learning(now, PROBATION);
        strict.set_signalled(now, Some(address(1)));
        stream(&mut strict, &mut now, address(2), 0, 100);
        for n in 0..2 {
            // The phone sends two packets at a time, as some do, and the source that was heard first goes on.
            assert!(!strict.handle_packet(now, address(1), 2 * n).is_accepted());
            assert_eq!(stream(&mut strict, &mut now, address(2), 100 + n, 1), Verdict::Accept);
            assert!(!strict.handle_packet(now, address(1), 2 * n + 1).is_accepted());
        }
        assert_eq!(strict.handle_packet(now, address(1), 4), Verdict::AcceptNewSource);
        assert_eq!(stream(&mut strict, &mut now, address(2), 102, 100), Verdict::Drop);
        assert_eq!(stream(&mut strict, &mut now, address(1), 5, 1), Verdict::Accept);
    }

    #[test]
    fn a_direct_stream_replaces_that_of_the_server_which_goes_on_for_a_while() {
        let mut now = Instant::now();
        let mut strict = StrictRtp::learning(now, PROBATION);
        strict.set_signalled(now, Some(address(1)));
        stream(&mut strict, &mut now, address(1), 0, 100);
        strict.set_signalled(now, Some(address(5)));
        assert_eq!(stream(&mut strict, &mut now, address(1), 100, 10), Verdict::Accept);
        assert_eq!(stream(&mut strict, &mut now, address(5), 0, 1), Verdict::AcceptNewSource);
        for n in 0..100 {
            assert!(!stream(&mut strict, &mut now, address(1), 110 + n, 1).is_accepted());
            assert_eq!(stream(&mut strict, &mut now, address(5), 1 + n, 1), Verdict::Accept);
        }
    }

    /// The peer's new address is as unknown as its old one, so the old one's silence decides.
    #[test]
    fn a_phone_behind_a_nat_that_moves_is_learned_once_its_old_address_is_silent() {
        for old_goes_on in (0..=1400).step_by(20) {
            let mut call = Call::signalled(address(9));
            call.play(&packets(0, 20_000, 5_000_000), &[]);
            assert_eq!(call.strict.source(), Some(PHONE));
            call.strict.set_signalled(call.now(5_000_000), Some(address(8)));
            let moved = packets(5_000_000 + 1, 20_000, 8_000_000);
            let heard = call.play(&packets(5_000_000, 20_000, 5_000_000 + old_goes_on * 1000), &moved);
            assert_eq!(call.strict.source(), Some(STRANGER), "moved, and silent after {old_goes_on} ms");
            let lost = u64::try_from(moved.len() - heard.stranger).unwrap() * 20 - old_goes_on;
            assert!(lost <= 520, "{lost} ms lost");
        }
    }

    /// All offsets between a phone and a stranger, whichever begins.
    #[test]
    fn a_signalled_phone_is_never_lost_to_a_stranger() {
        let (mut calls, mut lost, mut heard_beside) = (0, 0, 0);
        sweep(|ptime, interval, phase| {
            for (phone_begins, stranger_begins) in
                [(0, 0), (0, 100_000), (0, 1_400_000), (100_000, 0), (1_400_000, 0), (2_500_000, 0)]
            {
                let mut call = Call::signalled(PHONE);
                let phone = packets(phone_begins, ptime, 4_000_000);
                let heard = call.play(&phone, &packets(stranger_begins + phase, interval, 4_000_000));
                calls += 1;
                lost += u32::from(!heard.phone_at_last);
                heard_beside += u32::from(phone_begins <= stranger_begins && heard.stranger > 0);
            }
            // The phone is muted for a while, as it may be while the source is learned.
            let mut call = Call::signalled(PHONE);
            let phone = [packets(0, ptime, 200_000), packets(2_500_000, ptime, 4_000_000)].concat();
            let heard = call.play(&phone, &packets(phase, interval, 4_000_000));
            calls += 1;
            lost += u32::from(!heard.phone_at_last);
        });
        assert_eq!((lost, heard_beside), (0, 0), "lost, and a stranger heard beside it, of {calls}");
    }

    #[test]
    fn a_phone_behind_a_nat_is_never_lost_to_a_stranger_once_it_is_known() {
        let (mut calls, mut lost, mut heard_beside) = (0, 0, 0);
        sweep(|ptime, interval, phase| {
            for renewed_at in [None, Some(4_000_000)] {
                let mut call = Call::signalled(address(9));
                let known = ptime * 5;
                call.play(&packets(0, ptime, known), &[]);
                if let Some(at) = renewed_at {
                    call.play(&packets(known, ptime, at), &packets(known + phase, interval, at));
                    // A re-INVITE for a session timer or after hold signals the address that was signalled before.
                    call.strict.set_signalled(call.now(at), Some(address(9)));
                    assert!(call.strict.is_learning());
                }
                let begin = renewed_at.unwrap_or(known);
                let end = begin + 3_000_000;
                let heard = call.play(&packets(begin, ptime, end), &packets(begin + phase, interval, end));
                calls += 1;
                lost += u32::from(!heard.phone_at_last);
                heard_beside += u32::from(heard.stranger > 0);
            }
        });
        assert_eq!((lost, heard_beside), (0, 0), "lost, and a stranger heard beside it, of {calls}");
    }

    #[test]
    fn open_takes_everything() {
        let now = Instant::now();
        let mut strict = StrictRtp::open();
        strict.set_signalled(now, Some(address(1)));
        assert_eq!(strict.handle_packet(now, address(9), 1), Verdict::Accept);
        assert!(strict.is_open());
    }

    #[test]
    fn media_follows_its_source_only_with_nat() {
        let mut target = SymmetricRtp::new();
        target.set_signalled(Some(address(1)));
        assert!(!target.handle_rtp(address(2)));
        target.set_follow(true);
        assert!(target.handle_rtp(address(2)));
        assert!(!target.handle_rtp(address(2)));
        assert_eq!(target.rtp(), Some(address(2)));
        assert_eq!(target.rtcp(), Some(SocketAddr::from(([192, 0, 2, 2], 4001))));
        assert!(target.handle_rtcp(address(3)));
        assert_eq!((target.rtp(), target.rtcp()), (Some(address(2)), Some(address(3))));
    }

    proptest! {
        #[test]
        fn an_unsignalled_stream_needs_all_of_its_probation(probation in 1u32..20, first: u16) {
            let mut now = Instant::now();
            let mut strict = StrictRtp::learning(now, probation);
            let mut packets = 0u32;
            loop {
                packets += 1;
                let sequence_number = first.wrapping_add(u16::try_from(packets).unwrap());
                if stream(&mut strict, &mut now, address(2), sequence_number, 1).is_accepted() {
                    break;
                }
            }
            prop_assert_eq!(packets, probation + 1);
        }
    }
}
