//! Opus (RFC 7587) and VP8 (RFC 7741), under the names of two formats that the host knows and does not look into: its core has no
//! names for them.
//!
//! G.719 has the clock of Opus, and the host never cuts or joins its frames. MPEG-4 is video whose name the host reads in
//! `a=rtpmap` lines. Payload types and `a=ptime` stay, so packets need no translation.

use std::ops::Range;

use crate::Event;
use crate::change::Changes;
use crate::message::number;
use crate::rules::Rule;
use crate::sdp::{Description, Line, Section};

/// A format of the client's and the format of the host's that carries it.
pub struct Carrier {
    /// The rule that switches it on.
    pub rule: Rule,
    /// The type of media.
    media: &'static [u8],
    /// The client's name and clock in `a=rtpmap` lines (RFC 8866 §6.6), with what the client is told behind it.
    client: (&'static str, &'static str),
    /// The host's.
    host: &'static str,
    /// The `a=fmtp` value that the client is told.
    parameters: Option<&'static str>,
}

/// Opus: mono or stereo is the sender's choice, and `/2` is always written (RFC 7587 §7). Packets of 10 ms and more, and
/// FEC, since the host passes both on.
pub const OPUS: Carrier = Carrier {
    rule: Rule::Opus,
    media: b"audio",
    client: ("opus/48000", "/2"),
    host: "G719/48000",
    parameters: Some("minptime=10;useinbandfec=1"),
};

/// VP8.
pub const VP8: Carrier =
    Carrier { rule: Rule::Vp8, media: b"video", client: ("VP8/90000", ""), host: "MP4V-ES/90000", parameters: None };

/// Both.
pub const ALL: [Carrier; 2] = [OPUS, VP8];

impl Carrier {
    /// Renames the format in a description of the client's. Beside Opus the host is offered neither telephone-event of another
    /// clock than 8000 Hz nor redundancy (RFC 2198) nor comfort noise, which it would take for formats of its own.
    pub fn name_for_host(&self, changes: &mut Changes, description: &Description<'_>) {
        for section in self.sections(description) {
            let carried = PayloadTypes::named(description, section, |map| map.is(self.client.0));
            let is_dropped = |map: &Map<'_>| match self.media {
                b"audio" => !carried.is_empty() && map.is_misread_in_audio(),
                // With that rule they are gone already.
                _ => !changes.may(Rule::PayloadTypes) && map.is_taken_for_mpeg4(),
            };
            let dropped = PayloadTypes::named(description, section, is_dropped).without(&carried);
            if carried.is_empty() && dropped.is_empty() {
                continue;
            }
            self.rename(changes, description, section, &carried, self.host);
            for line in section.level.rtpmaps.iter().filter(|line| dropped.has(description, line)) {
                changes.cut(self.rule, line.whole.clone());
            }
            let about = section.level.parameters.iter().chain(&section.level.feedback_lines);
            for line in about.filter(|line| carried.has(description, line) || dropped.has(description, line)) {
                changes.cut(self.rule, line.whole.clone());
            }
            match dropped.left_of(description.text(&section.formats)) {
                Some(left) if left.is_empty() => changes.replace(self.rule, section.port.clone(), "0"),
                Some(left) => changes.replace(self.rule, section.formats.clone(), left),
                None => {}
            }
        }
    }

    /// Gives the format its own name in a description of the host's.
    pub fn name_for_client(&self, changes: &mut Changes, description: &Description<'_>) {
        for section in self.sections(description) {
            let carried = self.carried_by_host(description, section);
            let (client, channels) = self.client;
            self.rename(changes, description, section, &carried, &format!("{client}{channels}"));
            for line in section.level.parameters.iter().filter(|line| carried.has(description, line)) {
                changes.cut(self.rule, line.whole.clone());
            }
            for line in section.level.rtpmaps.iter().filter(|line| carried.has(description, line)) {
                let payload_type = Map::of(description, line).map(|map| map.payload_type);
                if let Some((parameters, payload_type)) = self.parameters.zip(payload_type) {
                    let told = format!("a=fmtp:{payload_type} {parameters}");
                    changes.insert(self.rule, line.whole.end, &told, description);
                }
            }
        }
    }

    /// Whether a section of the host's carries the format.
    pub fn is_in(&self, description: &Description<'_>, section: &Section<'_>) -> bool {
        section.media == self.media && !self.carried_by_host(description, section).is_empty()
    }

    /// Whether the client's name of a format, without its clock, is this format's.
    pub fn has_name(&self, name: &[u8]) -> bool {
        let own = self.client.0.split('/').next().unwrap_or_default();
        name.eq_ignore_ascii_case(own.as_bytes())
    }

    fn carried_by_host(&self, description: &Description<'_>, section: &Section<'_>) -> PayloadTypes {
        PayloadTypes::named(description, section, |map| map.is(self.host))
    }

    fn sections<'d, 'a>(&self, description: &'d Description<'a>) -> impl Iterator<Item = &'d Section<'a>> {
        let media = self.media;
        description.sections.iter().filter(move |section| section.media == media && !section.is_refused)
    }

    fn rename(
        &self,
        changes: &mut Changes,
        description: &Description<'_>,
        section: &Section<'_>,
        carried: &PayloadTypes,
        name: &str,
    ) {
        for line in section.level.rtpmaps.iter().filter(|line| carried.has(description, line)) {
            if let Some(map) = Map::of(description, line) {
                changes.replace(self.rule, map.name_at.clone(), name);
            }
        }
    }
}

/// The payload type that is MPEG-4 to the host without an `a=rtpmap` line.
const MPEG4: usize = 104;

/// A line of the host's for a copy of a section that carries nothing: Opus has its own name in it.
pub fn named_for_client(line: &[u8]) -> Vec<u8> {
    match line.strip_suffix(OPUS.host.as_bytes()).filter(|begin| begin.starts_with(b"a=rtpmap:")) {
        Some(begin) => [begin, OPUS.client.0.as_bytes(), OPUS.client.1.as_bytes()].concat(),
        None => line.to_vec(),
    }
}

/// The facts about Opus in a description of the host's. Without ICE nothing names the call.
pub fn sections_with_opus(description: &Description<'_>) -> impl Iterator<Item = Event> {
    let sections = description.sections.iter().filter(|section| OPUS.is_in(description, section));
    let ufrags = sections.filter_map(|section| section.level.ufrag.as_ref().or(description.session.ufrag.as_ref()));
    ufrags.map(|ufrag| Event::Opus { ufrag: String::from_utf8_lossy(description.text(ufrag)).into_owned() })
}

/// An `a=rtpmap` line (RFC 8866 §6.6).
struct Map<'a> {
    payload_type: usize,
    /// Name, clock rate and parameters, such as `opus/48000/2`, and where they stand.
    name: &'a [u8],
    name_at: Range<usize>,
}

impl<'a> Map<'a> {
    fn of(description: &Description<'a>, line: &Line) -> Option<Self> {
        let text = description.text(&line.value);
        let blank = text.iter().position(|byte| *byte == b' ')?;
        let (digits, name) = text.split_at_checked(blank)?;
        let begin = line.value.start + blank + name.len() - name.trim_ascii_start().len();
        let name = name.trim_ascii();
        Some(Self { payload_type: number(digits)?, name, name_at: begin..begin + name.len() })
    }

    /// Whether this is a name and clock, whatever the number of channels.
    fn is(&self, wanted: &str) -> bool {
        let (name, rest) = self.name.split_at_checked(wanted.len()).unwrap_or_default();
        name.eq_ignore_ascii_case(wanted.as_bytes()) && matches!(rest, [] | [b'/', ..])
    }

    /// Whether the host takes the payload type for MPEG-4, the carrier of VP8, since it reads no other names of video than those that
    /// begin like its own: Chromium has a retransmission (RFC 4588) there.
    fn is_taken_for_mpeg4(&self) -> bool {
        let begins = |begin: &[u8]| self.name.get(..begin.len()).is_some_and(|name| name.eq_ignore_ascii_case(begin));
        self.payload_type == MPEG4 && !self.is(VP8.client.0) && !begins(b"H26") && !begins(b"MP4")
    }

    fn is_misread_in_audio(&self) -> bool {
        let name = self.name.split(|byte| *byte == b'/').next().unwrap_or_default();
        let is_event = name.eq_ignore_ascii_case(b"telephone-event") && !self.is("telephone-event/8000");
        is_event || name.eq_ignore_ascii_case(b"red") || name.eq_ignore_ascii_case(b"CN")
    }
}

/// A set of payload types.
struct PayloadTypes([bool; 128]);

impl PayloadTypes {
    /// The payload types in the `m=` line whose `a=rtpmap` is wanted. The whole map is read first: Firefox writes `a=fmtp` before it.
    fn named(description: &Description<'_>, section: &Section<'_>, is_wanted: impl Fn(&Map<'_>) -> bool) -> Self {
        let maps = section.level.rtpmaps.iter().filter_map(|line| Map::of(description, line)).filter(is_wanted);
        let wanted = Self::of(maps.map(|map| map.payload_type));
        let formats = description.text(&section.formats).split(|byte| *byte == b' ');
        Self::of(formats.filter(|word| wanted.has_number(word)).filter_map(number))
    }

    fn of(payload_types: impl Iterator<Item = usize>) -> Self {
        let mut all = Self([false; 128]);
        for payload_type in payload_types {
            if let Some(is_in) = all.0.get_mut(payload_type) {
                *is_in = true;
            }
        }
        all
    }

    fn without(mut self, others: &Self) -> Self {
        self.0.iter_mut().zip(&others.0).for_each(|(is_in, is_other)| *is_in &= !is_other);
        self
    }

    fn is_empty(&self) -> bool {
        !self.0.contains(&true)
    }

    fn has_number(&self, digits: &[u8]) -> bool {
        number(digits).and_then(|payload_type| self.0.get(payload_type)).is_some_and(|is_in| *is_in)
    }

    /// Whether an attribute's value begins with one of the payload types.
    fn has(&self, description: &Description<'_>, line: &Line) -> bool {
        let text = description.text(&line.value);
        self.has_number(text.split(|byte| *byte == b' ').next().unwrap_or_default())
    }

    /// The formats of an `m=` line without these; `None` if it has none of them.
    fn left_of(&self, formats: &[u8]) -> Option<Vec<u8>> {
        let words = || formats.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        words().any(|word| self.has_number(word)).then(|| {
            let left: Vec<&[u8]> = words().filter(|word| !self.has_number(word)).collect();
            left.join(&b' ')
        })
    }
}
