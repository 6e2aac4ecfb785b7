//! What was refused, and why: one count per reason, so that "no audio" has a name.

/// Why a datagram went no further, or a frame was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Refused {
    /// RFC 7983 knows no such first octet, or nobody asked for such a datagram.
    Unknown,
    /// STUN without an ICE session, or one that the agent refused.
    Stun,
    /// DTLS where none is configured, or from elsewhere than ICE or the signalling say.
    Dtls,
    /// Media or RTCP before the keys that are due.
    NoKeys,
    /// SRTP or SRTCP that did not verify, or was a replay.
    Srtp,
    /// Media from another source than the one that was learned or checked.
    Source,
    /// Not RTP or RTCP after all.
    Malformed,
    /// A duplicate or an unconfirmed jump.
    Sequence,
    /// RTCP while RTCP is off.
    RtcpOff,
    /// A payload type that was not negotiated.
    PayloadType,
    /// The bounded ring let go of an older packet.
    RingFull,
    /// Not sent: no address, no consent, or the network refused it.
    Unsendable,
    /// Not sent: the keys that are due are not there yet.
    KeysDue,
}

impl Refused {
    /// In a word or two.
    pub fn name(self) -> &'static str {
        NAMES.get(self as usize).copied().unwrap_or_default()
    }
}

/// One count per [`Refused`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters([u64; 13]);

impl Counters {
    /// Counts one.
    pub fn add(&mut self, reason: Refused) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// All that are not zero.
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
