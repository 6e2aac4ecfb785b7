//! Requests for whole pictures: INFO (RFC 5168) on the host's side, FIR (RFC 5104 §4.3.1) and PLI (RFC 4585 §6.3.1) on the
//! client's.

use memchr::memmem;

use crate::Event;
use crate::body;
use crate::memory::Dialog;
use crate::message::Message;

/// The kinds of feedback by which whole pictures are asked for, in `a=rtcp-fb` lines (RFC 4585 §4.2, RFC 5104 §7.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Feedback {
    /// `ccm fir`.
    pub fir: bool,
    /// `nack pli`.
    pub pli: bool,
}

impl Feedback {
    /// Both kinds.
    pub const BOTH: Self = Self { fir: true, pli: true };

    /// Takes in the value of an `a=rtcp-fb` line: a payload type or `*`, and the kind.
    pub fn take(&mut self, value: &[u8]) {
        let mut words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).skip(1);
        match (words.next(), words.next()) {
            (Some(b"ccm"), Some(b"fir")) => self.fir = true,
            (Some(b"nack"), Some(b"pli")) => self.pli = true,
            _ => {}
        }
    }

    /// The kinds that `self` has and `other` has not.
    pub fn without(self, other: Self) -> Self {
        Self { fir: self.fir && !other.fir, pli: self.pli && !other.pli }
    }

    /// The lines of the kinds, for all payload types of a section.
    pub fn lines(self) -> impl Iterator<Item = &'static str> {
        let lines = [(self.fir, "a=rtcp-fb:* ccm fir"), (self.pli, "a=rtcp-fb:* nack pli")];
        lines.into_iter().filter(|(has, _)| *has).map(|(_, line)| line)
    }
}

/// The wish for a whole picture in an INFO of the host's; `None` if it has none, or the call no video over ICE.
pub fn wanted(info: &Message<'_>, dialog: &Dialog) -> Option<Event> {
    let part = body::find(info, MEDIA_CONTROL)?;
    memmem::find(info.bytes.get(part.content)?, b"picture_fast_update")?;
    let ufrag = dialog.host.get(dialog.host_video?)?.as_deref()?;
    Some(Event::PictureWanted { ufrag: String::from_utf8_lossy(ufrag).into_owned() })
}

/// The content type of the wish (RFC 5168 §8).
const MEDIA_CONTROL: &str = "application/media_control+xml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_is_read_and_written() {
        let mut feedback = Feedback::default();
        for value in ["99 nack", "99 goog-remb", "99 ccm tmmbr", "", "99"] {
            feedback.take(value.as_bytes());
        }
        assert_eq!(feedback, Feedback::default());
        for line in Feedback::BOTH.lines() {
            feedback.take(line.strip_prefix("a=rtcp-fb:").expect("an attribute").as_bytes());
        }
        assert_eq!(feedback, Feedback::BOTH);
        assert_eq!(Feedback::BOTH.without(feedback).lines().count(), 0);
    }
}
