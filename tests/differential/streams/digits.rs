//! Telephone-events (RFC 4733): as a phone should send them, and as phones and carriers do.

use std::time::Duration;

use e2e::differential::stream::{Stream, Talk, Who};

use super::PCMU;

pub fn streams() -> Vec<Stream> {
    [pressed(), habits(), sent()].concat()
}

fn trace(name: &'static str, talk: Talk) -> Stream {
    Stream::new(name, "trace", PCMU).with(talk)
}

/// Presses keys of 120 ms with three ends, and talks between.
fn keys(talk: Talk, keys: &[u8]) -> Talk {
    keys.iter().fold(talk.send(5), |talk, key| talk.press(101, *key, 6, 3).send(5))
}

fn pressed() -> Vec<Stream> {
    let wrap = |talk: Talk| talk.change(|talk| talk.next.timestamp = u32::MAX - 2000);
    vec![
        trace("digits-0-to-7", keys(Talk::new(0), &[0, 1, 2, 3, 4, 5, 6, 7])),
        trace("digits-8-to-d", keys(Talk::new(0), &[8, 9, 10, 11, 12, 13, 14, 15])),
        trace("digits-flash", keys(Talk::new(0), &[16])),
        trace("digits-beyond", keys(Talk::new(0), &[1, 36, 192, 2])),
        trace("digits-same-twice", keys(Talk::new(0), &[5, 5, 5])).reduced(),
        trace("digits-timestamp-wraps", wrap(keys(wrap(Talk::new(0)), &[1, 2, 3]))),
        Stream::new("digits-read", "read", PCMU).with(keys(Talk::new(0), &[1, 2, 3, 4, 11])).resting(2500).reduced(),
        Stream::new("digits-bridged", "bridge", PCMU)
            .with(keys(Talk::new(0), &[1, 2, 3]))
            .with(Talk::new(0).by(Who::Callee).send(40)),
        Stream::new("digits-through-the-core", "core", PCMU)
            .with(keys(Talk::new(0), &[1, 2, 3]))
            .with(Talk::new(0).by(Who::Callee).send(60)),
        Stream::new("digits-mapped", "bridge", PCMU)
            .answered(&[(0, "PCMU/8000"), (96, "telephone-event/8000")])
            .with(keys(Talk::new(0), &[1, 2]))
            .with(Talk::new(0).by(Who::Callee).send(40)),
    ]
}

/// A press of six packets and three ends, which differ from the rule in one thing.
fn habits() -> Vec<Stream> {
    let talk = || Talk::new(0).send(5);
    vec![
        trace("digits-one-end", talk().press(101, 1, 6, 1).send(5).press(101, 2, 6, 1).send(5)),
        trace("digits-no-end", talk().press(101, 1, 6, 0).send(20).press(101, 2, 6, 3).send(5)),
        trace("digits-only-ends", talk().press(101, 1, 0, 3).send(5).press(101, 2, 0, 1).send(5)),
        trace("digits-no-pause", talk().press(101, 1, 6, 3).press(101, 2, 6, 3).press(101, 3, 6, 3).send(5)),
        trace("digits-no-pause-one-end", talk().press(101, 1, 6, 1).press(101, 2, 6, 1).press(101, 3, 6, 1).send(5)),
        trace("digits-late-ends", late_ends()),
        trace("digits-late-update", late_update()),
        trace("digits-shorter-end", shorter_end()),
        trace("digits-hole", hole()),
        trace("digits-sequence-stands-still", still()),
        trace("digits-new-timestamp-each", new_timestamps()),
        trace("digits-long", long()),
        trace("digits-unmarked", unmarked()),
        trace("digits-cisco", talk().press(121, 1, 6, 3).send(5)),
        trace("digits-of-another-type", talk().press(100, 1, 6, 3).send(5)),
        trace("digits-short-payload", talk().change(short).send(5)),
        Stream::new("digits-of-their-own-source", "trace", PCMU).with(Talk::new(0).send(60)).with(own_source()),
        Stream::new("digits-of-their-own-source-bridged", "bridge", PCMU)
            .with(Talk::new(0).send(60))
            .with(own_source()),
        Stream::new("digits-amid-audio", "trace", PCMU).with(Talk::new(0).send(40)).with(amid_audio()),
    ]
}

/// The end of the first key arrives again after that of the second.
fn late_ends() -> Talk {
    let first = Talk::new(0).send(5);
    let (timestamp, talk) = (first.next.timestamp, first.press(101, 1, 6, 3).send(3).press(101, 2, 6, 3));
    (0..2).fold(talk, |talk, _| talk.event(101, 1, 1120, true, false, timestamp)).send(5)
}

/// An update arrives after the ends.
fn late_update() -> Talk {
    let first = Talk::new(0).send(5);
    let (timestamp, talk) = (first.next.timestamp, first.press(101, 1, 6, 3));
    talk.event(101, 1, 960, false, false, timestamp).send(10)
}

/// The end says a little less than the last update.
fn shorter_end() -> Talk {
    let talk = Talk::new(0).send(5);
    let timestamp = talk.next.timestamp;
    let talk = talk.press(101, 1, 6, 0);
    (0..3).fold(talk, |talk, _| talk.event(101, 1, 900, true, false, timestamp)).send(10)
}

/// Nothing arrives for 200 ms in the middle of a press.
fn hole() -> Talk {
    let talk = Talk::new(0).send(5);
    let timestamp = talk.next.timestamp;
    let mut talk = talk.press(101, 1, 3, 0).skip(10);
    for duration in [14, 15, 16] {
        talk = talk.event(101, 1, duration * 160, false, false, timestamp);
    }
    (0..3).fold(talk, |talk, _| talk.event(101, 1, 17 * 160, true, false, timestamp)).send(5)
}

fn still() -> Talk {
    let mut talk = Talk::new(0).send(5);
    for key in [1, 2] {
        let (timestamp, sequence) = (talk.next.timestamp, talk.next.sequence);
        for number in 1..=9 {
            talk = talk.change(|talk| talk.next.sequence = sequence);
            talk = talk.event(101, key, number.min(7) * 160, number > 6, number == 1, timestamp);
        }
        talk = talk.send(5);
    }
    talk
}

/// The timestamp goes on within a press, which RFC 4733 §2.5.1.1 forbids.
fn new_timestamps() -> Talk {
    let mut talk = Talk::new(0).send(5);
    for number in 1..=9 {
        let timestamp = talk.next.timestamp;
        talk = talk.event(101, 1, number.min(7) * 160, number > 6, number == 1, timestamp);
    }
    talk.send(10)
}

/// A duration up to the end of its field, in few packets.
fn long() -> Talk {
    let talk = Talk::new(0).send(5);
    let (timestamp, began) = (talk.next.timestamp, talk.at);
    let mut talk = talk;
    for duration in [160, 20_000, 40_000, 60_000, 65_500] {
        talk.at = began + Duration::from_millis(u64::from(duration) / 8);
        talk = talk.event(101, 1, duration, false, duration == 160, timestamp);
    }
    (0..3).fold(talk, |talk, _| talk.event(101, 1, 65_535, true, false, timestamp)).send(5)
}

fn unmarked() -> Talk {
    let talk = Talk::new(0).send(5);
    let timestamp = talk.next.timestamp;
    let talk = (1..=6).fold(talk, |talk, number| talk.event(101, 3, number * 160, false, false, timestamp));
    (0..3).fold(talk, |talk, _| talk.event(101, 3, 1120, true, false, timestamp)).send(5)
}

fn short(talk: &mut Talk) {
    let packet = e2e::rtp::Rtp { payload_type: 101, payload: vec![1, 10, 0], ..talk.next.clone() };
    *talk = talk.clone().raw(&packet.write()).skip(1);
}

/// Four keys under another SSRC.
fn own_source() -> Talk {
    let talk = Talk::new(0).change(|talk| {
        (talk.next.ssrc, talk.next.sequence, talk.next.timestamp) = (0x2222, 7, 90_000);
        talk.at += talk.every * 3;
    });
    [1, 2, 3, 4].iter().fold(talk, |talk, key| talk.press(101, *key, 6, 3).skip(4))
}

/// Audio goes on between the packets of a press, in one sequence.
fn amid_audio() -> Talk {
    Talk::new(0).change(|talk| (talk.next.sequence, talk.at) = (1040, talk.at * 10)).press(101, 7, 6, 3)
}

/// Keys that the host presses.
fn sent() -> Vec<Stream> {
    let presses = |name, formats| Stream::new(name, "presses", formats).with(Talk::new(0).send(90));
    vec![
        presses("presses", PCMU).reduced(),
        presses("presses-of-type-96", &[(0, "PCMU/8000"), (96, "telephone-event/8000")]),
        presses("presses-without-events", &[(0, "PCMU/8000")]),
        presses("presses-inband", PCMU).from("inband"),
        presses("presses-info", PCMU).from("info"),
        presses("presses-auto-without-events", &[(0, "PCMU/8000")]).from("auto"),
        presses("presses-g722", &[(9, "G722/8000"), (101, "telephone-event/8000")]),
    ]
}
