//! Records (RFC 6347 §4.1): which of a datagram's may reach OpenSSL.
//!
//! ```text
//!    0       1       2       3       4       5 .. 10         11      12
//!   +-------+-------+-------+-------+-------+-------  -----+-------+-------+
//!   | type  | version       | epoch         | sequence no. | length        |
//!   +-------+-------+-------+-------+-------+-------  -----+-------+-------+
//! ```
//!
//! Until keys are agreed on, records come in the clear and could be anybody's, and OpenSSL ends a handshake for many of
//! them: for an alert, for a message it does not expect, for a length that is too long or too short. RFC 6347 §4.1.2.7
//! wants invalid records dropped. So the ones that the peer we expect has no reason to send are. The others in the
//! clear get sequence numbers of our own: a forged high one would move the replay window beyond the peer's, and tells
//! nothing anyway, since messages have numbers themselves (§4.2.2).

use crate::hello::CLIENT_HELLO;
use crate::role::Role;

/// What a datagram has to go through.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// Sequence number of the next record in the clear.
    next_number: u32,
}

/// What was taken out of a datagram.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Filtered {
    /// The records that may pass.
    pub(crate) records: Vec<u8>,
    /// A fatal alert in the clear.
    pub(crate) alert: Option<u8>,
}

/// How far we are, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Records in the clear belong to the handshake.
    Handshake,
    /// They are over, and an encrypted record has at least this many bytes.
    Connected(usize),
}

impl Filter {
    /// Leaves only the records that a peer with the other role sends.
    pub(crate) fn apply(&mut self, local: Role, phase: Phase, datagram: &[u8]) -> Filtered {
        let mut filtered = Filtered::default();
        let mut rest = datagram;
        // A record that is cut short ends the datagram (RFC 6347 §4.1.1: records do not span datagrams).
        while let Some((record, behind)) = Record::split(rest) {
            if record.may_pass(local, phase) {
                self.pass(&rest[..rest.len() - behind.len()], record.epoch, &mut filtered.records);
            } else if let Record { content_type: ALERT, epoch: 0, body: &[FATAL, description], .. } = record {
                filtered.alert = Some(description);
            }
            rest = behind;
        }
        filtered
    }

    fn pass(&mut self, record: &[u8], epoch: u16, records: &mut Vec<u8>) {
        let begin = records.len();
        records.extend_from_slice(record);
        if epoch == 0 {
            let number = [[0; 2].as_slice(), &self.next_number.to_be_bytes()].concat();
            // The header is there: `split` has read it.
            records[begin + SEQUENCE_NUMBER_OFFSET..][..number.len()].copy_from_slice(&number);
            self.next_number = self.next_number.saturating_add(1);
        }
    }
}

/// What the first fragment of a ClientHello holds, if a datagram begins with one in the clear.
pub(crate) fn client_hello(datagram: &[u8]) -> Option<&[u8]> {
    let (record, _) = Record::split(datagram)?;
    let is_clear = (record.content_type, record.epoch) == (HANDSHAKE, 0);
    if !is_clear || !record.may_pass(Role::Server, Phase::Handshake) {
        return None;
    }
    let (header, rest) = record.body.split_first_chunk::<MESSAGE_HEADER_LEN>()?;
    let [message_type, _, _, _, _, _, offset @ .., f2, f1, f0] = *header;
    let fragment = u32::from_be_bytes([0, f2, f1, f0]) as usize;
    if (message_type, offset) != (CLIENT_HELLO, [0; 3]) { None } else { rest.get(..fragment) }
}

/// A datagram with the first message of its sender, in its first record.
pub(crate) fn first_message(message_type: u8, [major, minor]: [u8; 2], body: &[u8]) -> Vec<u8> {
    let [.., l2, l1, l0] = (body.len() as u32).to_be_bytes();
    let message = [&[message_type, l2, l1, l0, 0, 0, 0, 0, 0, l2, l1, l0], body].concat();
    let [.., high, low] = (message.len() as u32).to_be_bytes();
    [&[HANDSHAKE, major, minor, 0, 0, 0, 0, 0, 0, 0, 0, high, low], &message[..]].concat()
}

struct Record<'a> {
    content_type: u8,
    major_version: u8,
    epoch: u16,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    fn split(datagram: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = datagram.split_first_chunk::<HEADER_LEN>()?;
        let [content_type, major_version, _, epoch_high, epoch_low, .., len_high, len_low] = *header;
        let (body, rest) = rest.split_at_checked(u16::from_be_bytes([len_high, len_low]).into())?;
        let epoch = u16::from_be_bytes([epoch_high, epoch_low]);
        Some((Self { content_type, major_version, epoch, body }, rest))
    }

    fn may_pass(&self, local: Role, phase: Phase) -> bool {
        if self.major_version != DTLS_MAJOR_VERSION || !(1..=BODY_MAX).contains(&self.body.len()) {
            return false;
        }
        let shortest = match phase {
            // Which cipher it will be is not known yet.
            Phase::Handshake => GCM_ALERT_LEN,
            Phase::Connected(shortest) => shortest,
        };
        match (self.epoch, self.content_type) {
            // Encrypted: OpenSSL drops what does not authenticate, if it is long enough to try. Application data is
            // nothing to us.
            (1.., HANDSHAKE | ALERT) => self.body.len() >= shortest,
            (0, HANDSHAKE) => phase == Phase::Handshake && are_messages(self.body, local),
            (0, CHANGE_CIPHER_SPEC) => phase == Phase::Handshake && self.body == [1],
            _ => false,
        }
    }
}

/// Whether a record holds fragments of handshake messages (RFC 6347 §4.2.2) that come from the other role.
fn are_messages(mut body: &[u8], local: Role) -> bool {
    while let Some((header, rest)) = body.split_first_chunk::<MESSAGE_HEADER_LEN>() {
        let [message_type, l2, l1, l0, _, _, o2, o1, o0, f2, f1, f0] = *header;
        let uint24 = |high, middle, low| u32::from_be_bytes([0, high, middle, low]) as usize;
        let (len, offset, fragment) = (uint24(l2, l1, l0), uint24(o2, o1, o0), uint24(f2, f1, f0));
        if !comes_from_the_other_role(message_type, local) || len > MESSAGE_MAX || offset + fragment > len {
            return false;
        }
        let Some((_, behind)) = rest.split_at_checked(fragment) else { return false };
        body = behind;
    }
    body.is_empty()
}

/// RFC 5246 §7.4 and RFC 6347 §4.3.2, for messages in the clear.
fn comes_from_the_other_role(message_type: u8, local: Role) -> bool {
    match local {
        // ServerHello, HelloVerifyRequest, NewSessionTicket, Certificate, ServerKeyExchange, CertificateRequest,
        // ServerHelloDone, CertificateStatus.
        Role::Client => matches!(message_type, 2 | 3 | 4 | 11 | 12 | 13 | 14 | 22),
        // ClientHello, Certificate, CertificateVerify, ClientKeyExchange.
        Role::Server => matches!(message_type, 1 | 11 | 15 | 16),
    }
}

/// An alert in AES-GCM: explicit nonce, alert, tag (RFC 5288 §3). For less, OpenSSL ends the association.
pub(crate) const GCM_ALERT_LEN: usize = 8 + 2 + 16;
/// The same in ChaCha20-Poly1305, which has no nonce in the record (RFC 7905 §2), or in AES-CCM with the tag of 8 bytes.
pub(crate) const SHORTEST_ALERT_LEN: usize = 2 + 16;

const HEADER_LEN: usize = 13;
const SEQUENCE_NUMBER_OFFSET: usize = 5;
/// RFC 6347 §4.1: what a record may hold.
const BODY_MAX: usize = 1 << 14;
const MESSAGE_HEADER_LEN: usize = 12;
/// Longer than any certificate chain that makes sense in a call.
const MESSAGE_MAX: usize = 0x1_0000;
/// One's complement of 1 (RFC 6347 §4.1).
const DTLS_MAJOR_VERSION: u8 = 0xfe;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const FATAL: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content_type: u8, epoch: u16, body: &[u8]) -> Vec<u8> {
        let mut record = vec![content_type, 0xfe, 0xfd];
        record.extend_from_slice(&epoch.to_be_bytes());
        record.extend_from_slice(&[0; 6]);
        record.extend_from_slice(&(body.len() as u16).to_be_bytes());
        record.extend_from_slice(body);
        record
    }

    fn message(message_type: u8, len: u8, offset: u8, fragment: u8) -> Vec<u8> {
        let mut message = vec![message_type, 0, 0, len, 0, 0, 0, 0, offset, 0, 0, fragment];
        message.resize(MESSAGE_HEADER_LEN + usize::from(fragment), 0x5a);
        message
    }

    fn filter(local: Role, phase: Phase, datagram: &[u8]) -> Filtered {
        Filter::default().apply(local, phase, datagram)
    }

    const CONNECTED: Phase = Phase::Connected(GCM_ALERT_LEN);

    #[test]
    fn a_hello_passes_to_the_server_only() {
        let hello = record(HANDSHAKE, 0, &message(1, 10, 0, 10));
        assert_eq!(filter(Role::Server, Phase::Handshake, &hello).records, hello);
        assert_eq!(filter(Role::Client, Phase::Handshake, &hello), Filtered::default());
        assert_eq!(filter(Role::Server, CONNECTED, &hello), Filtered::default());
    }

    #[test]
    fn an_alert_in_the_clear_is_noted_and_dropped() {
        let hello = record(HANDSHAKE, 0, &message(1, 10, 0, 10));
        let datagram = [&record(ALERT, 0, &[2, 40])[..], &hello].concat();
        let filtered = filter(Role::Server, Phase::Handshake, &datagram);
        assert_eq!(filtered, Filtered { records: hello, alert: Some(40) });
    }

    #[test]
    fn what_is_encrypted_is_left_to_openssl() {
        for content_type in [ALERT, HANDSHAKE] {
            let datagram = record(content_type, 1, &[0x77; 40]);
            assert_eq!(filter(Role::Client, CONNECTED, &datagram).records, datagram);
        }
        assert_eq!(filter(Role::Client, CONNECTED, &record(23, 1, &[0x77; 40])), Filtered::default());
    }

    #[test]
    fn a_sequence_number_in_the_clear_is_not_believed() {
        let mut hello = record(HANDSHAKE, 0, &message(1, 10, 0, 10));
        let datagram = [hello.clone(), hello.clone()].concat();
        hello[5..11].fill(0xff);
        let mut filter = Filter::default();
        filter.apply(Role::Server, Phase::Handshake, &hello);
        let records = filter.apply(Role::Server, Phase::Handshake, &datagram).records;
        assert_eq!(records[5..11], [0, 0, 0, 0, 0, 1]);
        assert_eq!(records[hello.len()..][5..11], [0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn a_record_too_short_for_its_cipher_is_dropped() {
        for len in 0..GCM_ALERT_LEN {
            assert_eq!(filter(Role::Client, CONNECTED, &record(ALERT, 1, &vec![0; len])), Filtered::default());
        }
        let datagram = record(ALERT, 1, &[0; SHORTEST_ALERT_LEN]);
        assert_eq!(filter(Role::Client, Phase::Connected(SHORTEST_ALERT_LEN), &datagram).records, datagram);
    }

    #[test]
    fn fragments_that_reach_beyond_their_message_are_dropped() {
        for message in [message(1, 10, 5, 6), message(1, 10, 0, 11), message(1, 10, 0, 10)[..20].to_vec()] {
            let datagram = record(HANDSHAKE, 0, &message);
            assert_eq!(filter(Role::Server, Phase::Handshake, &datagram), Filtered::default());
        }
    }

    #[test]
    fn no_cut_and_no_flipped_byte_panics() {
        let hello = record(HANDSHAKE, 0, &message(1, 10, 0, 10));
        for len in 0..hello.len() {
            assert_eq!(filter(Role::Server, Phase::Handshake, &hello[..len]), Filtered::default());
            for flip in 0..=255 {
                let mut changed = hello.clone();
                changed[len] ^= flip;
                filter(Role::Server, Phase::Handshake, &changed);
            }
        }
    }
}
