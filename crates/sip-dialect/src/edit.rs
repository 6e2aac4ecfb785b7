//! Changes to a message: which bytes become which. Everything else is copied.

use std::borrow::Cow;
use std::ops::Range;

use crate::message::Message;

/// The changes to one message, in any order.
#[derive(Debug, Default)]
pub struct Edits(Vec<Edit>);

#[derive(Debug)]
struct Edit {
    range: Range<usize>,
    text: Cow<'static, [u8]>,
}

impl Edits {
    /// Replaces a range.
    pub fn replace(&mut self, range: Range<usize>, text: impl Into<Vec<u8>>) {
        self.0.push(Edit { range, text: Cow::Owned(text.into()) });
    }

    /// Removes a range.
    pub fn cut(&mut self, range: Range<usize>) {
        self.0.push(Edit { range, text: Cow::Borrowed(&[]) });
    }

    /// Adds a text at a position, behind what was added there before.
    pub fn insert(&mut self, at: usize, text: impl Into<Vec<u8>>) {
        self.replace(at..at, text);
    }

    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changed message. `Content-Length` (RFC 3261 §20.14) says how long its body has become; `part` is the value of
    /// the same header of a body part, if the description is one (RFC 2046 §5.1).
    pub fn apply(mut self, message: &Message<'_>, part: Option<(Range<usize>, usize)>) -> Vec<u8> {
        let grown = self.growth(&message.body);
        if let Some((value, len)) = part {
            let value_len = value.len();
            let text = len.saturating_add_signed(grown).to_string();
            let more = text.len().cast_signed() - value_len.cast_signed();
            self.replace(value, text);
            self.mend_length(message, grown + more);
        } else {
            self.mend_length(message, grown);
        }
        self.write(message.bytes)
    }

    fn mend_length(&mut self, message: &Message<'_>, grown: isize) {
        if let Some(value) = message.content_length.clone().filter(|_| grown != 0) {
            self.replace(value, message.body.len().saturating_add_signed(grown).to_string());
        }
    }

    /// The bytes by which the changes in a range make it longer.
    fn growth(&self, within: &Range<usize>) -> isize {
        let inside = self.0.iter().filter(|edit| edit.range.start >= within.start);
        inside.map(|edit| edit.text.len().cast_signed() - edit.range.len().cast_signed()).sum()
    }

    fn write(mut self, bytes: &[u8]) -> Vec<u8> {
        // An addition at a position stands before a cut that begins there.
        self.0.sort_by_key(|edit| (edit.range.start, edit.range.end));
        let added: usize = self.0.iter().map(|edit| edit.text.len()).sum();
        let (mut written, mut at) = (Vec::with_capacity(bytes.len() + added), 0);
        for edit in &self.0 {
            debug_assert!(edit.range.start >= at, "two rules change the same bytes");
            written.extend_from_slice(bytes.get(at..edit.range.start).unwrap_or_default());
            written.extend_from_slice(&edit.text);
            at = at.max(edit.range.end);
        }
        written.extend_from_slice(bytes.get(at..).unwrap_or_default());
        written
    }
}
