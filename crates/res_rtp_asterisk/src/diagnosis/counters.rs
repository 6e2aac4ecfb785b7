//! Counts refused packets by reason, so that "no audio" has a name.

/// The reason why a datagram was dropped or a frame was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Refused {
    /// The first octet is that of no protocol we speak here (RFC 7983).
    Unknown,
    /// A STUN message without an ICE session, or one that the ICE agent refused.
    Stun,
    /// A DTLS datagram where DTLS is not configured, or from an address that neither ICE nor the signalling vouches for.
    Dtls,
    /// Media or RTCP that arrived before the SRTP keys.
    NoKeys,
    /// An SRTP or SRTCP packet that failed authentication or was a replay.
    Srtp,
    /// A packet from an address other than the one that strict RTP learned or ICE checked.
    Source,
    /// A packet that does not parse as RTP or RTCP.
    Malformed,
    /// A duplicate, or a jump of the sequence number that the next packet did not confirm yet (RFC 3550 A.1).
    Sequence,
    /// An RTCP packet while the host has RTCP switched off.
    RtcpOff,
    /// A packet whose payload type was not negotiated.
    PayloadType,
    /// A packet that was dropped because too many wait for a channel that does not read.
    RingFull,
    /// A packet that was not sent: no address, no consent, or the system refused it.
    Unsendable,
    /// A packet that was not sent because the SRTP keys are not there yet.
    KeysDue,
}

impl Refused {
    /// Returns a name of one to three words for logs and the console.
    pub fn name(self) -> &'static str {
        NAMES.get(self as usize).copied().unwrap_or_default()
    }
}

/// One counter for each [`Refused`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters([u64; 13]);

impl Counters {
    /// Adds one to the counter of `reason`.
    pub fn add(&mut self, reason: Refused) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// Iterates over the counters that are not zero.
    pub fn all(&self) -> impl Iterator<Item = (Refused, u64)> + '_ {
        REASONS.iter().copied().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

const REASONS: [Refused; 13] = [
    Refused::Unknown,
    Refused::Stun,
    Refused::Dtls,
    Refused::NoKeys,
    Refused::Srtp,
    Refused::Source,
    Refused::Malformed,
    Refused::Sequence,
    Refused::RtcpOff,
    Refused::PayloadType,
    Refused::RingFull,
    Refused::Unsendable,
    Refused::KeysDue,
];

const NAMES: [&str; 13] = [
    "unknown",
    "stun",
    "dtls",
    "no keys",
    "srtp",
    "source",
    "malformed",
    "sequence",
    "rtcp off",
    "payload type",
    "ring full",
    "unsendable",
    "not sent before keys",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_counts_under_its_own_name() {
        let mut counters = Counters::default();
        for (reason, name) in REASONS.into_iter().zip(NAMES) {
            counters.add(reason);
            assert_eq!(reason.name(), name);
        }
        assert_eq!(counters.all().count(), REASONS.len());
        assert!(counters.all().all(|(_, count)| count == 1));
    }
}
