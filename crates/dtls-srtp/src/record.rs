//! The filter that decides which records of a datagram reach OpenSSL (RFC 6347 §4.1).
//!
//! ```text
//!    0       1       2       3       4       5 .. 10         11      12
//!   +-------+-------+-------+-------+-------+-------  -----+-------+-------+
//!   | type  | version       | epoch         | sequence no. | length        |
//!   +-------+-------+-------+-------+-------+-------  -----+-------+-------+
//! ```
//!
//! Until keys are agreed on, records are plaintext and anybody could have sent them. OpenSSL ends a handshake for many
//! of them: for an alert, for an unexpected message, for a length that is too long or too short. RFC 6347 §4.1.2.7
//! wants invalid records dropped, so this filter drops every record that a peer in the other role has no reason to
//! send.
//!
//! An encrypted record may overtake the messages that its keys come from. OpenSSL buffers those of the next epoch, up to
//! a hundred of 16 KiB each, and they are not authenticated. Only a few and small ones pass. The peer's Finished is the
//! only one that has a reason to be early, and it is repeated with its flight. Epochs beyond the first with keys never
//! come, because nothing is renegotiated.
//!
//! The plaintext records that pass get new sequence numbers. A forged high number would move OpenSSL's replay window
//! beyond the peer's records, and the numbers are not needed: messages have numbers of their own (§4.2.2).

use crate::guard::Piece;
use crate::hello::CLIENT_HELLO;
use crate::role::Role;

/// Filters the datagrams of one association.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// The sequence number that the next plaintext record gets.
    next_number: u32,
    premature: Premature,
}

/// The encrypted records that came before OpenSSL can decrypt them.
#[derive(Debug, Default)]
struct Premature {
    /// OpenSSL can by now.
    is_over: bool,
    /// The number of records that OpenSSL may have buffered, and their octets.
    passed: (usize, usize),
    /// The number of records that were dropped.
    dropped: u32,
}

impl Premature {
    /// Whether one more record of `len` octets may pass.
    fn may_pass(&mut self, len: usize) -> bool {
        if self.is_over {
            return true;
        }
        let (count, octets) = (self.passed.0 + 1, self.passed.1 + len);
        if count > PREMATURE_MAX || octets > PREMATURE_OCTETS_MAX {
            self.dropped = self.dropped.saturating_add(1);
            return false;
        }
        self.passed = (count, octets);
        true
    }
}

/// The outcome of filtering one datagram.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Filtered {
    /// The records that may pass.
    pub(crate) records: Vec<u8>,
    /// The description of the last fatal plaintext alert in the datagram (RFC 5246 §7.2).
    pub(crate) alert: Option<u8>,
}

/// The progress of the association, as far as the filter depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Plaintext records belong to the handshake.
    Handshake,
    /// The handshake is over. No plaintext record is expected, and an encrypted one has at least this many bytes.
    Connected(usize),
}

impl Filter {
    /// Says whether OpenSSL decrypts the peer's records by now.
    pub(crate) fn set_decrypting(&mut self, decrypts: bool) {
        self.premature.is_over = decrypts;
    }

    /// The number of encrypted records that were dropped because too many came too early.
    pub(crate) fn premature_dropped(&self) -> u32 {
        self.premature.dropped
    }

    /// Keeps only the records that a peer in the other role has a reason to send.
    pub(crate) fn apply(&mut self, local: Role, phase: Phase, datagram: &[u8]) -> Filtered {
        let mut filtered = Filtered::default();
        let mut rest = datagram;
        // Records do not span datagrams (RFC 6347 §4.1.1), so a truncated one ends the datagram.
        while let Some((record, behind)) = Record::split(rest) {
            let is_premature = record.epoch > 0 && phase == Phase::Handshake;
            if record.may_pass(local, phase) && (!is_premature || self.premature.may_pass(record.body.len())) {
                self.pass(&rest[..rest.len() - behind.len()], record.epoch, &mut filtered.records);
            } else if let Record { content_type: ALERT, epoch: 0, body: &[FATAL, description], .. } = record {
                filtered.alert = Some(description);
            }
            rest = behind;
        }
        filtered
    }

    /// Joins what the guard lets pass to one datagram.
    pub(crate) fn join<'a>(&mut self, pieces: impl IntoIterator<Item = Piece<'a>>) -> Vec<u8> {
        let mut records = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Record(record) => records.extend_from_slice(record),
                Piece::Message(message) => self.enclose(&message.bytes, &mut records),
            }
        }
        records
    }

    /// Appends a record that holds a plaintext handshake message of at most 16 KiB.
    fn enclose(&mut self, message: &[u8], records: &mut Vec<u8>) {
        let [.., high, low] = (message.len() as u32).to_be_bytes();
        let record = [&[HANDSHAKE, DTLS_MAJOR_VERSION, DTLS_1_2_MINOR, 0, 0, 0, 0, 0, 0, 0, 0, high, low], message];
        self.pass(&record.concat(), 0, records);
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

/// Splits a datagram into its records, each with its body if it holds plaintext handshake messages.
pub(crate) fn split(datagram: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let (record, behind) = Record::split(rest)?;
        let whole = &rest[..rest.len() - behind.len()];
        rest = behind;
        Some((whole, ((record.content_type, record.epoch) == (HANDSHAKE, 0)).then_some(record.body)))
    })
}

/// Returns the body of the first fragment of a ClientHello, if the datagram begins with a plaintext one.
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

/// Whether the datagram begins with a plaintext ClientHello, or with any fragment of one.
pub(crate) fn is_of_client_hello(datagram: &[u8]) -> bool {
    Record::split(datagram).is_some_and(|(record, _)| {
        let is_clear = (record.content_type, record.epoch) == (HANDSHAKE, 0);
        is_clear && record.body.first() == Some(&CLIENT_HELLO) && record.may_pass(Role::Server, Phase::Handshake)
    })
}

/// Builds a datagram that holds one message: the first message of its sender, in its first record.
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
            // The cipher is not known yet; this is the longest minimum.
            Phase::Handshake => GCM_ALERT_LEN,
            Phase::Connected(shortest) => shortest,
        };
        match (self.epoch, self.content_type) {
            // Encrypted records: OpenSSL drops those that do not authenticate, if they are long enough to try.
            // Application data is not used (RFC 5764 §4.1).
            (1, HANDSHAKE | ALERT) => self.body.len() >= shortest,
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

/// Whether a peer in the other role sends such a message as plaintext (RFC 5246 §7.4, RFC 6347 §4.3.2).
fn comes_from_the_other_role(message_type: u8, local: Role) -> bool {
    match local {
        // ServerHello, HelloVerifyRequest, NewSessionTicket, Certificate, ServerKeyExchange, CertificateRequest,
        // ServerHelloDone, CertificateStatus.
        Role::Client => matches!(message_type, 2 | 3 | 4 | 11 | 12 | 13 | 14 | 22),
        // ClientHello, Certificate, CertificateVerify, ClientKeyExchange.
        Role::Server => matches!(message_type, 1 | 11 | 15 | 16),
    }
}

/// The length of an alert in AES-GCM: explicit nonce, alert, tag (RFC 5288 §3). OpenSSL ends the association for a
/// shorter record.
pub(crate) const GCM_ALERT_LEN: usize = 8 + 2 + 16;
/// The length of an alert in ChaCha20-Poly1305, which has no nonce in the record (RFC 7905 §2), and in AES-CCM with a
/// tag of 8 bytes.
pub(crate) const SHORTEST_ALERT_LEN: usize = 2 + 16;

pub(crate) const HEADER_LEN: usize = 13;
const SEQUENCE_NUMBER_OFFSET: usize = 5;
/// The longest body of a record (RFC 6347 §4.1).
const BODY_MAX: usize = 1 << 14;
const MESSAGE_HEADER_LEN: usize = 12;
/// The most encrypted records that pass before their keys, and the most octets in all. A Finished has less than a
/// hundred.
const PREMATURE_MAX: usize = 8;
const PREMATURE_OCTETS_MAX: usize = 1024;
/// The longest message that is accepted. No certificate chain of a call comes near it.
const MESSAGE_MAX: usize = 0x1_0000;
/// The major version of every DTLS: the one's complement of 1 (RFC 6347 §4.1).
const DTLS_MAJOR_VERSION: u8 = 0xfe;
const DTLS_1_2_MINOR: u8 = 0xfd;

const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const FATAL: u8 = 2;

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
    fn a_record_of_another_epoch_than_the_first_with_keys_is_dropped() {
        for epoch in [2, 3, 0xffff] {
            for phase in [Phase::Handshake, CONNECTED] {
                let datagram = record(HANDSHAKE, epoch, &[0x77; 40]);
                assert_eq!(filter(Role::Client, phase, &datagram), Filtered::default());
            }
        }
    }

    #[test]
    fn few_records_and_few_octets_pass_before_their_keys() {
        for (len, passed) in [(40, PREMATURE_MAX), (400, 2), (PREMATURE_OCTETS_MAX + 1, 0)] {
            let mut filter = Filter::default();
            let one = record(HANDSHAKE, 1, &vec![0x77; len]);
            let datagram = one.repeat(PREMATURE_MAX + 4);
            let records = filter.apply(Role::Server, Phase::Handshake, &datagram).records;
            assert_eq!(records.len(), passed * one.len(), "records of {len}");
            assert_eq!(filter.premature_dropped() as usize, PREMATURE_MAX + 4 - passed);
            assert_eq!(filter.apply(Role::Server, Phase::Handshake, &one), Filtered::default());
            filter.set_decrypting(true);
            assert_eq!(filter.apply(Role::Server, Phase::Handshake, &one).records, one);
        }
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
