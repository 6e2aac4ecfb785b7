//! The list of accepted differences, and the judgement by it.

use std::fmt;

use super::facts::Facts;
use crate::failure::{Failure, Result};
use crate::prefix::Version;

/// A fact that the two sides do not have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The stream.
    pub stream: String,
    /// The fact's name.
    pub fact: String,
    /// The value with the originals, empty if there is none.
    pub original: String,
    /// The value with our modules.
    pub ours: String,
}

/// A difference that has a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    stream: String,
    fact: String,
    original: Option<String>,
    ours: Option<String>,
    /// Hosts by their number; none stands for 11.
    hosts: Vec<String>,
    /// Whether it depends on chance, and so need not occur.
    is_by_chance: bool,
    because: String,
}

impl Difference {
    /// All differences between the facts of a stream.
    pub fn between(stream: &str, original: &Facts, ours: &Facts) -> Vec<Self> {
        let names = original.keys().chain(ours.keys().filter(|name| !original.contains_key(*name)));
        let value = |facts: &Facts, name: &String| facts.get(name).cloned().unwrap_or_default();
        let pairs = names.map(|name| (name, value(original, name), value(ours, name)));
        let (stream, differ) = (stream.to_owned(), pairs.filter(|(_, original, ours)| original != ours));
        differ
            .map(|(fact, original, ours)| Self { stream: stream.clone(), fact: fact.clone(), original, ours })
            .collect()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, fact, original, ours } = self;
        write!(f, "[{stream} {fact}]\noriginal: {original}\nours: {ours}\n")
    }
}

impl Entry {
    /// Parses the list: paragraphs of a line `[stream fact]` and lines `original:`, `ours:`, `on:`, `occurs: by chance` and `because:`. A
    /// `*` stands for anything, `#` begins a comment, and a line that begins with two spaces continues the one before.
    pub fn list(text: &str) -> Result<Vec<Self>> {
        let text = text.replace("\n  ", "\u{1}");
        let mut entries: Vec<Self> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let line = line.replace('\u{1}', "\n  ");
            if let Some(head) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                let (stream, fact) = head.split_once(' ').unwrap_or((head, "*"));
                entries.push(Self { stream: stream.to_owned(), fact: fact.to_owned(), ..Self::default() });
                continue;
            }
            let wrong = || Failure::new(format!("the list of accepted differences has a line {line:?}"));
            let (key, value) = line.split_once(':').ok_or_else(wrong)?;
            let (entry, value) = (entries.last_mut().ok_or_else(wrong)?, value.trim().to_owned());
            match key {
                "original" => entry.original = Some(value),
                "ours" => entry.ours = Some(value),
                "on" => entry.hosts = value.split_whitespace().map(str::to_owned).collect(),
                "occurs" if value == "by chance" => entry.is_by_chance = true,
                "because" => entry.because = value,
                _ => return Err(wrong()),
            }
        }
        match entries.iter().find(|entry| entry.because.is_empty()) {
            Some(entry) => Err(Failure::new(format!("[{} {}] has no reason", entry.stream, entry.fact))),
            None => Ok(entries),
        }
    }

    /// Whether it is about this difference.
    pub fn accepts(&self, difference: &Difference) -> bool {
        let is = |pattern: &Option<String>, value| pattern.as_ref().is_none_or(|pattern| matches(pattern, value));
        matches(&self.stream, &difference.stream)
            && matches(&self.fact, &difference.fact)
            && is(&self.original, &difference.original)
            && is(&self.ours, &difference.ours)
    }

    /// Whether it occurs by chance alone.
    pub fn is_by_chance(&self) -> bool {
        self.is_by_chance
    }

    /// Whether it may occur in this stream.
    pub fn is_about(&self, stream: &str) -> bool {
        matches(&self.stream, stream)
    }

    /// Whether it is about this host.
    pub fn is_on(&self, version: Version) -> bool {
        if self.hosts.is_empty() {
            version == Version::Eleven
        } else {
            self.hosts.iter().any(|host| host == version.number())
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} {}]", self.stream, self.fact)
    }
}

/// Whether `text` is `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| matches(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_judges() {
        let text = "# Why\n[loss-* statistics]\noriginal: lp=1\n  and more\nours: *\nbecause: RFC 3550 §6.4.1\n";
        let entries = Entry::list(text).unwrap();
        let facts = |value: &str| Facts::from([("statistics".to_owned(), value.to_owned())]);
        let differences = Difference::between("loss-one", &facts("lp=1\n  and more"), &facts("lp=2"));
        assert!(entries[0].accepts(&differences[0]));
        assert!(!entries[0].accepts(&Difference { original: "lp=3".to_owned(), ..differences[0].clone() }));
        assert!(Entry::list("[a b]\n").is_err(), "no reason");
        let list = Entry::list("[a b]\noccurs: by chance\nbecause: of chance\n[c d]\nbecause: always\n").unwrap();
        assert_eq!([list[0].is_by_chance(), list[1].is_by_chance()], [true, false]);
        assert!(Entry::list("[a b]\noccurs: now and then\nbecause: of chance\n").is_err());
    }
}
