//! The events of one session or call in bounded memory.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Event;

/// Events with their times. The first half of the room keeps how the call was set up, the second half the latest events.
#[derive(Debug, Clone)]
pub struct Timeline {
    began: Instant,
    /// In the order of time until full; then the second half is a ring.
    entries: Vec<Entry>,
    /// The place of the next entry in the ring.
    next: usize,
    left_out: u32,
    /// The changes of codec so far.
    changes: u8,
    /// Addresses, which entries name by their place.
    addresses: Vec<SocketAddr>,
}

/// One event of a timeline.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Milliseconds since the timeline began.
    at: u32,
    event: Event,
    from: u8,
    to: u8,
}

/// One event, to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// When it happened.
    pub at: Instant,
    /// The event.
    pub event: Event,
    /// Our address, if it has to do with the event.
    pub from: Option<SocketAddr>,
    /// The peer's address, if it has to do with the event.
    pub to: Option<SocketAddr>,
}

/// Most events that are kept.
const MOST_ENTRIES: usize = 176;

/// Most addresses that are kept. Later ones are left out of their events.
const MOST_ADDRESSES: usize = 40;

/// Most changes of codec that are kept: a peer that changes with each packet would push out everything else.
const MOST_CHANGES: u8 = 32;

/// No address.
const NONE: u8 = u8::MAX;

/// The most memory that a timeline takes, in octets.
pub const MOST_MEMORY: usize = 4096;

const _: () = assert!(
    size_of::<Timeline>() + MOST_ENTRIES * size_of::<Entry>() + MOST_ADDRESSES * size_of::<SocketAddr>() <= MOST_MEMORY
);

impl Timeline {
    /// Creates an empty timeline, which takes no memory of its own yet.
    pub fn new(began: Instant) -> Self {
        Self { began, entries: Vec::new(), next: MOST_ENTRIES / 2, left_out: 0, changes: 0, addresses: Vec::new() }
    }

    /// Returns when the timeline began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Notes an event, with our address and the peer's if they have to do with it. A report takes the place of the report before it
    /// if nothing happened in between. After some changes of codec, later ones are left out.
    pub fn note(&mut self, now: Instant, event: Event, from: Option<SocketAddr>, to: Option<SocketAddr>) {
        let at = u32::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u32::MAX);
        let entry = Entry { at, event, from: self.place_of(from), to: self.place_of(to) };
        if let (Event::Report { .. }, Some(latest)) = (event, self.latest_mut())
            && matches!(latest.event, Event::Report { .. })
        {
            *latest = entry;
            return;
        }
        if matches!(event, Event::ReceivesNow(_) | Event::SendsNow(_)) {
            if self.changes == MOST_CHANGES {
                return;
            }
            self.changes += 1;
        }
        if self.entries.len() < MOST_ENTRIES {
            self.make_room();
            return self.entries.push(entry);
        }
        if let Some(place) = self.entries.get_mut(self.next) {
            *place = entry;
        }
        self.left_out += 1;
        self.next = if self.next + 1 == MOST_ENTRIES { MOST_ENTRIES / 2 } else { self.next + 1 };
    }

    /// Notes an event that has to do with no address.
    pub fn note_here(&mut self, now: Instant, event: Event) {
        self.note(now, event, None, None);
    }

    /// Returns the events in the order of time.
    pub fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        let half = MOST_ENTRIES / 2;
        let (first, ring) = self.entries.split_at(half.min(self.entries.len()));
        let (late, early) = ring.split_at(if self.left_out > 0 { self.next - half } else { 0 });
        first.iter().chain(early).chain(late).map(|entry| self.line(entry))
    }

    /// Returns the number of events between the first and the latest ones that were left out.
    pub fn left_out(&self) -> u32 {
        self.left_out
    }

    /// Returns the time of the first event that `is_it`.
    pub fn first(&self, is_it: impl Fn(Event) -> bool) -> Option<Instant> {
        self.lines().find(|line| is_it(line.event)).map(|line| line.at)
    }

    /// Returns whether an event is there that `is_it`.
    pub fn has(&self, is_it: impl Fn(Event) -> bool) -> bool {
        self.entries.iter().any(|entry| is_it(entry.event))
    }

    /// Returns the memory in octets, what is allocated included.
    pub fn memory(&self) -> usize {
        size_of::<Self>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.addresses.capacity() * size_of::<SocketAddr>()
    }

    /// Grows by little: most calls have a few dozen events.
    fn make_room(&mut self) {
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(16.min(MOST_ENTRIES - self.entries.len()));
        }
    }

    fn latest_mut(&mut self) -> Option<&mut Entry> {
        let place = match self.left_out {
            0 => self.entries.len().checked_sub(1)?,
            _ if self.next == MOST_ENTRIES / 2 => MOST_ENTRIES - 1,
            _ => self.next - 1,
        };
        self.entries.get_mut(place)
    }

    fn place_of(&mut self, address: Option<SocketAddr>) -> u8 {
        let Some(address) = address else { return NONE };
        let known = self.addresses.iter().position(|known| *known == address);
        let place = known.or_else(|| {
            (self.addresses.len() < MOST_ADDRESSES).then(|| {
                if self.addresses.len() == self.addresses.capacity() {
                    self.addresses.reserve_exact(4);
                }
                self.addresses.push(address);
                self.addresses.len() - 1
            })
        });
        place.and_then(|place| u8::try_from(place).ok()).unwrap_or(NONE)
    }

    fn line(&self, entry: &Entry) -> Line {
        let address = |place: u8| self.addresses.get(usize::from(place)).copied();
        Line {
            at: self.began + Duration::from_millis(entry.at.into()),
            event: entry.event,
            from: address(entry.from),
            to: address(entry.to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Option<SocketAddr> {
        Some(SocketAddr::from(([192, 0, 2, 1], port)))
    }

    #[test]
    fn a_flood_of_events_stays_within_4_kib_and_keeps_the_beginning_and_the_end() {
        let began = Instant::now();
        let mut timeline = Timeline::new(began);
        for number in 0..10_000_u16 {
            let now = began + Duration::from_millis(number.into());
            timeline.note(now, Event::Refusal(crate::event::By::Host, number), address(number), None);
        }
        assert!(timeline.memory() <= MOST_MEMORY, "{}", timeline.memory());
        let numbers: Vec<u128> = timeline.lines().map(|line| (line.at - began).as_millis()).collect();
        assert_eq!(numbers.len(), MOST_ENTRIES);
        assert_eq!(numbers[..MOST_ENTRIES / 2], (0..MOST_ENTRIES as u128 / 2).collect::<Vec<_>>());
        assert_eq!(numbers[MOST_ENTRIES / 2..], (10_000 - MOST_ENTRIES as u128 / 2..10_000).collect::<Vec<_>>());
        assert_eq!(timeline.left_out(), 10_000 - MOST_ENTRIES as u32);
    }

    #[test]
    fn reports_of_a_long_call_take_one_place() {
        let began = Instant::now();
        let mut timeline = Timeline::new(began);
        timeline.note(began, Event::Began, address(1), None);
        for second in 0..7200 {
            let event = Event::Report { lost: 0, jitter: 1, round_trip: 2 };
            timeline.note_here(began + Duration::from_secs(second), event);
        }
        assert_eq!(timeline.lines().count(), 2);
        assert_eq!(timeline.lines().last().unwrap().at, began + Duration::from_secs(7199));
        assert!(timeline.memory() < 600, "{}", timeline.memory());
    }

    #[test]
    fn a_peer_that_changes_its_codec_with_each_packet_pushes_out_nothing() {
        let began = Instant::now();
        let mut timeline = Timeline::new(began);
        for number in 0..10_000 {
            timeline.note_here(began, Event::ReceivesNow(number as u8 % 2 * 8));
            timeline.note_here(began, Event::SendsNow(number as u8 % 2 * 8));
        }
        timeline.note_here(began, Event::ConsentLost(1));
        assert_eq!(timeline.lines().count(), usize::from(MOST_CHANGES) + 1);
        assert_eq!(timeline.left_out(), 0);
    }

    #[test]
    fn addresses_come_back() {
        let began = Instant::now();
        let mut timeline = Timeline::new(began);
        timeline.note(began, Event::Selected(1), address(1), address(2));
        timeline.note(began, Event::FirstSent(0), None, address(2));
        let lines: Vec<Line> = timeline.lines().collect();
        assert_eq!((lines[0].from, lines[0].to), (address(1), address(2)));
        assert_eq!((lines[1].from, lines[1].to), (None, address(2)));
    }
}
