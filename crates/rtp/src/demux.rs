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
    fn telephone_event_with_marker_stays_rtp() {
        assert_eq!(classify(&[0x80, 0x80 | 101]), Class::Rtp);
        assert_eq!(classify(&[0x80, 0x80 | 126]), Class::Rtp);
    }
}
