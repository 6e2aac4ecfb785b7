//! Descriptions of sipML5 2.1, whose browser means something else than they say.

use crate::carriers;
use crate::memory::Section as Offered;
use crate::rules::{Rule, Rules};
use crate::sdp::{Description, Direction, Section};

/// Returns the direction that the client's browser will take an answer to. sipML5 asks its browser to hold by recvonly and
/// writes sendonly; when it resumes, it asks by sendrecv and writes recvonly, because the answer to the hold was inactive.
pub fn meant(said: Direction, was_held: bool) -> Direction {
    match (said.sends, said.receives) {
        (true, false) => Direction::NONE,
        (false, true) if was_held => Direction::BOTH,
        _ => said,
    }
}

/// Whether all media sections are one stream of audio: each time it resumes, sipML5 adds one that is bundled with the first.
pub fn is_one_stream(offer: &Description<'_>) -> bool {
    let Some((first, more)) = offer.sections.split_first().filter(|_| wrote(offer)) else { return false };
    let direction = |section: &Section<'_>| section.level.direction().map(|(direction, _)| *direction);
    let is_bundled =
        |section: &Section<'_>| section.level.mid.as_ref().is_some_and(|mid| offer.bundles(offer.text(mid)));
    let continues = |section: &Section<'_>| {
        section.media == b"audio" && is_bundled(section) && direction(section) == direction(first)
    };
    !more.is_empty() && !first.is_refused && continues(first) && more.iter().all(continues)
}

/// Writes the answer to one of the sections that the host was not told: as the host's own, without what belongs to the one
/// that carries media.
pub fn write_copy(
    answer: &Description<'_>,
    section: &Section<'_>,
    offered: &Offered,
    allowed: Rules,
    written: &mut Vec<u8>,
) {
    let end = answer.line_end.as_bytes();
    let mid = offered.place.mid.as_deref().unwrap_or_default();
    let port = answer.text(&section.port);
    let head: [&[u8]; 9] =
        [b"m=audio ", port, b" ", &offered.place.protocol, b" ", answer.text(&section.formats), end, b"a=mid:", mid];
    head.iter().for_each(|part| written.extend_from_slice(part));
    written.extend_from_slice(end);
    for line in answer.text(&section.level.span).split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        if line.is_empty() || OF_THE_STREAM.iter().any(|begin| line.starts_with(begin)) {
            continue;
        }
        match line.strip_prefix(b"a=fingerprint:") {
            Some(fingerprint) if allowed.has(Rule::FingerprintCase) => {
                let hash = fingerprint.iter().position(|byte| *byte == b' ').unwrap_or(0);
                let (hash, rest) = fingerprint.split_at(hash);
                [b"a=fingerprint:", &hash.to_ascii_lowercase()[..], rest]
                    .iter()
                    .for_each(|part| written.extend_from_slice(part));
            }
            _ if allowed.has(Rule::Opus) => written.extend_from_slice(&carriers::named_for_client(line)),
            _ => written.extend_from_slice(line),
        }
        written.extend_from_slice(end);
    }
    written.extend_from_slice(b"a=inactive");
    written.extend_from_slice(end);
}

/// Whether sipML5 wrote a description, by the name of its session.
pub fn wrote(description: &Description<'_>) -> bool {
    description.name.starts_with(b"Doubango Telecom")
}

/// Lines that belong to the section that carries media, or that the copy has in its own way.
const OF_THE_STREAM: [&[u8]; 9] = [
    b"a=candidate:",
    b"a=end-of-candidates",
    b"a=ice-options:",
    b"a=ssrc:",
    b"a=mid:",
    b"a=sendrecv",
    b"a=sendonly",
    b"a=recvonly",
    b"a=inactive",
];
