//! A property: presses, sent by senders with habits over a bad network, arrive once each, in order, with their length.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::packet::Header;
use crate::timestamp::{duration, ticks};

/// A key that is pressed for a time, after a pause.
#[derive(Debug, Clone, Copy)]
struct Press {
    key: u8,
    pause: Duration,
    held: Duration,
}

/// A way in which senders depart from the RFC, or from most others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    None,
    /// The ends of each digit come again after those of the next.
    LateEnds,
    /// Digits have an SSRC, a count and timestamps of their own; media goes on beside them.
    OwnSsrc,
    /// The end says a little less than the last update.
    ShorterEnd,
    /// The end says nothing of the duration.
    EmptyEnd,
    /// All packets have one sequence number.
    StandsStill,
    /// The three ends have one sequence number.
    EndsStandStill,
    /// The sequence number jumps before each digit.
    Jumps,
    /// Each packet has a timestamp of its own.
    Moves,
    /// The ends have the timestamp of the end.
    EndsAtTheEnd,
    /// Only ends are sent.
    OnlyEnds,
    /// The first packet is sent three times.
    FirstThrice,
    /// A long digit wraps its duration and has no segments (RFC 2833).
    Wraps,
}

const HABITS: [Habit; 13] = [
    Habit::None,
    Habit::LateEnds,
    Habit::OwnSsrc,
    Habit::ShorterEnd,
    Habit::EmptyEnd,
    Habit::StandsStill,
    Habit::EndsStandStill,
    Habit::Jumps,
    Habit::Moves,
    Habit::EndsAtTheEnd,
    Habit::OnlyEnds,
    Habit::FirstThrice,
    Habit::Wraps,
];

/// A packet on its way.
#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Instant,
    header: Header,
    /// `None` for media.
    event: Option<Event>,
    /// The press that it belongs to.
    press: usize,
}

const CLOCK: u32 = 8000;
const STEP: Duration = Duration::from_millis(20);
const SSRC: u32 = 7;

/// The longest segment at [`CLOCK`].
const SEGMENT: Duration = Duration::from_millis(8191);

/// The most packets that are lost in a row: a whole short press with its ends, but not the timeout of a lost end.
const MOST_LOST: usize = 8;

/// The ticks by which the end is shorter than the update before it.
const SHORTER: u64 = 120;

/// Writes packets as a sender with a habit does.
struct Sender {
    habit: Habit,
    start: Instant,
    number: u16,
    first_timestamp: u32,
    sent: Vec<Sent>,
    ends_before: Vec<Sent>,
}

impl Sender {
    fn send(&mut self, press: usize, Press { key, held, .. }: Press, began: Instant) {
        if self.habit == Habit::Jumps {
            self.number = self.number.wrapping_add(5000);
        }
        let updates = held.as_millis() / STEP.as_millis();
        for step in 1..=u32::try_from(updates).unwrap() {
            let so_far = STEP * step;
            let times = if step == 1 && self.habit == Habit::FirstThrice { 3 } else { 1 };
            for _ in 0..if self.habit == Habit::OnlyEnds { 0 } else { times } {
                self.packet(press, key, began, so_far, step == 1, false);
            }
            self.media(began + so_far);
        }
        let from = self.sent.len();
        (0..3).for_each(|_| self.packet(press, key, began, held, false, true));
        if self.habit == Habit::LateEnds {
            let ends = self.sent[from..].to_vec();
            for mut late in std::mem::replace(&mut self.ends_before, ends) {
                late.at = began + held;
                late.header.sequence_number = self.count(false);
                self.sent.push(late);
            }
        }
    }

    /// Adds the packet that is due when the key has been pressed for `so_far`.
    fn packet(&mut self, press: usize, key: u8, began: Instant, so_far: Duration, marker: bool, end: bool) {
        let total = ticks(so_far, CLOCK);
        let segments = if self.habit == Habit::Wraps { 0 } else { total.saturating_sub(1) / 0xFFFF };
        let said = match self.habit {
            Habit::ShorterEnd if end => (total - segments * 0xFFFF).saturating_sub(SHORTER).max(1),
            Habit::EmptyEnd if end => 0,
            _ => total - segments * 0xFFFF,
        };
        let moved = match self.habit {
            Habit::Moves => total,
            Habit::EndsAtTheEnd if end => total,
            _ => segments * 0xFFFF,
        };
        let at = began + so_far;
        let base = ticks(began - self.start, CLOCK) + moved;
        let header = Header {
            marker,
            payload_type: 101,
            sequence_number: self.count(end),
            timestamp: self.first_timestamp.wrapping_add(base as u32),
            ssrc: if self.habit == Habit::OwnSsrc { SSRC + 1 } else { SSRC },
        };
        let event = Event { event: key, end, volume: 10, duration: said as u16 };
        self.sent.push(Sent { at, header, event: Some(event), press });
    }

    fn media(&mut self, at: Instant) {
        if self.habit == Habit::OwnSsrc {
            let timestamp = ticks(at - self.start, CLOCK) as u32;
            let header = Header { marker: false, payload_type: 0, sequence_number: 0, timestamp, ssrc: SSRC };
            self.sent.push(Sent { at, header, event: None, press: usize::MAX });
        }
    }

    fn count(&mut self, end: bool) -> u16 {
        let number = self.number;
        let stands = self.habit == Habit::StandsStill || end && self.habit == Habit::EndsStandStill;
        self.number = if stands { number } else { number.wrapping_add(1) };
        number
    }
}

fn presses() -> impl Strategy<Value = Vec<Press>> {
    let held = prop_oneof![6 => 40u64..400, 1 => 8000u64..10_000];
    let press = (0u8..16, 100u64..1500, held).prop_map(|(key, pause, held)| {
        let [pause, held] = [pause, held].map(Duration::from_millis);
        Press { key, pause, held: held - Duration::from_nanos(held.as_nanos() as u64 % STEP.as_nanos() as u64) }
    });
    prop::collection::vec(press, 1..8)
}

/// The fate of a packet: it is lost (0), or comes twice (1), or is late by a few milliseconds, or arrives. No more than
/// [`MOST_LOST`] are lost in a row.
fn carry(sent: &[Sent], fates: &[u8]) -> Vec<Sent> {
    let mut fates = fates.iter().cycle();
    let (mut arrived, mut lost) = (Vec::new(), 0);
    for packet in sent {
        let delay = |milliseconds| Sent { at: packet.at + Duration::from_millis(milliseconds), ..*packet };
        match fates.next().unwrap() {
            0 if lost < MOST_LOST => {
                lost += 1;
                continue;
            }
            1 => arrived.extend([*packet, delay(25)]),
            late @ 2..=4 => arrived.push(delay(10 * u64::from(*late))),
            _ => arrived.push(*packet),
        }
        lost = 0;
    }
    arrived.sort_by_key(|packet| packet.at);
    arrived
}

/// The keys that were released, with their lengths.
fn receive(arrived: &[Sent]) -> Vec<(u8, Duration)> {
    let (mut receiver, mut released, mut pressed) = (Receiver::new(), Vec::new(), None);
    let mut note = |signal| match signal {
        Signal::Begin(key) => assert_eq!(pressed.replace(key), None),
        Signal::Continue(key) => assert_eq!(pressed, Some(key)),
        Signal::End { key, held } => {
            assert!(pressed.take().is_none_or(|pressed| pressed == key));
            released.push((key.event(), held));
        }
    };
    for Sent { at, header, event, .. } in arrived {
        match event {
            Some(event) => receiver.handle_event(*at, header, *event, CLOCK).into_iter().for_each(&mut note),
            None => {
                receiver.handle_media(*at, header, CLOCK, Duration::from_millis(375)).into_iter().for_each(&mut note);
            }
        }
    }
    [SSRC, SSRC + 1].into_iter().filter_map(|ssrc| receiver.handle_gone(ssrc)).for_each(&mut note);
    released
}

fn check(habit: Habit, presses: &[Press], first: (u16, u32), fates: &[u8]) {
    // Without the segments before, the timestamp of the end says nothing.
    let longest = if habit == Habit::EndsAtTheEnd { Duration::from_secs(8) } else { Duration::MAX };
    let presses: Vec<_> = presses.iter().map(|press| Press { held: press.held.min(longest), ..*press }).collect();
    let start = Instant::now();
    let (number, first_timestamp) = first;
    let mut sender = Sender { habit, start, number, first_timestamp, sent: Vec::new(), ends_before: Vec::new() };
    let mut now = start;
    for (index, press) in presses.iter().enumerate() {
        now += press.pause;
        sender.send(index, *press, now);
        now += press.held;
    }
    let arrived = carry(&sender.sent, fates);
    let is_there = |index| arrived.iter().any(|packet| packet.press == index && packet.event.is_some());
    let expected: Vec<_> = presses.iter().enumerate().filter(|(index, _)| is_there(*index)).collect();
    let released = receive(&arrived);
    let keys: Vec<_> = released.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, expected.iter().map(|(_, press)| press.key).collect::<Vec<_>>(), "{habit:?}");
    for ((index, press), (_, held)) in expected.into_iter().zip(released) {
        let in_time = arrived.iter().filter(|packet| packet.event.is_some()).take_while(|packet| packet.press <= index);
        let has_end =
            in_time.into_iter().any(|packet| packet.press == index && packet.event.is_some_and(|event| event.end));
        let shortest = match habit {
            _ if !has_end => Duration::ZERO,
            Habit::ShorterEnd => press.held - duration(SHORTER, CLOCK),
            Habit::EmptyEnd => Duration::ZERO,
            // The first segment has no end.
            Habit::OnlyEnds if press.held > SEGMENT => Duration::ZERO,
            _ => press.held,
        };
        let slack = duration(2, CLOCK);
        assert!(held + slack >= shortest && held <= press.held + slack, "{habit:?}: {held:?} of {press:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_press_arrives_once_with_its_length_whatever_the_habit(
        presses in presses(), first in any::<(u16, u32)>(),
    ) {
        for habit in HABITS {
            check(habit, &presses, first, &[5]);
        }
    }

    #[test]
    fn every_press_arrives_once_over_a_bad_network(
        presses in presses(), first in any::<(u16, u32)>(), fates in prop::collection::vec(0u8..12, 97),
    ) {
        for habit in HABITS {
            check(habit, &presses, first, &fates);
        }
    }
}
