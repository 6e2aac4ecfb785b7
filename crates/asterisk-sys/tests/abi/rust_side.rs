//! Compares bindgen's output with the facts.
//!
//! The generated file asserts the size, alignment and offsets of every struct at compile time, so its numbers hold for
//! the Rust types. This test reads the numbers from that file.

use crate::facts::{Facts, text};
use serde_json::Value;

/// The least number of assertions to find; with fewer, the style of the generated file must have changed.
const AT_LEAST: usize = 300;

pub fn compare(facts: &Facts) -> Vec<String> {
    let assertions: Vec<_> =
        include_str!(concat!(env!("OUT_DIR"), "/bindings.rs")).split("[\"").filter_map(parse).collect();
    assert!(assertions.len() > AT_LEAST, "only {} assertions were understood", assertions.len());
    assertions.iter().filter_map(|assertion| assertion.complaint(facts)).collect()
}

/// An assertion: `Size of ast_frame`, `Alignment of ast_frame` or `Offset of field: ast_frame::ts`, and its number.
struct Assertion<'a> {
    what: &'a str,
    value: u64,
}

impl Assertion<'_> {
    fn complaint(&self, facts: &Facts) -> Option<String> {
        let fact = self.fact(facts)?;
        (fact != self.value).then(|| format!("{}: {} in Rust, {fact} in the facts", self.what, self.value))
    }

    /// The number in the facts; `None` for our own names and for unnamed nested types.
    fn fact(&self, facts: &Facts) -> Option<u64> {
        if let Some(tag) = self.what.strip_prefix("Size of ") {
            facts.layout(tag)?["size"].as_u64()
        } else if let Some(tag) = self.what.strip_prefix("Alignment of ") {
            facts.layout(tag)?["align"].as_u64()
        } else {
            let (tag, field) = self.what.strip_prefix("Offset of field: ")?.split_once("::")?;
            facts.layout(tag)?["fields"].as_array()?.iter().find(|fact| is_named(fact, field))?["offset"].as_u64()
        }
    }
}

/// Whether the fact is about `field`; bindgen appends an underscore to names that are Rust keywords.
fn is_named(fact: &Value, field: &str) -> bool {
    let name = text(&fact["name"]);
    name == field || field.strip_suffix('_') == Some(name)
}

fn parse(piece: &str) -> Option<Assertion<'_>> {
    let (what, rest) = piece.split_once("\"]")?;
    let (_, number) = rest.split_once(" - ")?;
    let digits = number.split_once("usize")?.0;
    Some(Assertion { what, value: digits.parse().ok()? })
}
