//! Source description and application-defined packets (RFC 3550 §6.5, §6.7).

use crate::wire::be32;

/// SDES: chunks of items, one chunk per source (§6.5). Its structure was checked when it was parsed.
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

/// What is said about one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The source.
    pub ssrc: u32,
    items: &'a [u8],
}

/// The items of a chunk.
#[derive(Debug, Clone)]
pub struct SdesItems<'a>(&'a [u8]);

/// One item; the text should be UTF-8 but comes from a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdesItem<'a> {
    /// 1 for CNAME, 2 NAME, and so on (§12.2).
    pub kind: u8,
    /// Up to 255 octets.
    pub text: &'a [u8],
}

impl<'a> Sdes<'a> {
    /// The item that names a participant for the length of the session (§6.5.1).
    pub const CNAME: u8 = 1;

    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let mut rest = body;
        for _ in 0..count {
            (_, rest) = Chunk::split(rest)?;
        }
        Some(Self { count, body: &body[..body.len() - rest.len()] })
    }

    /// The chunks in order.
    pub fn chunks(&self) -> Chunks<'a> {
        Chunks { remaining: self.count, rest: self.body }
    }

    /// The canonical name of `ssrc`.
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

    /// The items in order.
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

/// APP (§6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct App<'a> {
    /// Five bits for the application.
    pub subtype: u8,
    /// Who sent it.
    pub ssrc: u32,
    /// Four letters that tell the application.
    pub name: [u8; 4],
    /// A whole number of words.
    pub data: &'a [u8],
}

impl<'a> App<'a> {
    pub(super) fn parse(subtype: u8, body: &'a [u8]) -> Option<Self> {
        let name = *body.get(4..)?.first_chunk()?;
        Some(Self { subtype, ssrc: be32(body, 0)?, name, data: &body[8..] })
    }
}
