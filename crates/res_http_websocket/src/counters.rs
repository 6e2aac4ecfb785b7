//! Counters: of all sessions since the module was loaded, and of one session's traffic.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use asterisk::lock;
use sip_dialect::{Rule, Rules};
use websocket::Ended;
use websocket::handshake::Refusal;

/// Counts sessions since the module was loaded.
#[derive(Default)]
pub struct Counters {
    accepted: AtomicU64,
    /// Those among them whose `Connection` header did not ask for the upgrade.
    without_connection: AtomicU64,
    /// Keepalives of CRLF that were answered.
    keepalives: AtomicU64,
    /// INVITEs that were answered for clients whose session had ended.
    answered: AtomicU64,
    /// Sessions that C holds references to, open or not.
    referred: AtomicUsize,
    /// By reason.
    refused: Mutex<BTreeMap<&'static str, u64>>,
    /// By reason.
    ended: Mutex<BTreeMap<&'static str, u64>>,
    /// SIP messages that a rule has changed or answered, by rule.
    mended: [AtomicU64; Rule::ALL.len()],
    /// SIP messages that could not be read, and passed unchanged.
    unreadable: AtomicU64,
    /// Traffic of the sessions that have ended.
    past: Mutex<Sums>,
    /// The largest sums that were told.
    told: Mutex<Sums>,
}

impl Counters {
    /// Counts a session that has begun.
    pub fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an accepted request whose `Connection` header did not ask for the upgrade.
    pub fn lacked_connection(&self) {
        self.without_connection.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answered keepalive.
    pub fn kept_alive(&self) {
        self.keepalives.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an INVITE that was answered for a client whose session had ended.
    pub fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a session that C holds references to from now on.
    pub fn referred(&self) {
        self.referred.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes back [`Self::referred`]: C has released its last reference.
    pub fn released(&self) {
        self.referred.fetch_sub(1, Ordering::Relaxed);
    }

    /// The number of ended sessions that C still holds references to, given the number of open ones.
    pub fn remembered(&self, open: usize) -> usize {
        self.referred.load(Ordering::Relaxed).saturating_sub(open)
    }

    /// Counts a refused request.
    pub fn refused(&self, refusal: Refusal) {
        *lock(&self.refused).entry(refusal.name()).or_default() += 1;
    }

    /// Counts a client that hung up before the answer to its request got through.
    pub fn not_begun(&self) {
        *lock(&self.refused).entry("hung up").or_default() += 1;
    }

    /// Counts a SIP message that these rules have changed or answered.
    pub fn mended(&self, rules: Rules) {
        let counts = Rule::ALL.iter().zip(&self.mended);
        counts.filter(|(rule, _)| rules.has(**rule)).for_each(|(_, count)| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// Counts a SIP message that could not be read.
    pub fn unreadable(&self) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
    }

    /// SIP messages that were mended, by the name of the rule, and those that could not be read.
    pub fn sip(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let mended = Rule::ALL.iter().zip(&self.mended).map(|(rule, count)| (rule.name(), count));
        let all = mended.chain([("unreadable", &self.unreadable)]);
        all.map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }

    /// Counts a session that has ended, and its traffic.
    pub fn ended(&self, ended: &Ended, traffic: &Traffic) {
        *lock(&self.ended).entry(ended.name()).or_default() += 1;
        lock(&self.past).add(traffic);
    }

    /// Sessions that have begun.
    pub fn all_accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Refused requests by reason.
    pub fn all_refused(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.refused).clone()
    }

    /// Ended sessions by reason.
    pub fn all_ended(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.ended).clone()
    }

    /// INVITEs that were answered for clients whose session had ended.
    pub fn all_answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Keepalives of CRLF that were answered.
    pub fn all_kept_alive(&self) -> u64 {
        self.keepalives.load(Ordering::Relaxed)
    }

    /// Traffic of the sessions that have ended. Read it before that of the others: then a session that ends meanwhile is missed, and
    /// never counted twice.
    pub fn past(&self) -> Sums {
        *lock(&self.past)
    }

    /// Returns `now`, or what was told before where that was more: a session that is ending may be missed.
    pub fn rise(&self, now: Sums) -> Sums {
        let mut told = lock(&self.told);
        told.0.iter_mut().zip(now.0).for_each(|(told, now)| *told = (*told).max(now));
        *told
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} accepted", self.accepted.load(Ordering::Relaxed))?;
        match self.without_connection.load(Ordering::Relaxed) {
            0 => {}
            some => write!(f, " ({some} without Connection: Upgrade)")?,
        }
        write_reasons(f, "refused", &lock(&self.refused))?;
        write_reasons(f, "ended", &lock(&self.ended))?;
        for (count, what) in [(&self.keepalives, "keepalives answered"), (&self.answered, "INVITEs failed")] {
            match count.load(Ordering::Relaxed) {
                0 => {}
                some => write!(f, "; {some} {what}")?,
            }
        }
        Ok(())
    }
}

fn write_reasons(f: &mut fmt::Formatter<'_>, what: &str, reasons: &BTreeMap<&'static str, u64>) -> fmt::Result {
    write!(f, "; {} {what}", reasons.values().sum::<u64>())?;
    for (index, (reason, count)) in reasons.iter().enumerate() {
        write!(f, "{}{reason}: {count}", if index == 0 { " (" } else { ", " })?;
    }
    if reasons.is_empty() { Ok(()) } else { f.write_str(")") }
}

/// Sums of traffic: messages from clients and to them, then the bytes of their payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums(pub [u64; 4]);

impl Sums {
    /// Adds the traffic of a session.
    pub fn add(&mut self, of: &Traffic) {
        let more = [of.messages_in, of.messages_out, of.bytes_in, of.bytes_out];
        self.0.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    }
}

/// Traffic of one session.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    pub began: Instant,
    /// When the client last sent something.
    pub heard: Instant,
    /// Messages from the client.
    pub messages_in: u64,
    /// Bytes of their payload.
    pub bytes_in: u64,
    /// Keepalives of CRLF among them, and answers to such.
    pub keepalives: u64,
    /// Messages to the client.
    pub messages_out: u64,
    /// Bytes of their payload.
    pub bytes_out: u64,
}

impl Traffic {
    pub fn new(now: Instant) -> Self {
        Self { began: now, heard: now, messages_in: 0, bytes_in: 0, keepalives: 0, messages_out: 0, bytes_out: 0 }
    }

    /// Counts a message from the client; `len` is its payload in bytes.
    pub fn count_in(&mut self, len: usize) {
        self.messages_in += 1;
        self.bytes_in += len as u64;
    }

    /// Counts a message to the client; `len` is its payload in bytes.
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
        counters.ended(&Ended::PeerSilent, &Traffic { messages_in: 3, ..Traffic::new(Instant::now()) });
        assert_eq!(counters.past(), Sums([3, 0, 0, 0]));
        counters.lacked_connection();
        (0..2).for_each(|_| counters.kept_alive());
        counters.answered();
        assert_eq!(
            counters.to_string(),
            "1 accepted (1 without Connection: Upgrade); 4 refused (hung up: 1, key: 1, origin: 2); 1 ended (silent: 1); \
             2 keepalives answered; 1 INVITEs failed"
        );
    }
}
