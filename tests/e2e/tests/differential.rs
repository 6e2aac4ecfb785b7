//! The originals and our modules under the same streams, with a real Asterisk. `tests/differential` has the streams and the list of
//! accepted differences.
//!
//! `DIFFERENTIAL_ONLY` names the streams to play, as in `loss` or `text-*`.

use e2e::differential::accepted::Entry;
use e2e::differential::compare;
use e2e::failure::Result;
use e2e::lab;
use e2e::prefix::Version;

#[path = "../../differential/streams/mod.rs"]
mod streams;

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn the_originals_and_ours_do_the_same() -> Result {
    let version = lab::installed()?.version();
    let mut streams = streams::all();
    streams.retain(|stream| version == Version::Eleven || stream.is_reduced);
    let mut accepted = Entry::list(include_str!("../../differential/accepted.txt"))?;
    accepted.retain(|entry| entry.is_on(version));
    let only = std::env::var("DIFFERENTIAL_ONLY").unwrap_or_default();
    compare(&streams, |stream| stream.name.starts_with(only.trim_end_matches('*')), &accepted)
}
