//! One change at a time: the edits of a description, and the rules that made them.

use crate::carriers;
use crate::edit::Edits;
use crate::grouping::{Grouping, Transports};
use crate::memory::{self, Dialog, Section as Offered, Text};
use crate::message::{Message, trimmed};
use crate::payload_types;
use crate::pictures::Feedback;
use crate::places::Place;
use crate::rules::{Rule, Rules};
use crate::sdp::{Description, Direction, Level, Line, MAX_SECTIONS, Section};
use crate::sipml;
use crate::version;

/// The changes to one message, and why.
pub struct Changes {
    /// The rules that are switched on.
    allowed: Rules,
    /// The rules that have changed something.
    pub made: Rules,
    /// The changes.
    pub edits: Edits,
    /// A line was added behind the last one.
    is_longer: bool,
    /// The mid that a description of the host's now groups.
    pub grouped: Option<Text>,
}

impl Changes {
    /// No change yet.
    pub fn new(allowed: Rules) -> Self {
        Self { allowed, made: Rules::NONE, edits: Edits::default(), is_longer: false, grouped: None }
    }

    /// Whether a rule is switched on.
    pub fn may(&self, rule: Rule) -> bool {
        self.allowed.has(rule)
    }

    /// Adds a line at a position, which is the end of a line.
    pub fn insert(&mut self, rule: Rule, at: usize, line: &str, description: &Description<'_>) {
        // The last line of a body may lack its end.
        let is_last = at == description.span.end;
        let has_end = self.is_longer || description.bytes.get(..at).is_some_and(|all| all.ends_with(b"\n"));
        self.is_longer |= is_last;
        let before = if is_last && !has_end { description.line_end } else { "" };
        self.edits.insert(at, format!("{before}{line}{}", description.line_end));
        self.made = self.made.with(rule);
    }

    /// Replaces a range.
    pub fn replace(&mut self, rule: Rule, range: std::ops::Range<usize>, text: impl Into<Vec<u8>>) {
        self.edits.replace(range, text);
        self.made = self.made.with(rule);
    }

    /// Removes a range.
    pub fn cut(&mut self, rule: Rule, range: std::ops::Range<usize>) {
        self.edits.cut(range);
        self.made = self.made.with(rule);
    }

    /// [`Rule::Opus`] and [`Rule::Vp8`], for a description of the client's.
    pub fn carry_formats(&mut self, description: &Description<'_>) {
        let allowed = self.allowed;
        for carrier in carriers::ALL.iter().filter(|carrier| allowed.has(carrier.rule)) {
            carrier.name_for_host(self, description);
        }
    }

    /// [`Rule::Opus`] and [`Rule::Vp8`], for a description of the host's.
    pub fn name_carried_formats(&mut self, description: &Description<'_>) {
        let allowed = self.allowed;
        for carrier in carriers::ALL.iter().filter(|carrier| allowed.has(carrier.rule)) {
            carrier.name_for_client(self, description);
        }
    }

    /// [`Rule::SessionDirection`].
    pub fn move_direction(&mut self, description: &Description<'_>) {
        let Some((direction, _)) = description.session.direction() else { return };
        for (_, line) in &description.session.directions {
            self.cut(Rule::SessionDirection, line.whole.clone());
        }
        for section in description.sections.iter().filter(|section| section.level.directions.is_empty()) {
            self.insert(Rule::SessionDirection, section.end(), &format!("a={}", direction.name()), description);
        }
    }

    /// [`Rule::PayloadTypes`].
    pub fn cut_misread_payload_types(&mut self, description: &Description<'_>) {
        let sections = description.sections.iter().filter(|section| !section.is_refused);
        for section in sections.filter(|section| matches!(section.media, b"video" | b"text")) {
            let Some(left) = payload_types::understood(description, section, self.may(Rule::Vp8)) else { continue };
            match left.is_empty() {
                true => self.replace(Rule::PayloadTypes, section.port.clone(), "0"),
                false => self.replace(Rule::PayloadTypes, section.formats.clone(), left),
            }
        }
    }

    /// [`Rule::Trickle`], for a description of the client's: the address 0.0.0.0 or `::` says that candidates will follow
    /// (RFC 8840 §4.1.2). It becomes the dummy address of RFC 7600, to which nobody sends.
    pub fn name_an_address(&mut self, description: &Description<'_>) {
        let offered = description.sections.iter().filter(|section| !section.is_refused);
        let sections = offered.map(|section| &section.level);
        let uses_ice = |level: &Level| level.ufrag.is_some() || description.session.ufrag.is_some();
        let mut lines: Vec<&Line> =
            sections.clone().filter(|level| uses_ice(level)).filter_map(|level| level.connection.as_ref()).collect();
        if sections.clone().next().is_some() && sections.clone().all(uses_ice) {
            lines.extend(&description.session.connection);
        }
        for line in lines {
            let text = description.text(&line.value);
            if text == b"IN IP4 0.0.0.0" || text == b"IN IP6 ::" {
                self.replace(Rule::Trickle, line.value.clone(), format!("IN IP4 {NO_ADDRESS}"));
            }
        }
    }

    /// [`Rule::LongCandidates`]. Of a foundation that is too long the end stays.
    pub fn carry_long_addresses(&mut self, description: &Description<'_>) {
        for candidate in description.sections.iter().flat_map(|section| &section.level.candidates) {
            let Some((foundation, address)) = candidate_parts(description, candidate) else { continue };
            if address.len() <= LONGEST_ADDRESS {
                if foundation.len() > LONGEST_FOUNDATION {
                    self.cut(Rule::LongCandidates, foundation.start..foundation.end - LONGEST_FOUNDATION);
                }
                continue;
            }
            let text = |range: &std::ops::Range<usize>| std::str::from_utf8(description.text(range)).ok();
            let carried = text(&address)
                .zip(text(&foundation))
                .and_then(|(address, foundation)| ice::carried::encode(address, foundation));
            if let Some(carried) = carried {
                self.replace(Rule::LongCandidates, foundation, carried);
                self.replace(Rule::LongCandidates, address, NO_ADDRESS.to_string());
            }
        }
    }

    /// [`Rule::AnswerDirection`], [`Rule::Mid`], [`Rule::Group`], [`Rule::Profile`] and [`Rule::Trickle`], for an answer of
    /// the host's to an offer of the client's.
    pub fn fit_answer(&mut self, answer: &Description<'_>, dialog: &Dialog, transports: Transports) {
        if dialog.is_folded && answer.sections.len() == 1 {
            return self.unfold_answer(answer, dialog);
        }
        for (section, offered) in answer.sections.iter().zip(&dialog.client) {
            if let Some(mid) = offered.place.mid.as_deref().filter(|_| section.level.mid.is_none()) {
                self.add_mid(answer, section, &String::from_utf8_lossy(mid));
            }
            self.fit_section(answer, section, offered, dialog);
        }
        let first = answer.sections.iter().zip(&dialog.client).find(|(section, _)| !section.is_refused);
        if let Some((section, offered)) = first.filter(|(_, offered)| offered.is_bundled) {
            let mid = offered.place.mid.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            if dialog.grouping.groups_in_answer(&mid, carrying(answer), transports) {
                self.group(answer, section, &mid);
            }
        }
    }

    /// [`Rule::Group`], for an offer of the client's: refuses the sections that have no transport of their own.
    pub fn refuse_shared(&mut self, offer: &Description<'_>, shared: &[usize]) {
        for section in shared.iter().filter_map(|index| offer.sections.get(*index)) {
            self.replace(Rule::Group, section.port.clone(), "0");
        }
    }

    /// [`Rule::Sipml`], for an offer: the host is told the first of the sections alone. Returns whether it is.
    pub fn fold(&mut self, offer: &Description<'_>) -> bool {
        let is_one = self.may(Rule::Sipml) && sipml::is_one_stream(offer);
        if let [first, .., last] = &offer.sections[..]
            && is_one
        {
            self.cut(Rule::Sipml, first.end()..last.end());
        }
        is_one
    }

    /// [`Rule::Sipml`], for the answer to a folded offer: the last section carries media, those before it do nothing.
    pub fn unfold_answer(&mut self, answer: &Description<'_>, dialog: &Dialog) {
        let ([section], Some((last, before))) = (&answer.sections[..], dialog.client.split_last()) else { return };
        let mids = dialog.client.iter().filter_map(|section| section.place.mid.as_deref()).map(String::from_utf8_lossy);
        let group = format!("a=group:BUNDLE {}{}", mids.collect::<Vec<_>>().join(" "), answer.line_end);
        let mut more = if answer.bundle.is_none() { group.into_bytes() } else { Vec::new() };
        before.iter().for_each(|offered| sipml::write_copy(answer, section, offered, self.allowed, &mut more));
        self.edits.insert(answer.session.span.end, more);
        self.made = self.made.with(Rule::Sipml);
        if let Some(mid) = last.place.mid.as_deref().filter(|_| section.level.mid.is_none()) {
            self.insert(Rule::Sipml, section.end(), &format!("a=mid:{}", String::from_utf8_lossy(mid)), answer);
        }
        self.fit_section(answer, section, last, dialog);
    }

    /// Fits an accepted section of an answer to the offered one.
    fn fit_section(&mut self, answer: &Description<'_>, section: &Section<'_>, offered: &Offered, dialog: &Dialog) {
        if !section.is_refused {
            self.fit_direction(answer, section, offered.direction);
            self.fit_profile(answer, section, &offered.place.protocol);
            self.tell_feedback(answer, section, offered.feedback);
            self.end_candidates(answer, section, dialog);
        }
    }

    /// [`Rule::Mid`] and [`Rule::Group`], for an offer of the host's with DTLS. A section keeps the mid that it has had in
    /// the dialog (RFC 8829 §5.2.2), also when it is declined and says nothing else.
    pub fn name_sections(&mut self, offer: &Description<'_>, dialog: Option<&Dialog>, transports: Transports) {
        let mut grouped = None;
        let agreed = dialog.map_or(&[][..], |dialog| &dialog.agreed);
        for (index, section) in offer.sections.iter().enumerate().filter(|(_, section)| section.level.mid.is_none()) {
            let is_secure = offer.is_secure(section);
            let had_mid = agreed.get(index).is_some_and(|place| place.mid.is_some());
            if is_secure || section.is_refused && had_mid {
                let mid = mid_of(index, agreed);
                self.add_mid(offer, section, &mid);
                grouped = grouped.or(Some((section, mid)).filter(|_| !section.is_refused));
            }
        }
        let unknown = Grouping::default();
        let grouping = dialog.map_or(&unknown, |dialog| &dialog.grouping);
        if let Some((section, mid)) = grouped
            && grouping.groups_in_offer(&mid, carrying(offer), transports)
        {
            self.group(offer, section, &mid);
        }
    }

    /// [`Rule::Pictures`], for an offer of the host's.
    pub fn offer_feedback(&mut self, offer: &Description<'_>) {
        for section in offer.sections.iter().filter(|section| !section.is_refused && offer.is_secure(section)) {
            self.tell_feedback(offer, section, Feedback::BOTH);
        }
    }

    /// Adds what the engine understands in RTCP of these kinds, to a video section with the profile for it (RFC 4585 §4).
    fn tell_feedback(&mut self, description: &Description<'_>, section: &Section<'_>, understood: Feedback) {
        let is_video = section.media == b"video" && description.text(&section.protocol).ends_with(b"AVPF");
        let is_vp8 = self.may(Rule::Vp8) && carriers::VP8.is_in(description, section);
        let rule = if self.may(Rule::Pictures) { Rule::Pictures } else { Rule::Vp8 };
        if is_video && (is_vp8 || self.may(Rule::Pictures)) {
            for line in understood.without(section.level.feedback).lines() {
                self.insert(rule, section.end(), line, description);
            }
        }
    }

    fn add_mid(&mut self, description: &Description<'_>, section: &Section<'_>, mid: &str) {
        if self.may(Rule::Mid) {
            self.insert(Rule::Mid, section.end(), &format!("a=mid:{mid}"), description);
        }
    }

    /// Groups one section. The host has a transport for each, so no two can share one. A section in a group has rtcp-mux (RFC 9143
    /// §9.3).
    fn group(&mut self, description: &Description<'_>, section: &Section<'_>, mid: &str) {
        let has_mid = section.level.mid.is_some() || self.may(Rule::Mid);
        if self.may(Rule::Group) && has_mid && description.bundle.is_none() && section.level.has_mux {
            let line = format!("a=group:BUNDLE {mid}");
            self.insert(Rule::Group, description.session.span.end, &line, description);
            self.grouped = memory::bounded(mid.as_bytes());
        }
    }

    fn fit_direction(&mut self, answer: &Description<'_>, section: &Section<'_>, offered: Direction) {
        let own = section.level.direction();
        let said = own.or(answer.session.direction()).map_or(Direction::BOTH, |(direction, _)| *direction);
        let fitting = offered.answered_with(said);
        if !self.may(Rule::AnswerDirection) || fitting == said {
            return;
        }
        let line = format!("a={}", fitting.name());
        match own {
            Some((_, own)) => self.replace(Rule::AnswerDirection, trimmed(answer.bytes, own.whole.clone()), line),
            None => self.insert(Rule::AnswerDirection, section.end(), &line, answer),
        }
    }

    fn fit_profile(&mut self, answer: &Description<'_>, section: &Section<'_>, offered: &[u8]) {
        let said = answer.text(&section.protocol);
        if self.may(Rule::Profile) && answer.is_secure(section) && offered.strip_prefix(b"UDP/TLS/") == Some(said) {
            self.replace(Rule::Profile, section.protocol.clone(), offered);
        }
    }

    /// Says that all candidates are there (RFC 8840 §8.2), to a client that trickles.
    fn end_candidates(&mut self, answer: &Description<'_>, section: &Section<'_>, dialog: &Dialog) {
        let level = &section.level;
        if !self.may(Rule::Trickle) || !dialog.trickles || level.candidates.is_empty() || level.is_complete {
            return;
        }
        if !level.trickles && !answer.session.trickles {
            self.insert(Rule::Trickle, section.end(), "a=ice-options:trickle", answer);
        }
        self.insert(Rule::Trickle, section.end(), "a=end-of-candidates", answer);
    }

    /// [`Rule::FingerprintCase`].
    pub fn lower_fingerprints(&mut self, description: &Description<'_>) {
        let levels =
            std::iter::once(&description.session).chain(description.sections.iter().map(|section| &section.level));
        for line in levels.flat_map(|level| &level.fingerprints) {
            let hash = description.text(&line.value).split(|byte| *byte == b' ').next().unwrap_or_default();
            if hash.iter().any(u8::is_ascii_uppercase) {
                let range = line.value.start..line.value.start + hash.len();
                self.replace(Rule::FingerprintCase, range, hash.to_ascii_lowercase());
            }
        }
    }

    /// [`Rule::Version`]: the version by which the host knows this description.
    pub fn raise_version(&mut self, description: &Description<'_>, dialog: Option<&Dialog>) {
        let version = version::of(description).zip(dialog.and_then(|dialog| dialog.version));
        if let Some(((range, own), known)) = version {
            let right = known.next(own, version::content(description));
            if right != own {
                self.replace(Rule::Version, range, right.to_string());
            }
        }
    }

    /// The changed message; `None` if nothing is changed.
    pub fn apply(
        self,
        message: &Message<'_>,
        part: Option<(std::ops::Range<usize>, usize)>,
    ) -> Option<(Vec<u8>, Rules)> {
        (!self.edits.is_empty()).then(|| (self.edits.apply(message, part), self.made))
    }
}

/// The number of sections that carry media.
fn carrying(description: &Description<'_>) -> usize {
    description.sections.iter().filter(|section| !section.is_refused).count()
}

/// The mid of a section of the host's offer: the one that it has had in the dialog, or a number that no other section has.
fn mid_of(index: usize, agreed: &[Place]) -> String {
    let known: Vec<Option<&[u8]>> = agreed.iter().map(|place| place.mid.as_deref()).collect();
    if let Some(Some(mid)) = known.get(index) {
        return String::from_utf8_lossy(mid).into_owned();
    }
    let is_free = |mid: &String| !known.contains(&Some(mid.as_bytes()));
    // Numbers from the index on, with a step that no other index meets.
    (0..=known.len()).map(|step| (index + step * MAX_SECTIONS).to_string()).find(is_free).unwrap_or_default()
}

/// The foundation and the connection address of a candidate (RFC 8839 §5.1).
fn candidate_parts(
    description: &Description<'_>,
    candidate: &Line,
) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let text = description.text(&candidate.value);
    let mut at = candidate.value.start;
    let mut words = text.split(|byte| *byte == b' ').map(|word| {
        let range = at..at + word.len();
        at = range.end + 1;
        range
    });
    let foundation = words.next()?;
    Some((foundation, words.nth(3)?))
}

/// The longest candidate address that the host reads, in characters.
const LONGEST_ADDRESS: usize = 23;

/// The longest foundation that the host reads, in characters; RFC 8839 §5.1 allows one more, and aiortc 1.16 uses it.
const LONGEST_FOUNDATION: usize = 31;

/// The IPv4 dummy address of RFC 7600 §4.8.
const NO_ADDRESS: std::net::IpAddr = ice::carried::PLACEHOLDER;
