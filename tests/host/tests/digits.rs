//! Digits and sequence numbers of senders with habits of their own, as frames of the host.

mod common;

use common::rtp::{FRAME_LEN, Frame, Instance, Phone, RTP};
use host_tests::{Host, Kind, Loading};
use std::time::Duration;

const MODULE: &str = "res_rtp_asterisk";

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("rtp.conf", "[general]\nrtpstart=30000\nrtpend=30999\n");
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    host
}

fn call() -> (Instance, Phone) {
    let (instance, phone) = (Instance::new(), Phone::new());
    instance.map(0, c"PCMU", 8000);
    instance.set_remote(phone.address());
    instance.activate();
    (instance, phone)
}

/// One source of packets.
#[derive(Clone, Copy)]
struct Source {
    ssrc: u32,
    number: u16,
    timestamp: u32,
}

impl Source {
    const VOICE: Self = Self { ssrc: 1, number: 65_530, timestamp: 0xFFFF_FF00 };

    /// Sends a packet and returns the frames that it becomes.
    fn send(self, call: &(Instance, Phone), payload_type: u8, payload: &[u8]) -> Vec<Frame> {
        let (instance, phone) = call;
        let mut packet = vec![0x80, payload_type];
        packet.extend_from_slice(&self.number.to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
        phone.rtp.send_to(&packet, instance.local()).expect("loopback");
        assert!(instance.is_readable(RTP, Duration::from_secs(5)));
        instance.read(RTP)
    }

    fn voice(self, call: &(Instance, Phone)) -> Vec<Frame> {
        self.send(call, 0, &[7; FRAME_LEN])
    }

    fn event(self, call: &(Instance, Phone), key: u8, duration: u16, end: bool) -> Vec<Frame> {
        let [high, low] = duration.to_be_bytes();
        self.send(call, 101, &[key, if end { 0x8A } else { 0x0A }, high, low])
    }

    fn next(&mut self) -> Self {
        let this = *self;
        self.number = self.number.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME_LEN as u32);
        this
    }
}

fn voices(frames: &[Frame]) -> usize {
    frames.iter().filter(|frame| frame.voice().is_some()).count()
}

#[test]
fn a_peer_that_agreed_on_no_telephone_event_is_sent_none() {
    let host = host();
    let (instance, phone) = call();
    assert!(!instance.tries_dtmf_begin(b'5'));
    assert!(host.log().contains("telephone-event"), "{}", host.log());
    phone.rtp.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    assert!(phone.rtp.recv(&mut [0; 2048]).is_err());
    instance.map(98, c"telephone-event", 8000);
    instance.dtmf_begin(b'5');
    assert_eq!(phone.receive().payload_type, 98);
}

#[test]
fn digits_under_an_ssrc_of_their_own_do_not_disturb_the_audio() {
    let _host = host();
    let call = call();
    call.0.map(101, c"telephone-event", 8000);
    let (mut voice, mut digits) = (Source::VOICE, Source { ssrc: 2, number: 1000, timestamp: 90_000 });
    let mut frames = voice.next().voice(&call);
    for key in 1..=4 {
        for step in 1..=11 {
            frames.extend(digits.event(&call, key, 160 * step.min(8), step > 8));
            digits.number += 1;
            frames.extend(voice.next().voice(&call));
        }
        (digits.number, digits.timestamp) = (digits.number + 700, digits.timestamp + 4000);
    }
    assert_eq!(voices(&frames), 45);
    frames.retain(|frame| frame.voice().is_none());
    let expected = b"1234".iter().flat_map(|key| [Frame::DigitBegin(*key), Frame::DigitEnd(*key)]);
    assert_eq!(frames, expected.collect::<Vec<_>>());
    assert_eq!(call.0.stats().remote_ssrc, 1);
}

#[test]
fn a_new_source_of_audio_is_announced_once() {
    let _host = host();
    let call = call();
    let (mut old, mut new) = (Source::VOICE, Source { ssrc: 3, number: 7, timestamp: 7 });
    old.next().voice(&call);
    let frames: Vec<_> = (0..3).flat_map(|_| new.next().voice(&call)).collect();
    let [Frame::Other(asterisk_sys::AST_FRAME_CONTROL), rest @ ..] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((rest.len(), voices(rest)), (3, 3));
}

#[test]
fn all_packets_are_heard_of_a_sender_that_does_not_count_or_jumps() {
    let _host = host();
    let call = call();
    let mut voice = Source::VOICE;
    let heard: usize = (0..30).map(|_| voices(&Source { number: 4711, ..voice.next() }.voice(&call))).sum();
    assert_eq!(heard, 30, "the number stands still");
    assert_eq!(voices(&Source { number: 4711, ..voice }.voice(&call)), 1);
    assert_eq!(voices(&Source { number: 4711, ..voice }.voice(&call)), 0, "a duplicate");
    let jump = |at| if at < 15 { 0 } else { 5000 };
    let mut voice = Source { ssrc: 5, ..Source::VOICE };
    let heard: usize = (0..30)
        .map(|at| {
            let packet = voice.next();
            voices(&Source { number: packet.number.wrapping_add(jump(at)), ..packet }.voice(&call))
        })
        .sum();
    assert_eq!(heard, 30, "the number jumps");
}

#[test]
fn digits_count_once_where_the_number_stands_still_and_ends_come_late() {
    let _host = host();
    let call = call();
    call.0.map(101, c"telephone-event", 8000);
    let mut frames = Vec::new();
    let mut first = Source::VOICE;
    first.voice(&call);
    for key in [1, 2] {
        first.timestamp = first.timestamp.wrapping_add(1600);
        for (duration, end) in [(160, false), (320, false), (480, true), (480, true)] {
            frames.extend(first.event(&call, key, duration, end));
        }
    }
    let late = Source { timestamp: first.timestamp.wrapping_sub(1600), number: first.number.wrapping_add(1), ..first };
    frames.extend(late.event(&call, 1, 480, true));
    let expected = b"12".iter().flat_map(|key| [Frame::DigitBegin(*key), Frame::DigitEnd(*key)]);
    assert_eq!(frames, expected.collect::<Vec<_>>());
}
