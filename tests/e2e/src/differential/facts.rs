//! Facts about a run: what came out, without times, random numbers and ports.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::stream::Stream;
use crate::rtp::Rtp;

/// Facts by their name, such as `caller.audio.sequence`.
pub type Facts = BTreeMap<String, String>;

/// Notes a fact, unless it has no value.
pub fn note(facts: &mut Facts, name: &str, value: impl Into<String>) {
    let value = value.into();
    if !value.is_empty() {
        facts.insert(name.to_owned(), value);
    }
}

/// Writes equal neighbours once, with their number: `+160 x29`.
pub fn runs<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    counted(values).join(", ")
}

/// Equal neighbours once, with their number.
pub fn counted<T: Display>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for value in values {
        let value = value.to_string();
        match counted.last_mut() {
            Some((last, count)) if *last == value => *count += 1,
            _ => counted.push((value, 1)),
        }
    }
    let once = |(value, count)| if count == 1 { value } else { format!("{value} x{count}") };
    counted.into_iter().map(once).collect()
}

/// Notes everything about the packets that a party received on one stream. `sent` has the payloads of all senders in their
/// order.
pub fn packets(facts: &mut Facts, place: &str, received: &[Rtp], sent: &[Vec<u8>], stream: &Stream) {
    let events = stream.event_types();
    let is_event = |packet: &&Rtp| events.contains(&packet.payload_type) && packet.payload.len() == 4;
    let media: Vec<_> = received.iter().filter(|packet| !is_event(packet)).collect();
    let digits: Vec<_> = received.iter().filter(is_event).collect();
    let mut fact = |name: &str, value: String| note(facts, &format!("{place}.{name}"), value);
    fact("packets", runs(media.iter().map(|packet| shape(packet))));
    fact("payloads", payloads(media.iter().map(|packet| packet.payload.as_slice()), sent));
    // The number of packets is a fact of its own, and that of events depends on the time.
    let mut steps: Vec<_> =
        pairs(received).map(|(one, next)| next.sequence.wrapping_sub(one.sequence) as i16).collect();
    steps.dedup();
    fact("sequence", runs(steps.iter().map(|step| format!("{step:+}"))));
    let timestamps = if stream.has_music { advances(received) } else { increments(&media) };
    fact("timestamps", timestamps);
    fact("sources", sources(received));
    fact("events", self::events(&digits));
}

/// Notes what a party can read on a stream of text, and how it is sent; how it is cut into packets depends on the time. `red` has the
/// payload types with redundancy (RFC 2198).
pub fn text(facts: &mut Facts, place: &str, received: &[Rtp], red: &[u8]) {
    let mut fact = |name: &str, value: String| note(facts, &format!("{place}.{name}"), value);
    let parts: Vec<_> = received.iter().map(|packet| (packet, Written::of(packet, red))).collect();
    fact("read", format!("{:?}", parts.iter().map(|(_, written)| written.primary.as_str()).collect::<String>()));
    let mut forms: Vec<_> =
        parts.iter().map(|(packet, written)| format!("{} with {}", packet.payload_type, written.generations)).collect();
    forms.dedup();
    fact("form", forms.join(", "));
    fact("timestamps", advances(received));
    fact("sources", sources(received));
}

/// The timestamps' increments from packet to packet.
fn increments(packets: &[&Rtp]) -> String {
    runs(packets.windows(2).map(|pair| format!("{:+}", pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32)))
}

/// The directions in which the timestamps of a source go.
fn advances(packets: &[Rtp]) -> String {
    let advance = |(one, next): (&Rtp, &Rtp)| match next.timestamp.wrapping_sub(one.timestamp) as i32 {
        0 => "stand still",
        1.. => "go on",
        _ => "go back",
    };
    let mut steps: Vec<_> = pairs(packets).map(advance).collect();
    steps.dedup();
    steps.join(", ")
}

/// The content of a packet of text.
struct Written {
    primary: String,
    generations: usize,
}

impl Written {
    fn of(packet: &Rtp, red: &[u8]) -> Self {
        let (mut rest, mut old) = (packet.payload.as_slice(), Vec::new());
        if red.contains(&packet.payload_type) {
            // RFC 2198 §3: heads of four octets, and one of one octet for the primary block.
            while let [head, _, high, low, after @ ..] = rest
                && head & 0x80 != 0
            {
                old.push(usize::from(u16::from_be_bytes([*high, *low]) & 0x3FF));
                rest = after;
            }
            rest = rest.get(1 + old.iter().sum::<usize>()..).unwrap_or_default();
        }
        Self { primary: escaped(rest), generations: old.len() }
    }
}

/// The text, with octets that are no UTF-8 as `\xff`.
fn escaped(text: &[u8]) -> String {
    let written = text.utf8_chunks().map(|chunk| format!("{}{}", chunk.valid(), chunk.invalid().escape_ascii()));
    written.collect()
}

fn pairs(packets: &[Rtp]) -> impl Iterator<Item = (&Rtp, &Rtp)> {
    packets.windows(2).map(|pair| (&pair[0], &pair[1])).filter(|(one, next)| one.ssrc == next.ssrc)
}

/// Payload type, marker, length, and what a header has beyond that.
fn shape(packet: &Rtp) -> String {
    let marker = if packet.marker { "M" } else { "" };
    let mut shape = format!("{}{marker}/{}", packet.payload_type, packet.payload.len());
    if let Some((profile, words)) = &packet.extension {
        shape += &format!(" extension {profile:x}/{}", words.len());
    }
    if !packet.csrc.is_empty() {
        shape += &format!(" csrc {:x?}", packet.csrc);
    }
    if packet.padding > 0 {
        shape += &format!(" padding {}", packet.padding);
    }
    shape
}

/// Payloads as the numbers of the sent ones, in runs such as `#3-#17`; others by their octets.
pub fn payloads<'a>(received: impl IntoIterator<Item = &'a [u8]>, sent: &[Vec<u8>]) -> String {
    let mut written: Vec<(Option<usize>, String)> = Vec::new();
    let mut from = 0;
    for received in received {
        let place = sent.iter().skip(from).position(|payload| *payload == received).map(|place| place + from);
        let place = place.or_else(|| sent.iter().position(|payload| *payload == received));
        match (place, written.last_mut()) {
            (Some(now), Some((Some(last), text))) if now == *last + 1 => {
                *last = now;
                text.truncate(text.find('-').unwrap_or(text.len()));
                *text += &format!("-#{now}");
            }
            (Some(now), _) => written.push((Some(now), format!("#{now}"))),
            (None, _) => written.push((None, octets(received))),
        }
        from = place.map_or(from, |place| place + 1);
    }
    runs(written.into_iter().map(|(_, text)| text))
}

/// The first octets of a payload, as text where they are.
fn octets(payload: &[u8]) -> String {
    match std::str::from_utf8(payload) {
        Ok(text) if !text.chars().any(char::is_control) => format!("{text:?}"),
        _ => payload.iter().take(24).map(|octet| format!("{octet:02x}")).collect(),
    }
}

/// Sources by letters, in the order of their appearance.
fn sources(received: &[Rtp]) -> String {
    let mut known: Vec<u32> = Vec::new();
    let letters = received.iter().map(|packet| {
        let place = known.iter().position(|ssrc| *ssrc == packet.ssrc).unwrap_or_else(|| {
            known.push(packet.ssrc);
            known.len() - 1
        });
        char::from(b'A' + (place % 26) as u8)
    });
    let letters: Vec<_> = letters.collect();
    // The number of packets is a fact of its own.
    let mut changes = letters;
    changes.dedup();
    changes.into_iter().map(String::from).collect::<Vec<_>>().join(" ")
}

/// Each telephone-event: its payload type, key, marker, number of ends, and duration to the nearest 40 ms at 8 kHz.
fn events(packets: &[&Rtp]) -> String {
    let mut events: Vec<(u32, u8, String, usize, u16)> = Vec::new();
    for packet in packets {
        let [key, flags, high, low] = *packet.payload.first_chunk().unwrap_or(&[0; 4]);
        let (duration, is_end) = (u16::from_be_bytes([high, low]), flags & 0x80 != 0);
        let is_same = |event: &&mut (u32, u8, String, usize, u16)| (event.0, event.1) == (packet.timestamp, key);
        match events.last_mut().filter(is_same) {
            Some(event) => (event.3, event.4) = (event.3 + usize::from(is_end), event.4.max(duration)),
            None => {
                let marker = if packet.marker { "M" } else { "" };
                let head = format!("{}{marker} key {key} volume {}", packet.payload_type, flags & 0x3F);
                events.push((packet.timestamp, key, head, usize::from(is_end), duration));
            }
        }
    }
    let written = events.iter().map(|(_, _, head, ends, duration)| {
        format!("{head} ends {ends} duration {}", (u32::from(*duration) + 160) / 320 * 320)
    });
    written.collect::<Vec<_>>().join("; ")
}

/// A datagram that is no RTP: the packets of a compound, each with its number of reports or sources, or its first octets.
pub fn control(datagram: &[u8], is_at_rtcp: bool) -> String {
    let place = if is_at_rtcp { "" } else { " at the port of RTP" };
    let mut rest = datagram;
    let mut kinds = Vec::new();
    while let Some(([flags, kind, high, low], _)) = rest.split_first_chunk::<4>()
        && flags >> 6 == 2
    {
        let name = match kind {
            200 => "SR",
            201 => "RR",
            202 => "SDES",
            203 => "BYE",
            204 => "APP",
            205 => "RTPFB",
            206 => "PSFB",
            _ => "other",
        };
        kinds.push(format!("{name}/{}", flags & 0x1F));
        let length = 4 * (usize::from(u16::from_be_bytes([*high, *low])) + 1);
        rest = rest.get(length..).unwrap_or_default();
    }
    if kinds.is_empty() {
        format!("{} octets {}{place}", datagram.len(), octets(&datagram[..datagram.len().min(4)]))
    } else {
        kinds.join(" ") + place
    }
}

/// Whether [`control`] describes nothing but a report and its source.
pub fn is_report(control: &str) -> bool {
    control.split(' ').all(|part| ["SR/", "RR/", "SDES/"].iter().any(|name| part.starts_with(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_are_counted() {
        assert_eq!(runs([160, 160, 320, 160]), "160 x2, 320, 160");
    }

    #[test]
    fn text_is_read_behind_its_redundancy() {
        let payload = [&[0xE2, 0, 0, 0, 0xE2, 0, 0, 4, 0x62][..], b"one two "].concat();
        let red = Rtp { payload_type: 100, payload, ..Rtp::default() };
        let mut facts = Facts::new();
        text(&mut facts, "caller.text", &[red], &[100]);
        assert_eq!(
            (facts["caller.text.read"].as_str(), facts["caller.text.form"].as_str()),
            ("\"two \"", "100 with 2")
        );
    }

    #[test]
    fn packets_are_told_by_what_was_sent() {
        let sent: Vec<_> = (0..5_u8).map(|number| vec![number; 3]).collect();
        let packet =
            |sequence: u16, ssrc, payload: &[u8]| Rtp { sequence, ssrc, payload: payload.to_vec(), ..Rtp::default() };
        let received =
            [packet(65_535, 1, &sent[0]), packet(0, 1, &sent[1]), packet(1, 1, &sent[3]), packet(7, 2, b"text")];
        let mut facts = Facts::new();
        let stream = Stream::new("any", "echo", &[(0, "PCMU/8000"), (101, "telephone-event/8000")]);
        packets(&mut facts, "caller", &received, &sent, &stream);
        assert_eq!(facts["caller.payloads"], "#0-#1, #3, \"text\"");
        assert_eq!(facts["caller.sequence"], "+1");
        assert_eq!(facts["caller.sources"], "A B");
        assert_eq!(facts["caller.packets"], "0/3 x3, 0/4");
    }
}
