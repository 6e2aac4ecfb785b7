//! Looks up the addresses of a name in DNS (RFC 1035, RFC 3596), as a stub resolver does that never blocks a thread.
//!
//! Both kinds of addresses are asked for at once, of one server after the other, twice around. An answer counts if it comes from the
//! server that was asked, repeats the random id and the question, and is no error. The caller knows the servers, reads `/etc/hosts`
//! and picks a fresh port for each lookup.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};

use crate::config::Seed;
use crate::random::Random;

/// The lookup of one name.
#[derive(Debug)]
pub struct Lookup {
    name: String,
    servers: Vec<SocketAddr>,
    /// Servers asked before this one, repetitions included.
    attempt: usize,
    random: Random,
    questions: [Asked; 2],
    deadline: Instant,
    result: Option<Result<Found, NotFound>>,
    is_over: bool,
}

#[derive(Debug)]
struct Asked {
    kind: TYPE,
    id: u16,
    owes_query: bool,
    answer: Option<Answer>,
}

#[derive(Debug, Default)]
struct Answer {
    addresses: Vec<IpAddr>,
    lifetime: Option<u32>,
}

/// The addresses of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The addresses, IPv4 first, in the order of the answers. Not empty.
    pub addresses: Vec<IpAddr>,
    /// How long they may be used: the least lifetime of the records, but at least 30 s and at most an hour.
    pub lifetime: Duration,
}

/// Why a name has no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotFound {
    /// A server says that the name does not exist, or has no address.
    #[error("there is no such name, or it has no address")]
    NoSuchName,
    /// No server has given a usable answer.
    #[error("no name server gives an answer")]
    NoAnswer,
}

impl Lookup {
    /// Starts to look up `name` at `servers`, of which the first three are asked. `seed` is random, and used for nothing else.
    pub fn new(now: Instant, name: &str, servers: &[SocketAddr], seed: [u8; 32]) -> Self {
        let servers: Vec<_> = servers.iter().take(MOST_SERVERS).copied().collect();
        let asked = |kind| Asked { kind, id: 0, owes_query: false, answer: None };
        let mut lookup = Self {
            name: name.trim_end_matches('.').to_owned(),
            servers,
            attempt: 0,
            random: Random::from_seed(&Seed(seed)),
            questions: [asked(TYPE::A), asked(TYPE::AAAA)],
            deadline: now,
            result: None,
            is_over: false,
        };
        lookup.ask(now);
        lookup
    }

    /// Takes in a datagram. Returns whether it was an answer.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        if self.is_over || self.server() != Some(from) {
            return false;
        }
        let Ok(packet) = Packet::parse(datagram) else { return false };
        if !packet.has_flags(PacketFlag::RESPONSE) {
            return false;
        }
        let name = &self.name;
        let Some(asked) = self.questions.iter_mut().find(|asked| asked.is_answered_by(&packet, name)) else {
            return false;
        };
        match packet.rcode() {
            RCODE::NoError => asked.answer = Some(Answer::of(&packet, name, asked.kind)),
            RCODE::NameError => asked.answer = Some(Answer::default()),
            _ => {
                self.try_next(now);
                return true;
            }
        }
        if self.questions.iter().all(|asked| asked.answer.is_some()) {
            self.finish();
        }
        true
    }

    /// Takes in that the server could not be asked: the system reports an error.
    pub fn handle_unreachable(&mut self, now: Instant) {
        if !self.is_over {
            self.try_next(now);
        }
    }

    /// Turns to the next server when the one that was asked has not answered.
    pub fn handle_timeout(&mut self, now: Instant) {
        if !self.is_over && self.deadline <= now {
            self.try_next(now);
        }
    }

    /// Returns when [`Self::handle_timeout`] is due next; `None` once the lookup is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.is_over).then_some(self.deadline)
    }

    /// Writes the next query into `buffer`, which needs at most [`MAX_QUERY`] bytes; returns its length and the server.
    pub fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let server = self.server()?;
        let asked = self.questions.iter_mut().find(|asked| asked.owes_query)?;
        asked.owes_query = false;
        let mut packet = Packet::new_query(asked.id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = Name::new(&self.name).ok()?;
        packet.questions.push(Question::new(name, QTYPE::TYPE(asked.kind), QCLASS::CLASS(CLASS::IN), false));
        let query = packet.build_bytes_vec().ok()?;
        buffer.get_mut(..query.len())?.copy_from_slice(&query);
        Some((query.len(), server))
    }

    /// Returns the result, once.
    pub fn poll_result(&mut self) -> Option<Result<Found, NotFound>> {
        self.result.take()
    }

    fn server(&self) -> Option<SocketAddr> {
        let server = self.servers.get(self.attempt.checked_rem(self.servers.len())?);
        server.copied().filter(|_| !self.is_over)
    }

    fn ask(&mut self, now: Instant) {
        if self.attempt >= self.servers.len() * ROUNDS || Name::new(&self.name).is_err() {
            return self.end(Err(NotFound::NoAnswer));
        }
        for asked in self.questions.iter_mut().filter(|asked| asked.answer.is_none()) {
            asked.id = self.random.tie_breaker() as u16;
            asked.owes_query = true;
        }
        self.deadline = now + PATIENCE;
    }

    /// Ends the lookup if one of the questions has addresses, or else asks the next server.
    fn try_next(&mut self, now: Instant) {
        if self.addresses().next().is_some() {
            return self.finish();
        }
        self.attempt += 1;
        self.ask(now);
    }

    fn finish(&mut self) {
        let addresses: Vec<_> = self.addresses().take(MOST_ADDRESSES).collect();
        if addresses.is_empty() {
            return self.end(Err(NotFound::NoSuchName));
        }
        let lifetimes = self.questions.iter().filter_map(|asked| asked.answer.as_ref()?.lifetime);
        let lifetime = Duration::from_secs(lifetimes.min().unwrap_or(0).into());
        self.end(Ok(Found { addresses, lifetime: lifetime.clamp(SHORTEST_LIFETIME, LONGEST_LIFETIME) }));
    }

    fn end(&mut self, result: Result<Found, NotFound>) {
        self.result = Some(result);
        self.is_over = true;
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let answers = self.questions.iter().filter_map(|asked| asked.answer.as_ref());
        answers.flat_map(|answer| answer.addresses.iter().copied())
    }
}

impl Asked {
    fn is_answered_by(&self, packet: &Packet<'_>, name: &str) -> bool {
        let repeats = |question: &Question<'_>| {
            question.qtype == QTYPE::TYPE(self.kind) && question.qname.to_string().eq_ignore_ascii_case(name)
        };
        self.answer.is_none() && packet.id() == self.id && packet.questions.first().is_some_and(repeats)
    }
}

impl Answer {
    /// Collects the addresses of `name` and of the names that it is an alias of (RFC 1034 §3.6.2).
    fn of(packet: &Packet<'_>, name: &str, kind: TYPE) -> Self {
        let mut answer = Self::default();
        let mut name = name.to_owned();
        for _ in 0..MOST_ALIASES {
            let mut alias = None;
            for record in &packet.answers {
                if record.class != CLASS::IN || !record.name.to_string().eq_ignore_ascii_case(&name) {
                    continue;
                }
                match (&record.rdata, kind) {
                    (RData::A(record), TYPE::A) => answer.addresses.push(Ipv4Addr::from(record.address).into()),
                    (RData::AAAA(record), TYPE::AAAA) => answer.addresses.push(Ipv6Addr::from(record.address).into()),
                    (RData::CNAME(record), _) => alias = Some(record.0.to_string()),
                    _ => continue,
                }
                answer.lifetime = Some(answer.lifetime.map_or(record.ttl, |known| known.min(record.ttl)));
            }
            match alias.filter(|_| answer.addresses.is_empty()) {
                Some(alias) => name = alias,
                None => break,
            }
        }
        answer.addresses.truncate(MOST_ADDRESSES);
        answer
    }
}

/// The most bytes of a query: the header, the longest name and the question (RFC 1035 §2.3.4, §4.1).
pub const MAX_QUERY: usize = 12 + 255 + 4;

/// As many as the system's own resolver asks.
const MOST_SERVERS: usize = 3;

/// How often each server is asked.
const ROUNDS: usize = 2;

/// Time that a server has to answer both questions.
const PATIENCE: Duration = Duration::from_secs(3);

/// The most addresses of one name that are used.
const MOST_ADDRESSES: usize = 8;

/// The longest chain of aliases that is followed.
const MOST_ALIASES: usize = 8;

const SHORTEST_LIFETIME: Duration = Duration::from_secs(30);
const LONGEST_LIFETIME: Duration = Duration::from_secs(3600);

#[cfg(test)]
#[path = "dns_tests.rs"]
mod tests;
