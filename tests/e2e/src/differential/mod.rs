//! The originals and our modules under the same streams: what comes out is compared, fact by fact.
//!
//! A [`Stream`] is data. [`compare`] plays it on two Asterisks at the same time, one with the modules that the host came with and
//! one with ours. A run gives [`Facts`], without times, random numbers and ports. A busy machine falsifies a fact now and then: a
//! difference counts if it occurs in each of six runs. `tests/differential` has the streams and the differences that are
//! accepted.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

pub mod accepted;
pub mod facts;
mod host;
mod log;
mod play;
pub mod setting;
pub mod stream;

use accepted::{Difference, Entry};
use facts::Facts;
use host::{Host, Side};
use stream::{Setting, Stream};

use crate::failure::{Failure, Result, ensure};

/// How often a stream is played if the sides differ.
const ATTEMPTS: usize = 6;

/// Plays the streams that `is_chosen` on both sides. Fails with the differences that no entry accepts, and with the entries that are
/// about nothing, if all their streams were played.
pub fn compare(all: &[Stream], is_chosen: impl Fn(&Stream) -> bool, accepted: &[Entry]) -> Result {
    let (streams, others): (Vec<_>, Vec<_>) = all.iter().partition(|stream| is_chosen(stream));
    ensure(!streams.is_empty(), || "no stream is chosen".to_owned())?;
    let mut found = Vec::new();
    for setting in Setting::ALL {
        let here: Vec<_> = streams.iter().copied().filter(|stream| stream.setting == setting).collect();
        if !here.is_empty() {
            found.extend(on(setting, &here, accepted)?);
        }
    }
    let is_about_one_of = |entry: &Entry, streams: &[&Stream]| streams.iter().any(|stream| entry.is_about(stream.name));
    let is_due =
        |entry: &&Entry| !entry.is_by_chance() && is_about_one_of(entry, &streams) && !is_about_one_of(entry, &others);
    let (accepted_ones, others): (Vec<_>, Vec<_>) =
        found.iter().partition(|difference| accepted.iter().any(|entry| entry.accepts(difference)));
    let occurs = |entry: &Entry| accepted_ones.iter().any(|difference| entry.accepts(difference));
    let idle: Vec<_> = accepted.iter().filter(is_due).filter(|entry| !occurs(entry)).collect();
    println!("{} streams: {} accepted differences", streams.len(), accepted_ones.len());
    ensure(others.is_empty() && idle.is_empty(), || {
        let others: String = others.iter().map(|difference| format!("\n{difference}")).collect();
        let idle: String = idle.iter().map(|entry| format!("\n{entry} is accepted and does not occur")).collect();
        others + &idle
    })
}

/// The differences on one configuration.
fn on(setting: Setting, streams: &[&Stream], accepted: &[Entry]) -> Result<Vec<Difference>> {
    let (originals, ours) = both(|side| Host::start(side, setting))?;
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let play_some = || {
        while let Some(stream) = streams.get(next.fetch_add(1, Ordering::Relaxed)) {
            let differences = differences(stream, &originals, &ours, accepted);
            let differences = differences.map_err(|failure| Failure::new(format!("{}: {failure}", stream.name)))?;
            found.lock().unwrap_or_else(PoisonError::into_inner).extend(differences);
        }
        Ok::<_, Failure>(())
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..setting.at_a_time()).map(|_| scope.spawn(play_some)).collect();
        lanes.into_iter().try_for_each(|lane| lane.join().map_err(|_| Failure::new("a lane panicked"))?)
    })?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The differences of a stream that occur every time, or that are accepted.
fn differences(stream: &Stream, originals: &Host, ours: &Host, accepted: &[Entry]) -> Result<Vec<Difference>> {
    let is_accepted = |difference: &Difference| accepted.iter().any(|entry| entry.accepts(difference));
    let mut found: Option<Vec<Difference>> = None;
    for _ in 0..ATTEMPTS {
        let facts = both(|side| {
            let host = if side == Side::Ours { ours } else { originals };
            let failed = |failure: Failure| Facts::from([("failure".to_owned(), failure.to_string())]);
            let facts = play::play(host, stream).unwrap_or_else(failed);
            write(host, stream, &facts)?;
            Ok(facts)
        })?;
        let now = Difference::between(stream.name, &facts.0, &facts.1);
        let lasting = match found {
            Some(before) => before.into_iter().filter(|one| is_accepted(one) || now.contains(one)).collect(),
            None => now,
        };
        let is_over = lasting.iter().all(is_accepted);
        found = Some(lasting);
        if is_over {
            break;
        }
    }
    Ok(found.unwrap_or_default())
}

/// Does the same on both sides at once.
fn both<T: Send>(play: impl Fn(Side) -> Result<T> + Sync) -> Result<(T, T)> {
    thread::scope(|scope| {
        let originals = scope.spawn(|| play(Side::Originals));
        let ours = play(Side::Ours);
        let originals = originals.join().map_err(|_| Failure::new("the side of the originals panicked"))?;
        Ok((originals?, ours?))
    })
}

/// Writes the facts beside the host's log, for reading.
fn write(host: &Host, stream: &Stream, facts: &Facts) -> Result {
    let directory = host.lab().directory().join("facts");
    fs::create_dir_all(&directory)?;
    let text: String = facts.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    Ok(fs::write(directory.join(stream.name), text)?)
}
