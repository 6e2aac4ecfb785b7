//! Classifies the datagrams of a media socket: STUN, DTLS, RTP (RFC 7983 §7) or RTCP (RFC 5761 §4).
//!
//! ```text
//!             +----------------+
//!             |        [0..3] -+--> STUN
//!             |      [16..19] -+--> (ZRTP, dropped)
//!  packet --> |      [20..63] -+--> DTLS
//!             |      [64..79] -+--> TURN channel
//!             |    [128..191] -+--> RTP, or RTCP when the second octet is 192..=223
//!             +----------------+
//! ```
//!
//! On a port that is not multiplexed, RTP may have any payload type; [`classify_unmultiplexed`] looks at lengths as well.

use crate::rtcp::packet_type;

/// The protocol of a datagram, judged by its first two octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// STUN (RFC 8489): connectivity checks, consent, keep-alives.
    Stun,
    /// A DTLS record (RFC 6347).
    Dtls,
    /// TURN ChannelData (RFC 8656 §12.4).
    TurnChannel,
    /// RTP or SRTP.
    Rtp,
    /// RTCP or SRTCP.
    Rtcp,
    /// None of these: an empty datagram, ZRTP, or noise.
    Unknown,
}

/// Classifies a datagram by its first two octets.
pub fn classify(datagram: &[u8]) -> Class {
    match datagram {
        [0..=3, ..] => Class::Stun,
        [20..=63, ..] => Class::Dtls,
        [64..=79, ..] => Class::TurnChannel,
        // Packet types 192 to 223 would be RTP payload types 64 to 95 with the marker bit set, which must not be used
        // on a multiplexed port (RFC 5761 §4).
        [128..=191, 192..=223, ..] => Class::Rtcp,
        [128..=191, _, ..] => Class::Rtp,
        _ => Class::Unknown,
    }
}

/// How RTCP arrives, which says how much of it can be read before it is decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// RTCP.
    Plain,
    /// SRTCP: all but the first eight octets may be encrypted, and an index follows the last packet (RFC 3711 §3.4).
    Protected,
}

/// Classifies a datagram of a port for which nobody has agreed on multiplexing, though a peer may send its RTCP there all the same.
/// RTP may have payload types 64 to 95 with the marker bit then (RFC 5761 §4 speaks of multiplexed ports), so RTCP is what has
/// the length of an RTCP packet too (RFC 3550 A.2).
pub fn classify_unmultiplexed(datagram: &[u8], form: Form) -> Class {
    match classify(datagram) {
        Class::Rtcp if !has_lengths_of_rtcp(datagram, form) => Class::Rtp,
        class => class,
    }
}

/// Whether the first packet fits, and what follows it agrees. A report that is whole is enough: some phones send a malformed
/// SDES behind it. For other packets the next header has to be one of RTCP, as the numbers of RTP may begin at zero.
fn has_lengths_of_rtcp(datagram: &[u8], form: Form) -> bool {
    let [_, packet_type, high, low, ..] = *datagram else { return false };
    let len = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
    let Some(rest) = datagram.get(len..) else { return false };
    let is_report = matches!(packet_type, packet_type::SENDER_REPORT | packet_type::RECEIVER_REPORT);
    match form {
        Form::Plain => rest.is_empty() || is_report && len >= REPORT || classify(rest) == Class::Rtcp,
        Form::Protected => len >= SRTCP_CLEAR && rest.len() >= SRTCP_INDEX,
    }
}

/// Octets of a sender report without blocks (RFC 3550 §6.4.1). A receiver report with a block has more.
const REPORT: usize = 28;

/// Octets in front of what SRTCP encrypts (RFC 3711 §3.4).
const SRTCP_CLEAR: usize = 8;

/// Octets of the index behind an SRTCP packet (RFC 3711 §3.4). The length of the tag behind it is not known here.
const SRTCP_INDEX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7983_section_7_ranges() {
        let class_of = |first: u8| classify(&[first, 0, 0, 0]);
        for first in 0..=255u8 {
            let expected = match first {
                0..=3 => Class::Stun,
                20..=63 => Class::Dtls,
                64..=79 => Class::TurnChannel,
                128..=191 => Class::Rtp,
                _ => Class::Unknown,
            };
            assert_eq!(class_of(first), expected, "first octet {first}");
        }
        assert_eq!(classify(&[]), Class::Unknown);
        assert_eq!(classify(&[0x80]), Class::Unknown);
    }

    #[test]
    fn rfc5761_section_4_packet_types() {
        for second in 0..=255u8 {
            let rtcp = (192..=223).contains(&second);
            assert_eq!(classify(&[0x80, second]), if rtcp { Class::Rtcp } else { Class::Rtp }, "second octet {second}");
        }
    }

    #[test]
    fn rfc5761_section_4_a_port_of_rtp_alone_carries_any_payload_type() {
        for payload_type in 64..=95 {
            // The first packet of a talkspurt: 160 octets behind a header with sequence number 4711.
            let mut packet = [0xD5; 172];
            packet[..4].copy_from_slice(&[0x80, 0x80 | payload_type, 0x12, 0x67]);
            assert_eq!(classify(&packet), Class::Rtcp);
            for form in [Form::Plain, Form::Protected] {
                assert_eq!(classify_unmultiplexed(&packet, form), Class::Rtp, "payload type {payload_type}");
            }
        }
    }

    #[test]
    fn talk_whose_numbers_begin_at_zero_or_one_is_heard_from_its_first_packet_on() {
        for (payload_type, number) in (64..=95).flat_map(|payload_type| [(payload_type, 0), (payload_type, 1)]) {
            let mut packet = [0; 172];
            packet[..4].copy_from_slice(&[0x80, 0x80 | payload_type, 0, number]);
            assert_eq!(classify_unmultiplexed(&packet, Form::Plain), Class::Rtp, "payload type {payload_type}");
        }
    }

    #[test]
    fn a_report_is_rtcp_however_what_follows_it_ends() {
        let mut report = [7; 32];
        report[..8].copy_from_slice(&[0x81, 201, 0, 7, 0, 0, 0, 7]);
        for end in [&[][..], &[9], &[0x81, 202, 0, 99, 1, 2, 3, 4], &[0xFF; 40]] {
            assert_eq!(classify_unmultiplexed(&[&report, end].concat(), Form::Plain), Class::Rtcp, "{end:?}");
        }
    }

    #[test]
    fn rtcp_of_a_peer_that_multiplexes_unasked_is_rtcp() {
        let goodbye = [0x81, 203, 0, 1, 0, 0, 0, 7];
        let report = [&[0x80, 201, 0, 1, 0, 0, 0, 7], &goodbye[..]].concat();
        for compound in [&goodbye[..], &report] {
            assert_eq!(classify_unmultiplexed(compound, Form::Plain), Class::Rtcp);
            // Behind the header of the report everything is encrypted, and index and tag follow.
            let mut protected = compound.to_vec();
            protected[8..].fill(0xA5);
            protected.extend_from_slice(&[0x80, 0, 0, 1, 9, 9, 9, 9]);
            assert_eq!(classify_unmultiplexed(&protected, Form::Protected), Class::Rtcp);
        }
        assert_eq!(classify_unmultiplexed(&goodbye[..4], Form::Plain), Class::Rtp);
        assert_eq!(classify_unmultiplexed(&goodbye[..2], Form::Protected), Class::Rtp);
        assert_eq!(classify_unmultiplexed(&[], Form::Plain), Class::Unknown);
        assert_eq!(classify_unmultiplexed(&[0x80, 0], Form::Plain), Class::Rtp);
    }

    #[test]
    fn telephone_event_with_marker_stays_rtp() {
        assert_eq!(classify(&[0x80, 0x80 | 101]), Class::Rtp);
        assert_eq!(classify(&[0x80, 0x80 | 126]), Class::Rtp);
    }
}
