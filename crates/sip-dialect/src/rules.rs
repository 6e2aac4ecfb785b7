//! The rules: what is changed, for which client, and the section of the RFC that makes it right. Each has a switch.

use std::fmt;

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rule {
    /// A direction at session level is moved to the media sections that have none of their own (RFC 8866 §6.7: a section's
    /// own direction counts). Firefox 153 prints `a=sendrecv` there, also when it holds; the host takes the first that it
    /// meets.
    SessionDirection,
    /// The direction of an answer fits the offer's (RFC 3264 §6.1). The host answers sendrecv to every first offer, and
    /// does not know recvonly; browsers refuse that ("Incompatible send direction").
    AnswerDirection,
    /// Payload types that the host would take for another format leave the `m=` line; without any left the section is
    /// refused with port 0 (RFC 3264 §6). Firefox 153 calls AV1 99, which means H.264 to the host whatever `a=rtpmap` says.
    PayloadTypes,
    /// Answers have the offer's `a=mid`, and offers have one (RFC 5888 §9.1, RFC 8829 §5.2.1). aiortc 1.16, werift 0.24,
    /// GStreamer's webrtcbin and str0m refuse a description without, libdatachannel opens no track. And all sections of the session
    /// are there, in their order, those that were declined with port 0 (RFC 3264 §8): the host leaves them out when it offers, or
    /// answers an offer that it has had before, and browsers refuse that.
    Mid,
    /// A description groups its only media section, if the offer groups it or there is none (RFC 9143 §7.3): str0m and Chromium's
    /// pages with `bundlePolicy` `max-bundle` take no answer without a group. A section without a transport of its own is refused
    /// (port 0), since the host has none that two could share; so is a picture with DTLS that joins in mid-call, for which the host has
    /// dropped its transport: it would refuse the whole offer. Nothing is grouped for clients that are known to need no group.
    Group,
    /// An answer has the offer's transport (RFC 3264 §6, RFC 8829 §5.1.2): with `force_avp` the host answers RTP/SAVPF to
    /// UDP/TLS/RTP/SAVPF, which str0m refuses.
    Profile,
    /// A client that may refresh the session by UPDATE (RFC 4028 §7.4) does so with this module, and the host does not know
    /// of it: it answers UPDATE with 501 and ends the call. JsSIP 3.13 refreshes so by default when it is called.
    SessionTimer,
    /// Candidates in INFO (RFC 8840) reach the agent of their call, and offers without candidates are not taken for a hold:
    /// the host takes the address 0.0.0.0 for one, as RFC 2543 had it.
    Trickle,
    /// Candidate addresses (RFC 8839 §5.1) that are longer than the 23 characters that the host reads, of IPv6 and of
    /// multicast DNS, are carried in the foundation; and a foundation of 32 characters, as aiortc has, loses one. The host drops
    /// such candidates.
    LongCandidates,
    /// The hash in `a=fingerprint` is written in lower case (RFC 8122 §5). The host prints `SHA-256`, which str0m does not know.
    FingerprintCase,
    /// A description that has changed has a higher version in `o=` (RFC 3264 §8). libdatachannel and werift begin a session
    /// anew with version 0, str0m repeats its version; the host ignores such a description, also when it is a hold.
    Version,
    /// Requests for whole pictures: video sections say that FIR and PLI are understood (RFC 4585 §4.2, RFC 5104 §7.1), without
    /// which a browser sends none, and what the host asks for in INFO (RFC 5168), the engine asks for in RTCP, which is all that
    /// browsers understand.
    Pictures,
    /// sipML5 2.1: it says sendonly where its browser is recvonly, so inactive is the only answer that fits both; and when it
    /// resumes it has one more `m=audio`, bundled with the first (RFC 9143), of which the host understands one.
    Sipml,
    /// Opus (RFC 7587) is G719/48000 to the host, which does not know it. Off by default: the host's configuration has to go with
    /// it.
    Opus,
    /// VP8 (RFC 7741) is MP4V-ES/90000 to the host, which does not know it. Off by default: the host's configuration has to go with
    /// it.
    Vp8,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 15] = [
        Self::SessionDirection,
        Self::AnswerDirection,
        Self::PayloadTypes,
        Self::Mid,
        Self::Group,
        Self::Profile,
        Self::SessionTimer,
        Self::Trickle,
        Self::LongCandidates,
        Self::FingerprintCase,
        Self::Version,
        Self::Pictures,
        Self::Sipml,
        Self::Opus,
        Self::Vp8,
    ];

    /// The rule's name: its key in the configuration, and its counter's.
    pub fn name(self) -> &'static str {
        match self {
            Self::SessionDirection => "sessiondirection",
            Self::AnswerDirection => "answerdirection",
            Self::PayloadTypes => "payloadtypes",
            Self::Mid => "mid",
            Self::Group => "group",
            Self::Profile => "profile",
            Self::SessionTimer => "sessiontimer",
            Self::Trickle => "trickle",
            Self::LongCandidates => "longcandidates",
            Self::FingerprintCase => "fingerprintcase",
            Self::Version => "version",
            Self::Pictures => "pictures",
            Self::Sipml => "sipml",
            Self::Opus => "opus",
            Self::Vp8 => "vp8",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// A set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules(u16);

impl Rules {
    /// No rule.
    pub const NONE: Self = Self(0);
    /// All rules.
    pub const ALL: Self = Self((1 << Rule::ALL.len()) - 1);
    /// The rules that are on unless the configuration says otherwise.
    pub const DEFAULT: Self = Self::ALL.without(Rule::Opus).without(Rule::Vp8);

    /// Whether the rule is in the set.
    pub fn has(self, rule: Rule) -> bool {
        self.0 & rule.bit() != 0
    }

    /// The set with the rule.
    #[must_use]
    pub fn with(self, rule: Rule) -> Self {
        Self(self.0 | rule.bit())
    }

    /// The set without the rule.
    #[must_use]
    pub const fn without(self, rule: Rule) -> Self {
        Self(self.0 & !rule.bit())
    }

    /// The rules of the set, in the order of [`Rule::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.into_iter().filter(move |rule| self.has(*rule))
    }
}

impl From<Rule> for Rules {
    fn from(rule: Rule) -> Self {
        Self::NONE.with(rule)
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rule) in self.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, rule.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in() {
        let set = Rules::from(Rule::Mid).with(Rule::Trickle).with(Rule::Mid);
        assert_eq!(set.to_string(), "mid, trickle");
        assert_eq!(set.without(Rule::Mid), Rule::Trickle.into());
        assert_eq!(Rules::ALL.iter().collect::<Vec<_>>(), Rule::ALL);
        assert_eq!(Rules::NONE.to_string(), "");
    }
}
