//! The body of the fuzz target.

use crate::{Position, Rate, Receiver, packet_samples};

/// Decodes any octets as packets of one stream, some of them lost, late or repeated. Each packet begins with its length and the step
/// of its sequence number. The length of what is written follows from RFC 6716 §3.1 alone.
pub fn opus_packet(input: &[u8]) {
    let Some((first, mut rest)) = input.split_first() else { return };
    let rate = Rate::ALL[usize::from(first % 3)];
    let mut receiver = Receiver::new(rate).expect("memory for a decoder");
    let mut samples = vec![0; Receiver::max_output(rate)];
    let mut position = Position { sequence_number: u16::MAX, timestamp_ms: 0 };
    while let [len, step, following @ ..] = rest {
        let (packet, next) = following.split_at(usize::from(*len).min(following.len()));
        rest = next;
        position.sequence_number = position.sequence_number.wrapping_add_signed(i16::from(step.cast_signed()));
        position.timestamp_ms += i64::from(step.cast_signed()) * 20;
        let known = (step % 8 != 7).then_some(position);
        let read = receiver.handle_packet(known, packet, &mut samples);
        check(rate, packet, read);
        if packet.is_empty() {
            assert_eq!(receiver.handle_loss(rate.samples(20), &mut samples), rate.samples(20));
        }
    }
}

fn check(rate: Rate, packet: &[u8], read: crate::Read) {
    assert!(read.written <= Receiver::max_output(rate));
    assert_eq!((read.written % rate.unit(), read.recovered % rate.unit()), (0, 0));
    if read.written == 0 {
        return;
    }
    match duration_in_units(packet) {
        Some(units) if !read.was_malformed => assert_eq!(read.written - read.recovered, units * rate.unit()),
        Some(units) => assert_eq!(packet_samples(packet, rate), Ok(units * rate.unit())),
        None => assert!(read.was_malformed),
    }
}

/// The duration of a packet in units of 2.5 ms; `None` if it has no frames or is longer than 120 ms (RFC 6716 §3.1, §3.2.5).
fn duration_in_units(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let frame = match first >> 3 {
        configuration @ 0..=11 => [4, 8, 16, 24][usize::from(configuration % 4)],
        configuration @ 12..=15 => [4, 8][usize::from(configuration % 2)],
        configuration => [1, 2, 4, 8][usize::from(configuration % 4)],
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(packet.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|units| (1..=48).contains(units))
}
