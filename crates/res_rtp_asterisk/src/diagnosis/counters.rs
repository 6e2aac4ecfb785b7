//! Counts refused packets by reason, so that missing audio can be explained.

/// The reason why a received datagram was refused, or a packet was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Refused {
    /// The first octet belongs to no protocol of RFC 7983, or to TURN channels, which are not used.
    Unknown,
    /// STUN without ICE, or STUN that the ICE agent refused.
    Stun,
    /// DTLS in a session without it, or from an address that neither ICE nor the signalling allows.
    Dtls,
    /// Media or RTCP received before the SRTP keys were agreed.
    NoKeys,
    /// SRTP or SRTCP that failed authentication, or was a replay.
    Srtp,
    /// Media or RTCP from an address that was neither learned nor checked by ICE.
    Source,
    /// Malformed RTP or RTCP.
    Malformed,
    /// A duplicate, or an unconfirmed jump of the sequence number (RFC 3550 appendix A.1).
    Sequence,
    /// RTCP while the host has RTCP turned off.
    RtcpOff,
    /// A payload type that was not negotiated.
    PayloadType,
    /// Media dropped because the channel did not read it in time.
    RingFull,
    /// Not sent: no address, no selected pair with consent (RFC 7675), or an error of the socket.
    Unsendable,
    /// Not sent: the SRTP keys are not agreed yet.
    KeysDue,
}

impl Refused {
    /// Returns the reason with this number.
    pub fn numbered(number: u8) -> Option<Self> {
        REASONS.get(usize::from(number)).copied()
    }

    /// Returns the reason in a few words, for the log and `rtp show sessions`.
    pub fn name(self) -> &'static str {
        NAMES.get(self as usize).copied().unwrap_or_default()
    }
}

/// One count per [`Refused`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters([u64; 13]);

impl Counters {
    /// Counts one refused packet. Returns how many of this reason there are by now.
    pub fn add(&mut self, reason: Refused) -> u64 {
        let Some(count) = self.0.get_mut(reason as usize) else { return 0 };
        *count += 1;
        *count
    }

    /// Returns the reasons with a count above zero.
    pub fn all(&self) -> impl Iterator<Item = (Refused, u64)> + '_ {
        REASONS.iter().copied().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

/// Whether this many refused packets of a session are worth a line in the log: 10, 100, 1000 and so on. A few are common.
pub fn is_worth_a_line(count: u64) -> bool {
    count >= 10 && 10_u64.pow(count.ilog10()) == count
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

/// The names of the reasons, in the order of [`Refused`].
pub const NAMES: [&str; 13] = [
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
    fn a_flood_is_worth_a_handful_of_lines() {
        let lines: Vec<u64> = (0..=2_000_000).filter(|count| is_worth_a_line(*count)).collect();
        assert_eq!(lines, [10, 100, 1000, 10_000, 100_000, 1_000_000]);
    }

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
