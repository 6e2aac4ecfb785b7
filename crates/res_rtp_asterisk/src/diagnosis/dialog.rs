//! The identifiers of a SIP dialog (RFC 3261 §12), which only its two ends know: whoever has all three may read the report of the call.

use std::hint::black_box;

/// The Call-ID and the tags of a call, as its first INVITE has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dialog {
    call_id: String,
    from_tag: String,
    /// The tags that the called end has answered with. A challenge may have another one than the answer after it.
    to_tags: Vec<String>,
}

/// Identifiers that a request names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Named<'a> {
    /// The Call-ID.
    pub call_id: &'a str,
    /// The tag of the calling end.
    pub from_tag: &'a str,
    /// The tag of the called end; empty if it has answered with none.
    pub to_tag: &'a str,
}

impl Dialog {
    /// Begins with the INVITE that has this Call-ID and this tag in `From`.
    pub fn new(call_id: &str, from_tag: &str) -> Self {
        Self { call_id: call_id.to_owned(), from_tag: from_tag.to_owned(), to_tags: Vec::new() }
    }

    /// Notes the tags of a response. Those of a request in the other direction are not noted.
    pub fn note(&mut self, from_tag: &str, to_tag: &str) {
        let is_new = !to_tag.is_empty() && self.to_tags.iter().all(|known| known != to_tag);
        if from_tag == self.from_tag && is_new && self.to_tags.len() < MOST_TAGS && to_tag.len() <= LONGEST_TAG {
            self.to_tags.push(to_tag.to_owned());
        }
    }

    /// Returns whether `named` has all identifiers of this dialog. Takes the same time whichever of them are wrong, and for each of
    /// their characters. A dialog without a tag of the calling end is nobody's.
    pub fn is(&self, named: Named<'_>) -> bool {
        let is_unanswered = self.to_tags.is_empty() & named.to_tag.is_empty();
        let is_to = self.to_tags.iter().fold(is_unanswered, |is_it, tag| is_it | is_same(tag, named.to_tag));
        let is_from = is_same(&self.from_tag, named.from_tag) & !self.from_tag.is_empty();
        is_same(&self.call_id, named.call_id) & is_from & is_to
    }
}

/// Compares in a time that depends on the lengths alone.
fn is_same(secret: &str, named: &str) -> bool {
    let differences = secret.bytes().zip(named.bytes()).fold(0, |found, (one, other)| black_box(found | (one ^ other)));
    (secret.len() == named.len()) & (differences == 0)
}

/// Most tags of the called end that are kept.
const MOST_TAGS: usize = 4;

/// The longest tag that is kept, in octets.
const LONGEST_TAG: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn named<'a>(call_id: &'a str, from_tag: &'a str, to_tag: &'a str) -> Named<'a> {
        Named { call_id, from_tag, to_tag }
    }

    #[test]
    fn all_three_are_needed_to_read_a_report() {
        let mut dialog = Dialog::new("id", "from");
        assert!(dialog.is(named("id", "from", "")), "nobody has answered");
        dialog.note("from", "challenge");
        dialog.note("from", "answer");
        dialog.note("answer", "from");
        for right in ["challenge", "answer"] {
            assert!(dialog.is(named("id", "from", right)));
        }
        for (call_id, from_tag, to_tag) in [
            ("", "", ""),
            ("id", "from", ""),
            ("id", "from", "from"),
            ("id", "", "answer"),
            ("id", "answer", "from"),
            ("i", "from", "answer"),
            ("id", "from", "answe"),
            ("id", "from", "answers"),
            ("Id", "from", "answer"),
        ] {
            assert!(!dialog.is(named(call_id, from_tag, to_tag)), "{call_id} {from_tag} {to_tag}");
        }
        assert!(!Dialog::new("id", "").is(named("id", "", "")), "there is no secret");
    }

    #[test]
    fn a_peer_with_many_tags_takes_little_memory() {
        let mut dialog = Dialog::new("id", "from");
        for number in 0..100 {
            dialog.note("from", &number.to_string());
        }
        dialog.note("from", &"9".repeat(LONGEST_TAG + 1));
        assert_eq!(dialog.to_tags.len(), MOST_TAGS);
    }
}
