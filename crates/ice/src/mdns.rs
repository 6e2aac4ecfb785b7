//! Looks up the names that browsers put in place of their addresses (RFC 6762, draft-ietf-mmusic-mdns-ice-candidates).
//!
//! A name is asked for by one-shot queries (RFC 6762 §5.1). The caller sends what [`Lookups::poll_transmit`] writes to the group of
//! multicast DNS, from a port that is not 5353. To that port most responders answer (§6.7), and Chromium to the group. Chromium
//! (tried: 156) reads one question of a query, and answers none that asks for an answer to its port (the QU bit, §5.4), so a query
//! has one question without it.
//!
//! Nothing waits for an answer: ICE goes on with the other candidates, and after three queries the name is forgotten.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};

/// The names that are being looked up. `T` is what the caller wants an address for.
#[derive(Debug)]
pub struct Lookups<T> {
    waiting: Vec<Lookup<T>>,
    known: VecDeque<(String, Vec<IpAddr>)>,
    queries: VecDeque<(String, u16, TYPE)>,
    found: VecDeque<(T, IpAddr)>,
    unanswered: u64,
}

/// Too many names are being looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many names are being looked up")]
pub struct OverLimit;

#[derive(Debug)]
struct Lookup<T> {
    name: String,
    id: u16,
    wanted: Vec<T>,
    since: Instant,
    asked: usize,
}

impl<T> Default for Lookups<T> {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            known: VecDeque::new(),
            queries: VecDeque::new(),
            found: VecDeque::new(),
            unanswered: 0,
        }
    }
}

impl<T: Clone> Lookups<T> {
    /// Looks up `name`, once however many want it. `id` is a random number for the query.
    ///
    /// # Errors
    /// Fails when as many names are being looked up as are allowed.
    pub fn add(&mut self, now: Instant, name: &str, id: u16, wanted: T) -> Result<(), OverLimit> {
        if let Some((_, addresses)) = self.known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            self.found.extend(addresses.iter().map(|address| (wanted.clone(), *address)));
            return Ok(());
        }
        if let Some(lookup) = self.waiting.iter_mut().find(|lookup| lookup.name.eq_ignore_ascii_case(name)) {
            if lookup.wanted.len() >= MAX_WANTED {
                return Err(OverLimit);
            }
            lookup.wanted.push(wanted);
            return Ok(());
        }
        if self.waiting.len() >= MAX_NAMES {
            return Err(OverLimit);
        }
        self.waiting.push(Lookup { name: name.to_owned(), id, wanted: vec![wanted], since: now, asked: 0 });
        Ok(())
    }

    /// Forgets the names that have no answer yet.
    pub fn cancel(&mut self) {
        self.waiting.clear();
        self.queries.clear();
    }

    /// Asks for the names whose time has come, and gives up those that nobody has answered for.
    pub fn handle_timeout(&mut self, now: Instant) {
        for lookup in self.waiting.iter_mut().filter(|lookup| lookup.asked < QUERIES.len() && lookup.due() <= now) {
            lookup.asked += 1;
            self.queries.extend([TYPE::A, TYPE::AAAA].map(|kind| (lookup.name.clone(), lookup.id, kind)));
        }
        let before = self.waiting.len();
        self.waiting.retain(|lookup| {
            let stays = lookup.due() > now;
            if !stays {
                log::debug!("ice: nobody answers for the name {} of a candidate", lookup.name);
            }
            stays
        });
        self.unanswered += (before - self.waiting.len()) as u64;
    }

    /// When to call [`Self::handle_timeout`] next; `None` while nothing is looked up.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.iter().map(Lookup::due).min()
    }

    /// Writes the next query into `buffer`, which needs at most [`MAX_QUERY`] bytes; `None` when there is none.
    pub fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<usize> {
        while let Some((name, id, kind)) = self.queries.pop_front() {
            let query = query(&name, id, kind);
            if let Some((query, room)) = query.and_then(|query| Some((buffer.get_mut(..query.len())?, query))) {
                query.copy_from_slice(&room);
                return Some(room.len());
            }
        }
        None
    }

    /// Takes in a datagram that may be an answer. The caller has checked that it comes from port 5353 of a machine on the
    /// same link (RFC 6762 §11). Returns whether an address was found.
    pub fn handle_answer(&mut self, datagram: &[u8]) -> bool {
        let Ok(packet) = Packet::parse(datagram) else { return false };
        let is_answer = packet.has_flags(PacketFlag::RESPONSE) && packet.rcode() == RCODE::NoError;
        if !is_answer || self.waiting.is_empty() {
            return false;
        }
        let before = self.found.len();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|lookup| {
            let addresses = addresses(&packet, lookup);
            self.found.extend(
                addresses.iter().flat_map(|address| lookup.wanted.iter().map(|wanted| (wanted.clone(), *address))),
            );
            let is_open = addresses.is_empty();
            if !is_open {
                self.queries.retain(|(name, ..)| *name != lookup.name);
                self.remember(&lookup.name, addresses);
            }
            is_open
        });
        self.waiting = waiting;
        self.found.len() > before
    }

    /// Returns the next address that was found, and what it is for.
    pub fn poll_found(&mut self) -> Option<(T, IpAddr)> {
        self.found.pop_front()
    }

    /// Returns whether a name has no answer yet.
    pub fn is_busy(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns the number of names that nobody has answered for.
    pub fn unanswered(&self) -> u64 {
        self.unanswered
    }

    fn remember(&mut self, name: &str, addresses: Vec<IpAddr>) {
        if self.known.len() >= MAX_NAMES {
            self.known.pop_front();
        }
        self.known.push_back((name.to_owned(), addresses));
    }
}

impl<T> Lookup<T> {
    /// Returns when the next query is due, or after the last the end of the lookup.
    fn due(&self) -> Instant {
        self.since + QUERIES.get(self.asked).copied().unwrap_or(GIVE_UP)
    }
}

/// Writes a query with one question.
fn query(name: &str, id: u16, kind: TYPE) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    let name = Name::new(name).ok()?;
    packet.questions.push(Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().ok()
}

/// Returns the addresses in `packet` that belong to the name. An answer to the group has no id (§18.1), one to our port repeats
/// ours (§6.7).
fn addresses<T>(packet: &Packet<'_>, lookup: &Lookup<T>) -> Vec<IpAddr> {
    if packet.id() != 0 && packet.id() != lookup.id {
        return Vec::new();
    }
    let records = packet.answers.iter().chain(&packet.additional_records);
    let of_the_name = records.filter(|record| {
        // A lifetime of zero takes the record back (§10.1).
        record.class == CLASS::IN && record.ttl > 0 && record.name.to_string().eq_ignore_ascii_case(&lookup.name)
    });
    let addresses = of_the_name.filter_map(|record| match &record.rdata {
        RData::A(record) => Some(Ipv4Addr::from(record.address).into()),
        RData::AAAA(record) => Some(Ipv6Addr::from(record.address).into()),
        _ => None,
    });
    addresses.take(MAX_ADDRESSES).collect()
}

/// The most bytes of a query: the header, a name of two labels and the question (RFC 1035 §4.1).
pub const MAX_QUERY: usize = 128;

/// The most names that are looked up, and that are remembered, in one session.
const MAX_NAMES: usize = 8;

/// The most candidates that wait for one name.
const MAX_WANTED: usize = 4;

/// The most addresses of one name that are used.
const MAX_ADDRESSES: usize = 4;

/// When a name is asked for, counted from the beginning.
const QUERIES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];

/// When a name without an answer is forgotten.
const GIVE_UP: Duration = Duration::from_secs(5);

#[cfg(test)]
#[path = "mdns_tests.rs"]
mod tests;
