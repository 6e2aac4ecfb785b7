//! Media sections keep their places for the whole session: each description has all that there have been, in their order, and those
//! that are not in use with port 0 (RFC 3264 §8).
//!
//! The host keeps a list of the sections of the client's last offer, and answers by it. It has none when it offers, and none when it
//! answers an offer whose version it knows: then it describes the audio, the video and the text that it has, in this order, and nothing
//! of what it has declined. Browsers refuse that.

use std::ops::Range;

use crate::Role;
use crate::memory::{Text, bounded};
use crate::sdp::{Description, MAX_SECTIONS, Section};

/// One media section of the session: its `m=` line, from which a declined one is written, and its mid.
#[derive(Debug, Clone)]
pub struct Place {
    /// The type of media, such as `audio`.
    media: Text,
    /// The transport, such as `UDP/TLS/RTP/SAVPF`.
    pub protocol: Text,
    /// The first of the formats.
    format: Text,
    /// `a=mid:` (RFC 5888).
    pub mid: Option<Text>,
    /// Whether the section carries media.
    pub is_used: bool,
}

impl Place {
    /// The place of a section of the client's. A text that is too long to be kept is empty.
    pub fn of(description: &Description<'_>, section: &Section<'_>) -> Self {
        let kept = |text| bounded(text).unwrap_or_default();
        let formats = description.text(&section.formats);
        Self {
            media: kept(section.media),
            protocol: kept(description.text(&section.protocol)),
            format: kept(formats.split(|byte| *byte == b' ').next().unwrap_or_default()),
            mid: section.level.mid.as_ref().and_then(|mid| bounded(description.text(mid))),
            is_used: !section.is_refused,
        }
    }

    /// The bytes that are allocated.
    pub fn bytes(&self) -> usize {
        self.media.len() + self.protocol.len() + self.format.len() + self.mid.as_ref().map_or(0, |mid| mid.len())
    }

    /// Writes the section as a declined one; `None` if not all of it was kept.
    fn decline(&self, line_end: &str, written: &mut Vec<u8>) -> Option<()> {
        let Self { media, protocol, format, mid, .. } = self;
        if [media, protocol, format].iter().any(|text| text.is_empty()) {
            return None;
        }
        let line: [&[u8]; 7] = [b"m=", media, b" 0 ", protocol, b" ", format, line_end.as_bytes()];
        line.iter().for_each(|part| written.extend_from_slice(part));
        if let Some(mid) = mid {
            [b"a=mid:", &mid[..], line_end.as_bytes()].iter().for_each(|part| written.extend_from_slice(part));
        }
        Some(())
    }
}

/// The media sections of a description of the host's with each in its place, and the range that they replace; `None` if they are there
/// already, or cannot be.
pub fn arrange(description: &Description<'_>, session: &[&Place], role: Role) -> Option<(Range<usize>, Vec<u8>)> {
    let order = order(description, session).filter(|order| order.len() <= MAX_SECTIONS)?;
    if role == Role::Answer && order.len() > session.len() {
        // An answer has the sections of its offer (RFC 3264 §6), so this is no answer to it.
        return None;
    }
    let range = description.session.span.end..description.sections.last()?.end();
    let mut written = Vec::with_capacity(range.len() + session.len() * LINE);
    for (index, section) in order.into_iter().enumerate() {
        match section {
            Some(section) => write_section(description, section, &mut written),
            None => session.get(index)?.decline(description.line_end, &mut written)?,
        }
    }
    Some((range, written))
}

/// For each place the index of the host's section, with what the session has not had at the end; `None` if all are in their places.
fn order(description: &Description<'_>, session: &[&Place]) -> Option<Vec<Option<usize>>> {
    let sections = &description.sections;
    let fits = |(place, section): (&&Place, &Section<'_>)| *place.media == *section.media;
    if sections.len() >= session.len() && session.iter().zip(sections).all(fits) {
        return None;
    }
    let mut order: Vec<Option<usize>> = vec![None; session.len()];
    for (index, section) in sections.iter().enumerate() {
        let is_free = |place: &usize| order[*place].is_none() && *session[*place].media == *section.media;
        let free: Vec<usize> = (0..session.len()).filter(is_free).collect();
        // The host has one section of each type at most, and it is the one in use.
        match free.iter().find(|place| session[**place].is_used).or(free.first()) {
            Some(place) => order[*place] = Some(index),
            None => order.push(Some(index)),
        }
    }
    Some(order)
}

/// Copies a section from behind the one before it; the last line of a body may lack its end.
fn write_section(description: &Description<'_>, index: usize, written: &mut Vec<u8>) {
    let before = index.checked_sub(1).and_then(|before| description.sections.get(before));
    let begin = before.map_or(description.session.span.end, Section::end);
    let end = description.sections.get(index).map_or(begin, Section::end);
    let text = description.text(&(begin..end));
    written.extend_from_slice(text);
    if !text.ends_with(b"\n") {
        written.extend_from_slice(description.line_end.as_bytes());
    }
}

/// The usual length of a declined section.
const LINE: usize = 64;
