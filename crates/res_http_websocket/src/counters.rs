//! What happened since the module was loaded, and what happened in one session.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use asterisk::lock;
use websocket::Ended;
use websocket::handshake::Refusal;

/// Since the module was loaded.
#[derive(Default)]
pub struct Counters {
    accepted: AtomicU64,
    /// Sessions that C refers to, open or not.
    referred: AtomicUsize,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    ended: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counters {
    pub fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub fn referred(&self) {
        self.referred.fetch_add(1, Ordering::Relaxed);
    }

    pub fn released(&self) {
        self.referred.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many of the sessions that C refers to have ended, if so many have not.
    pub fn remembered(&self, open: usize) -> usize {
        self.referred.load(Ordering::Relaxed).saturating_sub(open)
    }

    pub fn refused(&self, refusal: Refusal) {
        *lock(&self.refused).entry(refusal.name()).or_default() += 1;
    }

    /// Nobody was there for the answer.
    pub fn not_begun(&self) {
        *lock(&self.refused).entry("hung up").or_default() += 1;
    }

    pub fn ended(&self, ended: &Ended) {
        *lock(&self.ended).entry(ended.name()).or_default() += 1;
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} accepted", self.accepted.load(Ordering::Relaxed))?;
        write_reasons(f, "refused", &lock(&self.refused))?;
        write_reasons(f, "ended", &lock(&self.ended))
    }
}

fn write_reasons(f: &mut fmt::Formatter<'_>, what: &str, reasons: &BTreeMap<&'static str, u64>) -> fmt::Result {
    write!(f, "; {} {what}", reasons.values().sum::<u64>())?;
    for (index, (reason, count)) in reasons.iter().enumerate() {
        write!(f, "{}{reason}: {count}", if index == 0 { " (" } else { ", " })?;
    }
    if reasons.is_empty() { Ok(()) } else { f.write_str(")") }
}

/// What one session has carried.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    pub began: Instant,
    /// When the peer last sent something.
    pub heard: Instant,
    pub messages_in: u64,
    pub bytes_in: u64,
    pub messages_out: u64,
    pub bytes_out: u64,
}

impl Traffic {
    pub fn new(now: Instant) -> Self {
        Self { began: now, heard: now, messages_in: 0, bytes_in: 0, messages_out: 0, bytes_out: 0 }
    }

    pub fn count_in(&mut self, len: usize) {
        self.messages_in += 1;
        self.bytes_in += len as u64;
    }

    pub fn count_out(&mut self, len: usize) {
        self.messages_out += 1;
        self.bytes_out += len as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_reasons() {
        let counters = Counters::default();
        assert_eq!(counters.to_string(), "0 accepted; 0 refused; 0 ended");
        counters.accepted();
        counters.refused(Refusal::Origin);
        counters.refused(Refusal::Origin);
        counters.refused(Refusal::Key);
        counters.not_begun();
        counters.ended(&Ended::PeerSilent);
        assert_eq!(counters.to_string(), "1 accepted; 4 refused (hung up: 1, key: 1, origin: 2); 1 ended (silent: 1)");
    }
}
