//! Groups of media sections that share one transport (BUNDLE, RFC 9143). The host has a transport for each section, so a group never
//! has more than one that carries media; the question is whether there is a group at all.
//!
//! Chromium 156 decides by `bundlePolicy`, which it does not tell:
//! - With `max-bundle` it refuses a description without a group, and its sections share a transport before they are answered.
//! - With `balanced`, the default, each section has its own transport until an answer has a group. From then on its offers put all
//!   sections onto the group's transport, and no answer may take one out again but by refusing it (§7.3.3).
//!
//! So a group in an answer makes the call of the first, and costs the second a camera that is added later. It is told apart by
//! candidates: a section that shares the transport of another has none. Firefox 153 takes any answer.

use crate::memory::Text;
use crate::sdp::{Description, Section};

/// A client's habit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Transports {
    /// It has described no two sections yet.
    #[default]
    Unknown,
    /// All sections share one transport.
    One,
    /// Each section has its own.
    Each,
}

/// The agreement of host and client in one dialog.
#[derive(Debug, Default)]
pub struct Grouping {
    /// The mid of the group that both have agreed upon, which stays in it.
    agreed: Option<Text>,
    /// The client's last offer groups for others than itself: it takes an answer without a group.
    is_optional: bool,
    /// An answer had several sections without a group.
    is_apart: bool,
}

impl Transports {
    /// The habit of a client that has refused an offer of several sections.
    pub fn after_a_refusal(self) -> Self {
        if self == Self::Unknown { Self::One } else { self }
    }
}

impl Grouping {
    /// Takes an offer of the client's; `is_first` if the host has described nothing in the dialog yet. Returns the client's habit, and
    /// the indices of the sections that have no transport of their own.
    pub fn handle_offer(
        &mut self,
        offer: &Description<'_>,
        is_first: bool,
        known: Transports,
    ) -> (Transports, Vec<usize>) {
        // Firefox's session names begin with its maker's.
        let origin = offer.origin.as_ref().map_or(&b""[..], |origin| offer.text(&origin.value));
        self.is_optional = origin.starts_with(b"mozilla");
        let bundled = offer.sections.iter().enumerate().filter(|(_, section)| {
            !section.is_refused && section.level.mid.as_ref().is_some_and(|mid| offer.bundles(offer.text(mid)))
        });
        let bundled: Vec<_> = bundled.collect();
        let [(_, first), others @ ..] = &bundled[..] else { return (known, Vec::new()) };
        if self.is_optional || others.is_empty() {
            return (known, Vec::new());
        }
        // str0m repeats the candidates of the one transport.
        let firsts: Vec<&[u8]> = first.level.candidates.iter().map(|line| offer.text(&line.value)).collect();
        let candidates = others.iter().flat_map(|(_, section)| &section.level.candidates);
        let has_own = candidates.map(|line| offer.text(&line.value)).any(|candidate| !firsts.contains(&candidate));
        let transports = match (self.agreed.is_some(), has_own, is_first && !firsts.is_empty()) {
            (false, true, _) => Transports::Each,
            // An offer that trickles (RFC 8838) looks the same if it is sent before the second section's first candidate, and loses its
            // picture. No line tells the two apart: Chromium says `a=ice-options:trickle` also when it has gathered all candidates,
            // and never `a=end-of-candidates`.
            (false, false, true) => Transports::One,
            // Both would look like this: JsSIP 3.13 does not wait for the candidates of a section that joins in mid-call.
            _ => known,
        };
        let shares = self.agreed.is_some() || is_first && transports == Transports::One;
        (transports, if shares { self.sharing(offer, &bundled) } else { Vec::new() })
    }

    /// Takes an answer of the client's: its group is agreed.
    pub fn handle_answer(&mut self, answer: &Description<'_>) {
        let mids = answer
            .sections
            .iter()
            .filter(|section| !section.is_refused)
            .filter_map(|section| section.level.mid.as_ref());
        let bundled = mids.map(|mid| answer.text(mid)).find(|mid| answer.bundles(mid));
        self.agreed = bundled.and_then(crate::memory::bounded);
    }

    /// Notes the group in an answer of the host's, or that it has none.
    pub fn handle_our_answer(&mut self, grouped: Option<Text>, answer: &Description<'_>) {
        let carrying = answer.sections.iter().filter(|section| !section.is_refused).count();
        self.is_apart |= grouped.is_none() && carrying > 1;
        self.agreed = grouped.or(self.agreed.take());
    }

    /// Whether an answer of the host's to an offer that groups has a group with `mid`, the first of its sections that carry media;
    /// `carrying` is their number.
    pub fn groups_in_answer(&self, mid: &str, carrying: usize, transports: Transports) -> bool {
        self.has_agreed(mid) || !self.is_optional && !self.is_apart && carrying == 1 && transports != Transports::Each
    }

    /// Whether an offer of the host's has a group with `mid`, the first of its sections that carry media; `carrying` is their number.
    pub fn groups_in_offer(&self, mid: &str, carrying: usize, transports: Transports) -> bool {
        let wanted = match transports {
            Transports::One => true,
            Transports::Unknown => carrying == 1,
            Transports::Each => false,
        };
        self.has_agreed(mid) || !self.is_apart && wanted
    }

    /// The bytes that are allocated.
    pub fn bytes(&self) -> usize {
        self.agreed.as_ref().map_or(0, |mid| mid.len())
    }

    /// The indices of all bundled sections but the one that the transport is for. A section that was declined may stand in front of it.
    fn sharing(&self, offer: &Description<'_>, bundled: &[(usize, &Section<'_>)]) -> Vec<usize> {
        let agreed = self.agreed.as_deref();
        let is_agreed =
            |section: &Section<'_>| section.level.mid.as_ref().is_some_and(|mid| agreed == Some(offer.text(mid)));
        let kept = bundled.iter().position(|(_, section)| is_agreed(section)).unwrap_or(0);
        bundled.iter().enumerate().filter(|(place, _)| *place != kept).map(|(_, (index, _))| *index).collect()
    }

    fn has_agreed(&self, mid: &str) -> bool {
        self.agreed.as_deref() == Some(mid.as_bytes())
    }
}
