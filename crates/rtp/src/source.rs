//! The address that media is accepted from, and the address that it is sent to, where the signalled ones may be wrong.
//!
//! *Strict RTP* ([`StrictRtp`], `strictrtp` and `probation` in `rtp.conf`): media is accepted from one address only.
//! For a while after the call starts, or after the peer signals another address, the source may change: to the
//! signalled address at once, and to any other after `probation` packets in sequence, once the present source has
//! fallen silent. For a stream that continues that of the present source, with its SSRC and its count, a short silence is
//! enough: it is the same sender at another address, because a stranger does not know the two. Two streams that compete keep each other from passing the probation. Afterwards only the signalled
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

/// The address that media is accepted from, and the last packet from there.
#[derive(Debug, Clone, Copy)]
struct Source {
    address: SocketAddr,
    heard: Instant,
    ssrc: u32,
    last: SequenceNumber,
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

    /// Judges a media packet by its source address `from`. Its SSRC and its sequence number tell the sender that has moved
    /// from another.
    pub fn handle_packet(&mut self, now: Instant, from: SocketAddr, ssrc: u32, sequence_number: u16) -> Verdict {
        if self.has_learned(now, from) {
            self.state = State::Closed { candidate: None };
            self.alternative = None;
        }
        let sequence_number = SequenceNumber(sequence_number);
        let here = Source { address: from, heard: now, ssrc, last: sequence_number };
        if let Some(source) = self.source.as_mut().filter(|source| source.address == from) {
            *source = here;
            // The known source still sends, so a competitor starts from the beginning.
            if let State::Learning { candidate, .. } = &mut self.state {
                *candidate = None;
            }
            return Verdict::Accept;
        }
        let is_signalled = self.signalled == Some(from);
        let (candidate, remaining) = match &mut self.state {
            State::Open => return Verdict::Accept,
            State::Learning { candidate, .. } if is_signalled || self.alternative == Some(from) => (candidate, 0),
            State::Learning { candidate, .. } => {
                let remaining = Candidate::advance(candidate, now, from, sequence_number, self.probation, FLOOD);
                let is_taken = self.source.is_some_and(|source| source.outlasts(&here));
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
        self.source = Some(here);
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
    /// Whether this source may still be there when a packet from another address arrives, the latest from `other`.
    fn outlasts(&self, other: &Self) -> bool {
        let silence = if self.continues_as(other) { SILENCE_OF_THE_SAME } else { SILENCE };
        other.heard.saturating_duration_since(self.heard) < silence
    }

    /// Whether a packet from another address is the next, or one of the next, of the same sender.
    fn continues_as(&self, other: &Self) -> bool {
        self.ssrc == other.ssrc && (0..=MOVED).contains(&other.last.distance_from(self.last))
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
            // The network has repeated the packet.
            Some(known)
                if (known.address, known.last) == (address, sequence_number) && now < known.received + shortest =>
            {
                return known.remaining;
            }
            Some(known) if known.address == address => {
                // The number of some senders stands still.
                let in_sequence = [known.last, known.last.next()].contains(&sequence_number);
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

/// A sender that goes on from another address has been silent at the old one for this time, which is longer than a packet of 60 ms.
const SILENCE_OF_THE_SAME: Duration = Duration::from_millis(80);

/// The most packets between the last one from the old address and one from the new: two seconds of 20 ms each.
const MOVED: i16 = 100;

/// Packets closer together than this are a flood: the shortest packet time in use, 10 ms, less the jitter of a network.
const FLOOD: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests;
