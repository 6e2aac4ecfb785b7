//! Source description and application-defined packets (RFC 3550 §6.5, §6.7).

use crate::wire::be32;

/// A source description, SDES: a chunk of items for each source (§6.5). Its structure was checked when it was parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sdes<'a> {
    count: u8,
    body: &'a [u8],
}

/// The chunks of an SDES packet.
#[derive(Debug, Clone)]
pub struct Chunks<'a> {
    remaining: u8,
    rest: &'a [u8],
}

/// The items that describe one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The SSRC of the source.
    pub ssrc: u32,
    items: &'a [u8],
}

/// The items of a chunk.
#[derive(Debug, Clone)]
pub struct SdesItems<'a>(&'a [u8]);

/// One item of a chunk (§6.5). The text should be UTF-8, but the peer may send anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdesItem<'a> {
    /// The item's type: 1 for CNAME, 2 for NAME, and so on (§12.2).
    pub kind: u8,
    /// The item's text, up to 255 octets.
    pub text: &'a [u8],
}

impl<'a> Sdes<'a> {
    /// The type of the item that names a participant for the length of the session (§6.5.1).
    pub const CNAME: u8 = 1;

    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let mut rest = body;
        for _ in 0..count {
            (_, rest) = Chunk::split(rest)?;
        }
        Some(Self { count, body: &body[..body.len() - rest.len()] })
    }

    /// The chunks in the order of the packet.
    pub fn chunks(&self) -> Chunks<'a> {
        Chunks { remaining: self.count, rest: self.body }
    }

    /// The canonical name of `ssrc`, if the packet has it.
    pub fn cname(&self, ssrc: u32) -> Option<&'a [u8]> {
        let mut chunks = self.chunks().filter(|chunk| chunk.ssrc == ssrc);
        chunks.find_map(|chunk| chunk.items().find(|item| item.kind == Self::CNAME)).map(|item| item.text)
    }

    pub(super) fn wire(&self) -> (u8, &'a [u8]) {
        (self.count, self.body)
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        self.remaining = self.remaining.checked_sub(1)?;
        let (chunk, rest) = Chunk::split(self.rest)?;
        self.rest = rest;
        Some(chunk)
    }
}

impl<'a> Chunk<'a> {
    /// Splits off a chunk: an SSRC, items, and one to four zero octets up to the next word.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let ssrc = be32(bytes, 0)?;
        let mut end = 4;
        while *bytes.get(end)? != 0 {
            end += 2 + usize::from(*bytes.get(end + 1)?);
        }
        let (_, rest) = bytes.split_at_checked((end + 4) / 4 * 4)?;
        Some((Self { ssrc, items: &bytes[4..end] }, rest))
    }

    /// The items in the order of the chunk.
    pub fn items(&self) -> SdesItems<'a> {
        SdesItems(self.items)
    }
}

impl<'a> Iterator for SdesItems<'a> {
    type Item = SdesItem<'a>;

    fn next(&mut self) -> Option<SdesItem<'a>> {
        let [kind, len, rest @ ..] = self.0 else { return None };
        let (text, rest) = rest.split_at_checked(usize::from(*len))?;
        self.0 = rest;
        Some(SdesItem { kind: *kind, text })
    }
}

/// An application-defined packet, APP (§6.7), whose contents are not interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct App<'a> {
    /// The subtype, five bits whose meaning the application defines.
    pub subtype: u8,
    /// The SSRC of the participant that sent it.
    pub ssrc: u32,
    /// The name of the application, four ASCII characters.
    pub name: [u8; 4],
    /// The packet's contents, a whole number of words.
    pub data: &'a [u8],
}

impl<'a> App<'a> {
    pub(super) fn parse(subtype: u8, body: &'a [u8]) -> Option<Self> {
        let name = *body.get(4..)?.first_chunk()?;
        Some(Self { subtype, ssrc: be32(body, 0)?, name, data: &body[8..] })
    }
}
