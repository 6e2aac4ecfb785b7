//! What bindgen made of the headers.
//!
//! The generated file asserts the size, alignment and offsets of every struct at compile time, so the numbers in it are
//! true of the Rust types. Here they are read back and compared with the facts.

use crate::facts::{Facts, text};
use serde_json::Value;

/// Read back too few and the generated file has changed its style.
const AT_LEAST: usize = 300;

pub fn compare(facts: &Facts) -> Vec<String> {
    let assertions: Vec<_> =
        include_str!(concat!(env!("OUT_DIR"), "/bindings.rs")).split("[\"").filter_map(parse).collect();
    assert!(assertions.len() > AT_LEAST, "only {} assertions were understood", assertions.len());
    assertions.iter().filter_map(|assertion| assertion.complaint(facts)).collect()
}

/// `Size of ast_frame`, `Alignment of ast_frame`, `Offset of field: ast_frame::ts`, and the number behind it.
struct Assertion<'a> {
    what: &'a str,
    value: u64,
}

impl Assertion<'_> {
    fn complaint(&self, facts: &Facts) -> Option<String> {
        let fact = self.fact(facts)?;
        (fact != self.value).then(|| format!("{}: {} in Rust, {fact} in the facts", self.what, self.value))
    }

    /// `None` for what is ours or an unnamed nested type.
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

/// bindgen appends an underscore to what is a keyword in Rust.
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
