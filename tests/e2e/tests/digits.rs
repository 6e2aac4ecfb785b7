//! Digits of phones with habits of their own, and to a phone that wants none.

use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::plain::{PlainPhone, Scripted, TONE_SSRC};
use e2e::site::Site;

const PATIENCE: Duration = Duration::from_secs(30);

/// Six digits in one call, each with a habit that once made more of it, or less.
#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn each_press_counts_once_whatever_the_habit_of_the_phone() -> Result {
    let lab = Lab::start("digits-habits", &Site::default())?;
    let mut script = Script::default();
    script.press(1, Habit::None);
    script.press(2, Habit::LateEnds);
    script.press(3, Habit::OwnSsrc);
    script.press(4, Habit::ShorterEnd);
    script.press(5, Habit::StandsStill);
    script.press(6, Habit::Moves);
    let length = Duration::from_secs(6);
    let phone = PlainPhone::call_and_send(&lab, "menu", length, script.packets)?;
    phone.finish(PATIENCE)?;
    lab.until_logged("digits read: 1", PATIENCE)?;
    let log = lab.log()?;
    let read = log.lines().find(|line| line.contains("digits read: ") && !line.contains("${"));
    ensure(read.is_some_and(|line| line.contains("digits read: 123456.")), || format!("{read:?}"))
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_phone_that_agreed_on_no_telephone_event_gets_none() -> Result {
    let lab = Lab::start("digits-not-agreed", &Site::default())?;
    let received = PlainPhone::call_without_events(&lab, "presses", Duration::from_secs(3))?.finish(PATIENCE)?;
    ensure(received.events.is_empty(), || format!("{:?}", received.events))
}

/// A habit of phones that RFC 4733 does not allow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Habit {
    None,
    /// The end of the digit before comes again after the end.
    LateEnds,
    /// The digit has an SSRC, a count and timestamps of its own.
    OwnSsrc,
    /// The end says a little less than the update before it.
    ShorterEnd,
    /// The sequence number stands still.
    StandsStill,
    /// The timestamp moves from packet to packet.
    Moves,
}

#[derive(Default)]
struct Script {
    packets: Vec<Scripted>,
    before: Vec<Vec<u8>>,
    number: u16,
}

impl Script {
    /// Presses a key for 160 ms, half a second after the one before.
    fn press(&mut self, key: u8, habit: Habit) {
        let begin = 50 + 25 * u32::from(key);
        let mut ends = Vec::new();
        for step in 1..=11 {
            let end = step > 8;
            let held = step.min(8) * 160;
            let duration = if end && habit == Habit::ShorterEnd { held - 60 } else { held };
            let packet = self.event(key, habit, begin * 160, step * 160, duration, end);
            if end {
                ends.push(packet.clone());
            }
            self.packets.push(Scripted { with: begin + u32::from(step), packet });
        }
        let late = std::mem::replace(&mut self.before, ends);
        for mut packet in late.into_iter().filter(|_| habit == Habit::LateEnds) {
            packet[2..4].copy_from_slice(&self.count(Habit::None).to_be_bytes());
            self.packets.push(Scripted { with: begin + 12, packet });
        }
    }

    fn event(&mut self, key: u8, habit: Habit, began: u32, moved: u16, duration: u16, end: bool) -> Vec<u8> {
        let timestamp = began + if habit == Habit::Moves { u32::from(moved) } else { 0 };
        let ssrc = if habit == Habit::OwnSsrc { TONE_SSRC + 1 } else { TONE_SSRC };
        let mut packet = vec![0x80, if moved == 160 { 0x80 | 101 } else { 101 }];
        packet.extend_from_slice(&self.count(habit).to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(&[key, if end { 0x8A } else { 0x0A }]);
        packet.extend_from_slice(&duration.to_be_bytes());
        packet
    }

    /// The next number of a count of its own, beside that of the tone.
    fn count(&mut self, habit: Habit) -> u16 {
        self.number += u16::from(habit != Habit::StandsStill);
        30_000 + self.number
    }
}
