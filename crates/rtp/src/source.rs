//! Whom we listen to, and whom we send to, when addresses in the signalling may be wrong.
//!
//! *Strict RTP* ([`StrictRtp`], `strictrtp` and `probation` in `rtp.conf`): media is taken from one
//! address. For a while after the call starts, or after the peer signals another address, that one
//! may change: to the signalled address at once, to any other after `probation` packets in sequence.
//! Two streams that compete keep each other from passing. Afterwards nothing else is let in.
//!
//! *Symmetric RTP* ([`SymmetricRtp`], `nat=comedia`): media is sent to where media comes from, as a
//! peer behind a NAT does not know its own address (RFC 4961). Only what strict RTP let in counts.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::timestamp::SequenceNumber;

/// What to do with a packet, seen by its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It comes from the source we listen to.
    Accept,
    /// It comes from a source that we listen to from now on.
    AcceptNewSource,
    /// The source is on probation: this many more packets in sequence and it is taken.
    Probation {
        /// Packets still needed.
        remaining: u32,
    },
    /// It comes from somebody else.
    Drop,
}

impl Verdict {
    /// Whether the packet is to be used.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Accept | Self::AcceptNewSource)
    }
}

/// Strict RTP: the source that media is taken from.
#[derive(Debug, Clone)]
pub struct StrictRtp {
    state: State,
    probation: u32,
    source: Option<SocketAddr>,
    signalled: Option<SocketAddr>,
    alternative: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// `strictrtp=no`: everything is taken.
    Open,
    /// The source may still change.
    Learning { since: Instant, candidate: Option<Candidate> },
    /// The source is `StrictRtp::source`, for good.
    Closed,
}

/// An address that wants to become the source.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    address: SocketAddr,
    last: SequenceNumber,
    received: Instant,
    remaining: u32,
}

impl StrictRtp {
    /// Takes media from anywhere (`strictrtp=no`).
    pub fn open() -> Self {
        Self { state: State::Open, probation: 0, source: None, signalled: None, alternative: None }
    }

    /// Learns its source, with a `probation` of that many packets for an address nobody signalled.
    pub fn learning(now: Instant, probation: u32) -> Self {
        let state = State::Learning { since: now, candidate: None };
        Self { state, probation: probation.max(1), ..Self::open() }
    }

    /// The address that the peer signalled for its media, or changed it to.
    pub fn set_signalled(&mut self, now: Instant, address: Option<SocketAddr>) {
        self.signalled = address;
        self.learn_if_new(now, address);
    }

    /// A second address from signalling (glare between two re-INVITEs); good for the learning period
    /// that it starts.
    pub fn set_alternative(&mut self, now: Instant, address: Option<SocketAddr>) {
        self.alternative = address;
        self.learn_if_new(now, address);
    }

    /// Learns anew: ICE selected another pair.
    pub fn learn(&mut self, now: Instant) {
        if !matches!(self.state, State::Open) {
            self.state = State::Learning { since: now, candidate: None };
        }
    }

    /// Judges a media packet by where it comes from.
    pub fn handle_packet(&mut self, now: Instant, from: SocketAddr, sequence_number: u16) -> Verdict {
        if let (State::Learning { since, .. }, Some(_)) = (self.state, self.source)
            && now.saturating_duration_since(since) > LEARNING
        {
            self.state = State::Closed;
            self.alternative = None;
        }
        let is_source = self.source == Some(from);
        match &mut self.state {
            State::Open => Verdict::Accept,
            State::Closed => {
                if is_source {
                    Verdict::Accept
                } else {
                    Verdict::Drop
                }
            }
            // The known source still sends, so a competitor starts from the beginning.
            State::Learning { candidate, .. } if is_source => {
                *candidate = None;
                Verdict::Accept
            }
            State::Learning { candidate, .. } => {
                let expected = self.signalled == Some(from) || self.alternative == Some(from);
                let remaining = if expected {
                    0
                } else {
                    Candidate::advance(candidate, now, from, SequenceNumber(sequence_number), self.probation)
                };
                if remaining > 0 {
                    return Verdict::Probation { remaining };
                }
                *candidate = None;
                self.source = Some(from);
                Verdict::AcceptNewSource
            }
        }
    }

    /// The source that media is taken from, once there is one.
    pub fn source(&self) -> Option<SocketAddr> {
        self.source
    }

    /// Whether anything is taken (`strictrtp=no`).
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Whether the source may still change.
    pub fn is_learning(&self) -> bool {
        matches!(self.state, State::Learning { .. })
    }

    fn learn_if_new(&mut self, now: Instant, address: Option<SocketAddr>) {
        if address.is_some() && address != self.source {
            self.learn(now);
        }
    }
}

impl Candidate {
    /// Counts a packet from `address` and returns how many more are needed.
    fn advance(
        slot: &mut Option<Self>,
        now: Instant,
        address: SocketAddr,
        sequence_number: SequenceNumber,
        probation: u32,
    ) -> u32 {
        let remaining = match slot {
            Some(known) if known.address == address => {
                let in_sequence = sequence_number == known.last.next();
                // A flood is not a stream: no codec sends packets this close together.
                let flood = now.saturating_duration_since(known.received) < FLOOD;
                if in_sequence && !flood {
                    known.remaining.saturating_sub(1)
                } else {
                    probation.saturating_sub(1).max(1)
                }
            }
            // Of competitors each undoes what the other gained.
            _ => probation,
        };
        *slot = Some(Self { address, last: sequence_number, received: now, remaining });
        remaining
    }
}

/// Where our media and reports go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SymmetricRtp {
    follow: bool,
    rtp: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
}

impl SymmetricRtp {
    /// Nowhere yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to send to where packets come from (`nat=comedia`).
    pub fn set_follow(&mut self, follow: bool) {
        self.follow = follow;
    }

    /// The peer signalled its address for media; reports go to the next port (RFC 3550 §11).
    pub fn set_signalled(&mut self, address: Option<SocketAddr>) {
        self.rtp = address;
        self.rtcp = address.map(next_port);
    }

    /// The peer signalled another address for its reports (RFC 3605), or ICE selected it.
    pub fn set_rtcp(&mut self, address: Option<SocketAddr>) {
        self.rtcp = address;
    }

    /// A media packet that was accepted came from `from`. Returns whether media goes there from now
    /// on and did not before.
    pub fn handle_rtp(&mut self, from: SocketAddr) -> bool {
        let moves = self.follow && self.rtp != Some(from);
        if moves {
            self.rtp = Some(from);
            self.rtcp = Some(next_port(from));
        }
        moves
    }

    /// A report about the SSRC that we receive came from `from`. Returns whether reports go there
    /// from now on and did not before.
    pub fn handle_rtcp(&mut self, from: SocketAddr) -> bool {
        let moves = self.follow && self.rtcp != Some(from);
        if moves {
            self.rtcp = Some(from);
        }
        moves
    }

    /// Where media goes.
    pub fn rtp(&self) -> Option<SocketAddr> {
        self.rtp
    }

    /// Where reports go.
    pub fn rtcp(&self) -> Option<SocketAddr> {
        self.rtcp
    }
}

fn next_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(address.port().wrapping_add(1));
    address
}

/// How long the source may change after the call started or the peer signalled another address. Long
/// enough for a direct stream to replace one that came through a server.
const LEARNING: Duration = Duration::from_millis(1500);

/// The shortest packet time there is, 10 ms, less the jitter that a network adds.
const FLOOD: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
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
