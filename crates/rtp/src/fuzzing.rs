//! The bodies of the fuzz targets, which `tests/fuzz` and the property tests call. They are here so that they keep
//! compiling. They panic when a promise of the crate is broken.

use std::time::{Duration, Instant};

use crate::opus;
use crate::packet::{HEADER_LEN, Header, Packet};
use crate::red::{Block, Redundant};
use crate::rtcp::{Compound, Packet as RtcpPacket, Writer};
use crate::statistics::ReceiverStatistics;
use crate::telephone_event::{self, Event, Key, Outgoing, Signal};
use crate::text;
use crate::timestamp::ticks;

/// Parses the input as RTP: every octet belongs to exactly one part of the packet, and the statistics take it in.
pub fn rtp_packet(datagram: &[u8]) {
    let Ok(packet) = Packet::parse(datagram) else { return };
    let parts = packet.header_len() + packet.payload.len() + usize::from(packet.padding);
    assert_eq!(parts, datagram.len());
    assert_eq!(&datagram[packet.payload_range()], packet.payload);
    assert_eq!(packet.header_len() - HEADER_LEN, {
        packet.csrc().count() * 4 + packet.extension.map_or(0, |extension| extension.data.len() + 4)
    });
    let (mut receiver, now) = (ReceiverStatistics::default(), Instant::now());
    receiver.update(now, &packet.header(), packet.payload.len(), Some(8000));
    receiver.update(now + Duration::from_millis(20), &packet.header(), packet.payload.len(), Some(48000));
    receiver.report_block(now);
    opus_packet(packet.payload);
}

/// Measures the input as Opus: a packet has frames of 2.5 ms or a multiple, and of 120 ms at most; more bytes at the end of the only
/// frame of a packet change nothing.
pub fn opus_packet(packet: &[u8]) {
    let Ok(samples) = opus::samples(packet) else { return };
    assert!((120..=5760).contains(&samples) && samples.is_multiple_of(120));
    if packet[0] & 0b11 == 0 && packet.len() < 1276 {
        assert_eq!(opus::samples(&[packet, &[0]].concat()), Ok(samples));
    }
}

/// Parses the input as RTCP: every packet is the same once it is written and parsed again.
pub fn rtcp_compound(datagram: &[u8]) {
    let Ok(compound) = Compound::parse(datagram) else { return };
    for packet in compound.flatten() {
        walk(&packet);
        let mut buffer = vec![0; datagram.len() + 8];
        let mut writer = Writer::new(&mut buffer);
        writer.copy(&packet);
        let len = writer.finish().expect("a packet fits where its datagram did");
        let mut again = Compound::parse(&buffer[..len]).expect("we write what we can read");
        assert_eq!(again.next(), Some(Ok(packet)));
        assert_eq!(again.next(), None);
    }
}

/// Reads every field of a packet.
fn walk(packet: &RtcpPacket<'_>) {
    match packet {
        RtcpPacket::SenderReport(report) => assert_eq!(report.blocks.iter().count(), report.blocks.len()),
        RtcpPacket::ReceiverReport(report) => assert_eq!(report.blocks.iter().count(), report.blocks.len()),
        RtcpPacket::Sdes(sdes) => sdes.chunks().for_each(|chunk| chunk.items().for_each(drop)),
        RtcpPacket::Bye(bye) => bye.sources().for_each(drop),
        RtcpPacket::Nack(nack) => assert!(nack.pairs.missing().count() >= nack.pairs.iter().count()),
        RtcpPacket::Fir(fir) => fir.entries.iter().for_each(drop),
        RtcpPacket::Remb(remb) => assert!(remb.bitrate() > 0 || remb.ssrcs().count() <= 255),
        RtcpPacket::ExtendedReport(report) => report.blocks().for_each(drop),
        _ => {}
    }
}

/// Parses the input as redundant data: every octet belongs to exactly one header or block, so the blocks written again
/// are the payload.
pub fn red(payload: &[u8]) {
    let Ok(redundant) = Redundant::parse(payload) else { return };
    let blocks: Vec<_> = redundant.blocks().collect();
    assert_eq!(write_red(&blocks), payload);
    assert_eq!(payload.get(redundant.primary_offset()..), Some(redundant.primary().data));
}

/// Takes the input for a list of text packets with gaps in their numbers, with and without redundancy. The new text lies within the
/// packet, and the same packet once more has none.
pub fn text_packets(mut input: &[u8]) {
    let (mut receiver, mut number) = (text::Receiver::new(), 0u16);
    while let [step, kind, len, rest @ ..] = input {
        let (payload, behind) = rest.split_at(usize::from(*len).min(rest.len()));
        input = behind;
        number = number.wrapping_add_signed(i16::from(step.cast_signed()) * if kind & 4 == 0 { 1 } else { 250 });
        if kind & 0xF0 == 0 {
            receiver.change_source();
        }
        let mut handle = || match kind & 2 == 0 {
            true => receiver.handle_redundant(number, kind & 1 == 0, payload).unwrap_or_default(),
            false => receiver.handle_plain(number, kind & 1 == 0, payload),
        };
        if let Some(text) = handle() {
            assert!(payload.get(text.range).is_some());
            assert_eq!(handle(), None);
        }
    }
}

/// Sends `texts` with two generations, each its pause in milliseconds after the one before, over a network that loses (0), repeats (1)
/// or delays (2) packets. All text arrives in order and once, except for the third and earlier of packets lost in a row, for which
/// U+FFFD stands.
pub fn text_over_a_bad_network(texts: &[String], pauses: &[u16], fates: &[u8], first: u16) {
    let wire = send_texts(texts, pauses);
    let fate =
        |number: usize| if number == 0 { 3 } else { fates.get(number % fates.len().max(1)).map_or(3, |fate| *fate) };
    let (mut receiver, mut shown, mut expected) = (text::Receiver::new(), Vec::new(), String::new());
    let mut receive = |number: usize| {
        let payload: &[u8] = wire.get(number).map_or(b"", |payload| payload);
        let read = receiver.handle_redundant(first.wrapping_add(number as u16), number == 0, payload);
        if let Some(new) = read.expect("we wrote it") {
            shown.extend_from_slice(if new.follows_loss { text::MISSING } else { b"" });
            shown.extend_from_slice(&payload[new.range]);
        }
    };
    let mut missing: Vec<&str> = Vec::new();
    for (number, payload) in wire.iter().enumerate() {
        let own = Redundant::parse(payload).expect("we wrote it").primary().data;
        missing.push(str::from_utf8(own).expect("whole characters"));
        let is_overtaken = fate(number) == 2 && number + 1 < wire.len() && fate(number + 1) != 0;
        if fate(number) == 0 || is_overtaken {
            continue;
        }
        receive(number);
        if fate(number) == 1 {
            receive(number);
        }
        if number > 0 && fate(number - 1) == 2 {
            receive(number - 1);
        }
        let known = missing.len().saturating_sub(3);
        expected.push_str(if known > 0 { "\u{FFFD}" } else { "" });
        expected.extend(missing.drain(..).skip(known));
    }
    assert_eq!(String::from_utf8(shown).expect("whole characters"), expected);
}

fn send_texts(texts: &[String], pauses: &[u16]) -> Vec<Vec<u8>> {
    let (mut sender, mut now) = (text::Sender::new(Duration::from_millis(300), 2), Instant::now());
    let mut wire = Vec::new();
    let mut drain = |sender: &mut text::Sender, now| {
        let mut buffer = [0; text::LARGEST_PAYLOAD];
        while let Some(packet) = sender.poll_transmit(now, 98, &mut buffer) {
            wire.push(buffer[..packet.len].to_vec());
        }
    };
    for (text, pause) in texts.iter().zip(pauses.iter().cycle()) {
        let next = now + Duration::from_millis(u64::from(*pause));
        while let Some(due) = sender.poll_timeout().filter(|due| *due < next) {
            drain(&mut sender, due);
        }
        now = next;
        sender.handle_text(now, text.as_bytes()).expect("a short test");
        drain(&mut sender, now);
    }
    sender.flush();
    drain(&mut sender, now);
    wire
}

/// Writes blocks as RFC 2198 §3 has them, the last one as the primary.
pub(crate) fn write_red(blocks: &[Block<'_>]) -> Vec<u8> {
    let Some((primary, older)) = blocks.split_last() else { return Vec::new() };
    let mut payload = Vec::new();
    for block in older {
        let offset_and_len = u32::from(block.timestamp_offset) << 10 | block.data.len() as u32;
        payload.push(0x80 | block.payload_type);
        payload.extend_from_slice(&offset_and_len.to_be_bytes()[1..]);
    }
    payload.push(primary.payload_type);
    blocks.iter().for_each(|block| payload.extend_from_slice(block.data));
    payload
}

/// Takes the input for a list of packets from up to four sources, with gaps in number, timestamp and time. Begin and end
/// alternate for any list, an end names the digit that began, and no digit is longer than its packets allow.
pub fn telephone_event(input: &[u8]) {
    let mut receiver = telephone_event::Receiver::new();
    let mut now = Instant::now();
    let (mut number, mut timestamp, mut pressed) = (0u16, 0u32, None);
    for operation in input.as_chunks::<8>().0 {
        let [kind, count, ticks, wait, ..] = *operation;
        number = number.wrapping_add(u16::from(count & 0x7F)).wrapping_sub(8);
        timestamp = timestamp.wrapping_add(u32::from(ticks) * 0x111);
        now += Duration::from_millis(u64::from(wait) * 4);
        let ssrc = u32::from(kind >> 4 & 3);
        let header = Header { marker: kind & 4 != 0, payload_type: 101, sequence_number: number, timestamp, ssrc };
        let signals = match kind & 3 {
            0 => [receiver.handle_media(now, &header, 8000, Duration::from_millis(150)), None],
            1 if kind & 8 != 0 => [receiver.handle_gone(ssrc), None],
            _ => {
                let event = Event::parse(&operation[4..]).expect("four octets");
                let mut signals = receiver.handle_event(now, &header, event, 8000).into_iter();
                [signals.next(), signals.next()]
            }
        };
        for signal in signals.into_iter().flatten() {
            pressed = follow(now, pressed, signal);
        }
        assert_eq!(receiver.active(), pressed.map(|(key, _)| key));
    }
}

/// Returns the key that is pressed after `signal`, and since when.
fn follow(now: Instant, pressed: Option<(Key, Instant)>, signal: Signal) -> Option<(Key, Instant)> {
    match signal {
        Signal::Begin(key) => {
            assert_eq!(pressed, None);
            Some((key, now))
        }
        Signal::Continue(key) => {
            assert_eq!(pressed.map(|(pressed, _)| pressed), Some(key));
            pressed
        }
        Signal::End { key, held } => {
            let (known, since) = pressed.unwrap_or((key, now));
            assert_eq!(known, key);
            // The first packet may say up to 0xFFFF ticks, and the network may have held it up for a second.
            assert!(held <= now - since + Duration::from_millis(8192 + 1000), "{held:?}");
            None
        }
    }
}

/// The pause between two digits, in milliseconds.
pub const PAUSE_MS: u64 = 300;

/// Sends digits, each pressed for `held`, over a network that loses (0), duplicates (1) or swaps (2) packets. Every
/// digit of which a packet arrives is found.
pub fn digits_over_a_bad_network(keys: &[u8], fates: &[u8], first: (u16, u32), held: Duration, clock_rate: u32) {
    let start = Instant::now();
    let (mut sender, mut receiver) = (telephone_event::Sender::new(), telephone_event::Receiver::new());
    let mut fates = fates.iter().copied().cycle();
    let ((mut number, timestamp), mut now) = (first, start);
    let (mut expected, mut seen, mut wire) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys.iter().filter_map(|event| Key::from_event(*event)) {
        let elapsed = u32::try_from(ticks(now - start, clock_rate)).expect("a short test");
        sender.begin(now, key, timestamp.wrapping_add(elapsed), clock_rate);
        let end = now + held;
        let before = wire.len();
        loop {
            while let Some(packet) = sender.poll_transmit() {
                let fate = fates.next().unwrap_or(3);
                if fate > 0 {
                    wire.push((now, number, packet));
                }
                if fate == 1 {
                    wire.push((now, number, packet));
                }
                let len = wire.len();
                if fate == 2 && len >= 2 && len - before >= 2 {
                    wire.swap(len - 1, len - 2);
                }
                number = number.wrapping_add(1);
            }
            match sender.poll_timeout() {
                Some(next) if next < end => {
                    now = next;
                    sender.handle_timeout(now);
                }
                Some(_) => {
                    now = end;
                    sender.end(now, None);
                }
                None => break,
            }
        }
        if wire.len() > before {
            expected.push(key);
        }
        now += Duration::from_millis(PAUSE_MS);
    }
    for (now, sequence_number, packet) in wire {
        let event = Event::parse(&packet.payload).expect("we wrote it");
        let Outgoing { marker, timestamp, .. } = packet;
        let header = Header { marker, payload_type: 101, sequence_number, timestamp, ssrc: 7 };
        seen.extend(receiver.handle_event(now, &header, event, clock_rate).into_iter().filter_map(released));
    }
    seen.extend(receiver.handle_gone(7).and_then(released));
    assert_eq!(seen, expected);
}

/// The key that a signal says is released.
fn released(signal: Signal) -> Option<Key> {
    match signal {
        Signal::End { key, .. } => Some(key),
        Signal::Begin(_) | Signal::Continue(_) => None,
    }
}
