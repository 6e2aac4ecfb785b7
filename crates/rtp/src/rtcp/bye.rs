//! BYE: sources that leave the session (RFC 3550 §6.6), and when to say it (§6.3.7).
//!
//! ```text
//! |V=2|P|    SC   |   PT=BYE=203  |          length               |
//! |                     SSRC/CSRC, SC times                       |
//! |     length    |  reason for leaving, optional                 |
//! ```

use super::packet_type;
use super::writer::{MAX_COUNT, Writer};
use crate::wire::words;

/// A goodbye, BYE: sources that leave the session (§6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bye<'a> {
    sources: &'a [u8],
    /// The reason in the peer's words, which should be UTF-8; empty if it gave none.
    pub reason: &'a [u8],
}

impl<'a> Bye<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (sources, rest) = body.split_at_checked(usize::from(count) * 4)?;
        let reason = match rest {
            [] => &[][..],
            [len, text @ ..] => text.get(..usize::from(*len))?,
        };
        Some(Self { sources, reason })
    }

    /// The SSRCs of the sources that leave.
    pub fn sources(&self) -> impl Iterator<Item = u32> + 'a {
        words(self.sources)
    }
}

/// Sees to it that a source that we send takes its leave once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Goodbye {
    was_due: bool,
}

impl Goodbye {
    /// Whether a BYE is to be sent, now that the session ends: the first time that it ends, and only if `has_sent` says
    /// that the peer was told of the source. A participant that never sent anything must not send a BYE (§6.3.7).
    pub fn take(&mut self, has_sent: bool) -> bool {
        !std::mem::replace(&mut self.was_due, true) && has_sent
    }

    /// Records that the source sends again: a stream that was refused is back, and will end once more.
    pub fn handle_return(&mut self) {
        self.was_due = false;
    }
}

impl Writer<'_> {
    /// Appends a BYE (§6.6) of up to 31 sources, without a reason.
    pub fn bye(&mut self, sources: &[u32]) -> &mut Self {
        let sources = &sources[..sources.len().min(MAX_COUNT)];
        self.packet(packet_type::GOODBYE, sources.len() as u8, |out| {
            sources.iter().for_each(|ssrc| out.put_u32(*ssrc));
        })
    }

    pub(super) fn copy_bye(&mut self, bye: &Bye<'_>) -> &mut Self {
        self.packet(packet_type::GOODBYE, bye.sources().count() as u8, |out| {
            bye.sources().for_each(|ssrc| out.put_u32(ssrc));
            if !bye.reason.is_empty() {
                out.put(&[bye.reason.len() as u8]);
                out.put(bye.reason);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Compound, Packet};

    #[test]
    fn rfc3550_section_6_6_sources_and_a_reason() {
        let datagram = [0x82, 203, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 4, b'd', b'o', b'n', b'e', 0, 0, 0];
        let Some(Ok(Packet::Bye(bye))) = Compound::parse(&datagram).unwrap().next() else { panic!("one BYE") };
        assert_eq!((bye.sources().collect::<Vec<_>>(), bye.reason), (vec![1, 2], &b"done"[..]));
        let mut buffer = [0; 32];
        let mut writer = Writer::new(&mut buffer);
        writer.copy_bye(&bye);
        let len = writer.finish().unwrap();
        assert_eq!(buffer[..len], datagram);
    }

    #[test]
    fn rfc3550_section_6_3_7_goodbye_is_said_once_and_only_by_one_who_has_spoken() {
        let mut goodbye = Goodbye::default();
        assert!(goodbye.take(true));
        assert!(!goodbye.take(true));
        assert!(!Goodbye::default().take(false));
        goodbye.handle_return();
        assert!(goodbye.take(true));
    }
}
