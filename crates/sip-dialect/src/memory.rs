//! Memory of dialogs: what an answer has to be fitted to. All of it together stays below [`MAX_BYTES`]; the dialog that
//! was quiet for longest is forgotten first, and its later messages pass unchanged.

use std::collections::HashMap;

use crate::grouping::Grouping;
use crate::pictures::Feedback;
use crate::places::Place;
use crate::sdp::{self, Description, Direction};
use crate::sipml;
use crate::version::{self, Told};

/// The dialogs of one WebSocket session, by their `Call-ID`.
#[derive(Debug, Default)]
pub struct Dialogs {
    all: HashMap<Box<[u8]>, Dialog>,
    /// Counts uses, to find the dialog that was quiet for longest.
    uses: u64,
    bytes: usize,
}

/// One dialog (RFC 3261 §12) that carries media.
#[derive(Debug, Default)]
pub struct Dialog {
    /// The `CSeq` number of the client's offer, until the client describes itself in another way.
    pub offer: Option<u32>,
    /// The `CSeq` number of the client's INVITE without a description, until it describes itself.
    pub offerless: Option<u32>,
    /// The media sections of the client's last description.
    pub client: Vec<Section>,
    /// The media sections that both sides have agreed upon, which stay in their places (RFC 3264 §8).
    pub agreed: Vec<Place>,
    /// The ICE user fragments of the host's last description, by section.
    pub host: Vec<Option<Text>>,
    /// The index of the video section in the host's last description.
    pub host_video: Option<usize>,
    /// Whether the host has had video in this dialog: its transport is there for good then, also while the video is refused.
    pub had_host_video: bool,
    /// The client's last description said that candidates may follow (RFC 8840 §4.1).
    pub trickles: bool,
    /// The host has accepted an INVITE, or the client one of the host's.
    pub is_confirmed: bool,
    /// The host's `Contact`.
    pub contact: Option<Text>,
    /// The host does not know that the client refreshes the session (RFC 4028).
    pub hides_refresh: bool,
    /// The host has made the client refresh the session, and counts.
    pub host_counts_refreshes: bool,
    /// The last description of the client's that the host was told.
    pub version: Option<Told>,
    /// The host was told only the first of the client's media sections, which are those of one stream.
    pub is_folded: bool,
    /// The agreement of host and client on a group of media sections.
    pub grouping: Grouping,
    /// Candidates for a section that the host has not described yet.
    pub early: Vec<(usize, Text)>,
    used: u64,
}

/// A text that a peer chose, bounded where it is kept.
pub type Text = Box<[u8]>;

/// One media section of a client's description.
#[derive(Debug)]
pub struct Section {
    /// The `m=` line and the mid.
    pub place: Place,
    /// Whether the description's BUNDLE group names that mid (RFC 9143).
    pub is_bundled: bool,
    /// The direction of media, also when the description did not name it.
    pub direction: Direction,
    /// `a=ice-ufrag:`, also of the session.
    pub ufrag: Option<Text>,
    /// The kinds of feedback that ask for whole pictures.
    pub feedback: Feedback,
}

impl Dialogs {
    /// Finds a dialog.
    pub fn get(&mut self, call_id: &[u8]) -> Option<&mut Dialog> {
        self.uses += 1;
        let dialog = self.all.get_mut(call_id)?;
        dialog.used = self.uses;
        Some(dialog)
    }

    /// Changes a dialog, which begins with this if it is not known. `None` if it takes too much memory.
    pub fn change<T>(&mut self, call_id: &[u8], change: impl FnOnce(&mut Dialog) -> T) -> Option<T> {
        if call_id.len() > MAX_TEXT {
            return None;
        }
        self.uses += 1;
        let mut dialog = self.take(call_id).unwrap_or_default();
        dialog.used = self.uses;
        let answer = change(&mut dialog);
        self.keep(call_id, dialog).then_some(answer)
    }

    /// Forgets a dialog.
    pub fn forget(&mut self, call_id: &[u8]) {
        self.take(call_id);
    }

    /// All ICE user fragments that the host has described itself with.
    pub fn host_ufrags(&self) -> impl Iterator<Item = &[u8]> {
        self.all.values().flat_map(|dialog| dialog.host.iter().flatten()).map(|text| &**text)
    }

    /// The memory in use, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn take(&mut self, call_id: &[u8]) -> Option<Dialog> {
        let dialog = self.all.remove(call_id)?;
        self.bytes -= dialog.bytes(call_id);
        Some(dialog)
    }

    fn keep(&mut self, call_id: &[u8], dialog: Dialog) -> bool {
        let bytes = dialog.bytes(call_id);
        if bytes > MAX_BYTES {
            return false;
        }
        while self.bytes + bytes > MAX_BYTES {
            let oldest = self.all.iter().min_by_key(|(_, dialog)| dialog.used).map(|(call_id, _)| call_id.clone());
            let Some(oldest) = oldest else { break };
            self.take(&oldest);
        }
        self.bytes += bytes;
        self.all.insert(call_id.into(), dialog);
        true
    }
}

impl Dialog {
    /// Remembers a client's description; `offer` is its `CSeq` number if it is an offer. `is_sipml`: see [`sipml`].
    pub fn describe_client(&mut self, description: &Description<'_>, offer: Option<u32>, is_sipml: bool) {
        let kept = |range: &std::ops::Range<usize>| bounded(description.text(range));
        let session = &description.session;
        let version = version::of(description).map(|(_, own)| {
            let content = version::content(description);
            Told::new(self.version.map_or(own, |told| told.next(own, content)), content)
        });
        self.version = version.or(self.version);
        if offer != self.offer {
            // Candidates for another description.
            self.early.clear();
        }
        let was_held = self.client.first().is_some_and(|section| section.direction == Direction::NONE);
        let meant = |said| if is_sipml { sipml::meant(said, was_held) } else { said };
        (self.offer, self.offerless) = (offer, None);
        self.trickles = session.trickles || description.sections.iter().any(|section| section.level.trickles);
        self.client = description
            .sections
            .iter()
            .map(|section| {
                let direction = section.level.direction().or(session.direction());
                let place = Place::of(description, section);
                Section {
                    feedback: section.level.feedback,
                    is_bundled: place.mid.as_deref().is_some_and(|mid| description.bundles(mid)),
                    place,
                    direction: meant(direction.map_or(Direction::BOTH, |(direction, _)| *direction)),
                    ufrag: section.level.ufrag.as_ref().or(session.ufrag.as_ref()).and_then(kept),
                }
            })
            .collect();
        if offer.is_none() {
            self.agreed = self.places().cloned().collect();
        }
    }

    /// The media sections of the client's last description.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.client.iter().map(|section| &section.place)
    }

    /// Remembers that the host has accepted the client's last offer, and which sections of it.
    pub fn agree(&mut self, answer: &Description<'_>) {
        self.agreed = self.places().cloned().collect();
        for (place, section) in self.agreed.iter_mut().zip(&answer.sections) {
            place.is_used &= !section.is_refused;
        }
    }

    /// Remembers a description of the host's.
    pub fn describe_host(&mut self, description: &Description<'_>) {
        let session = &description.session;
        let ufrags = description.sections.iter().map(|section| section.level.ufrag.as_ref().or(session.ufrag.as_ref()));
        let is_video = |section: &sdp::Section<'_>| section.media == b"video" && !section.is_refused;
        self.host_video = description.sections.iter().position(is_video);
        self.had_host_video |= self.host_video.is_some();
        self.host = ufrags.map(|ufrag| ufrag.and_then(|range| bounded(description.text(range)))).collect();
    }

    /// The size of the dialog, in bytes, roughly as the allocator sees it.
    fn bytes(&self, call_id: &[u8]) -> usize {
        let text = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.len());
        let sections: usize =
            self.client.iter().map(|section| size_of::<Section>() + section.place.bytes() + text(&section.ufrag)).sum();
        let agreed: usize = self.agreed.iter().map(|place| size_of::<Place>() + place.bytes()).sum();
        let host: usize = self.host.iter().map(|ufrag| size_of::<Option<Text>>() + text(ufrag)).sum();
        let early: usize = self.early.iter().map(|(_, candidate)| size_of::<(usize, Text)>() + candidate.len()).sum();
        size_of::<Self>()
            + call_id.len()
            + sections
            + agreed
            + host
            + early
            + text(&self.contact)
            + self.grouping.bytes()
    }
}

/// Copies a text that is not too long to be kept.
pub fn bounded(text: &[u8]) -> Option<Text> {
    (text.len() <= MAX_TEXT).then(|| text.into())
}

/// The memory that the dialogs of one session may take, in bytes: some hundred of a browser's.
pub const MAX_BYTES: usize = 64 * 1024;

/// The longest text that is kept, in bytes: ICE user fragments have at most 256 (RFC 8839 §5.4).
const MAX_TEXT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialog_that_was_quiet_for_longest_is_forgotten_first() {
        let mut dialogs = Dialogs::default();
        let long = |dialog: &mut Dialog| dialog.early.push((0, vec![0; 1000].into()));
        for call in 0..200u8 {
            assert!(dialogs.change(&[call], long).is_some());
            assert!(dialogs.get(&[0]).is_some(), "it is in use");
            assert!(dialogs.bytes() <= MAX_BYTES);
        }
        assert!(dialogs.get(&[1]).is_none() && dialogs.get(&[199]).is_some());
        assert!((40..64).contains(&dialogs.all.len()));
        for call in 0..200u8 {
            dialogs.forget(&[call]);
        }
        assert_eq!((dialogs.bytes(), dialogs.all.len()), (0, 0));
    }

    #[test]
    fn a_dialog_that_is_too_large_is_not_kept() {
        let mut dialogs = Dialogs::default();
        let huge = |dialog: &mut Dialog| dialog.early.push((0, vec![0; MAX_BYTES].into()));
        assert!(dialogs.change(b"1", |_| ()).is_some());
        assert!(dialogs.change(b"1", huge).is_none() && dialogs.get(b"1").is_none());
        assert!(dialogs.change(&[0; 257], |_| ()).is_none());
        assert_eq!(dialogs.bytes(), 0);
    }
}
