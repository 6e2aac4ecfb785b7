//! The native bridge of res_rtp_asterisk, driven as the core does it: `local_bridge` for both instances, `read` by each channel.

mod common;

use asterisk_sys as sys;
use common::rtp::{FRAME_LEN, Frame, Instance, Packet, Phone, RTCP, RTP};
use host_tests::{Host, Kind, Loading};
use std::time::{Duration, Instant};

const MODULE: &str = "res_rtp_asterisk";

/// The payload types of digits on the two legs.
const EVENTS: [u8; 2] = [101, 96];

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("rtp.conf", "[general]\nrtpstart=30000\nrtpend=30999\nrtcpinterval=500\nstrictrtp=no\n");
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    host
}

/// One end of a bridge: the instance, and the phone that it talks to.
struct Leg {
    instance: Instance,
    phone: Phone,
}

impl Leg {
    fn new(events: u8) -> Self {
        let (instance, phone) = (Instance::new(), Phone::new());
        instance.set_remote(phone.address());
        instance.activate();
        instance.map(0, c"PCMU", 8000);
        instance.map(13, c"CN", 8000);
        instance.map(events.into(), c"telephone-event", 8000);
        Self { instance, phone }
    }

    /// Sends a packet of the phone and reads it once, as the channel does.
    fn send(&mut self, payload_type: u8, marker: bool, payload: &[u8]) -> (Vec<u8>, Vec<Frame>) {
        let packet = self.phone.packet(payload_type, marker, payload);
        (packet.clone(), self.receive(&packet))
    }

    fn receive(&self, packet: &[u8]) -> Vec<Frame> {
        let before = self.instance.stats().rxcount;
        self.phone.rtp.send_to(packet, self.instance.local()).expect("loopback");
        // A packet that a thread of the module passes on does not wake the channel.
        let has_come =
            || self.instance.is_readable(RTP, Duration::from_millis(1)) || self.instance.stats().rxcount > before;
        assert!(common::eventually(has_come), "the packet does not come in");
        self.instance.read(RTP)
    }

    /// Sends a packet of a digit that began at `timestamp`.
    fn digit(&mut self, payload_type: u8, timestamp: u32, event: [u8; 4]) -> Vec<Frame> {
        self.phone.timestamp = timestamp;
        self.send(payload_type, event[2..] == [0, 160], &event).1
    }

    /// Bridges this direction to `peer`, or ends the bridge.
    fn bridge(&self, peer: Option<&Self>) {
        self.instance.bridge(peer.map(|peer| &peer.instance));
    }
}

/// Two legs with a bridge between them.
fn bridged() -> [Leg; 2] {
    let legs = EVENTS.map(Leg::new);
    join(&legs);
    legs
}

fn join([one, other]: &[Leg; 2]) {
    one.bridge(Some(other));
    other.bridge(Some(one));
}

fn part(legs: &[Leg; 2]) {
    for leg in legs {
        leg.bridge(None);
    }
}

const BEGIN: [u8; 4] = [5, 10, 0, 160];
const LASTS: [u8; 4] = [5, 10, 1, 64];
const END: [u8; 4] = [5, 0x8A, 1, 224];

#[test]
fn packets_leave_by_the_other_leg_as_they_came() {
    let _host = host();
    let [mut one, other] = bridged();
    for (number, (payload_type, sent_as)) in [(0, 0), (0, 0), (13, 13), (101, 96), (0, 0)].into_iter().enumerate() {
        let (packet, frames) = one.send(payload_type, number == 4, &[17, 10, 0, 160]);
        assert_eq!(frames, []);
        let mut expected = packet;
        // The first packet of another source has the marker.
        expected[1] = sent_as | if number == 0 || number == 4 { 0x80 } else { 0 };
        assert_eq!(received(&other), expected);
    }
    let (stats, back) = (one.instance.stats(), other.instance.stats());
    assert_eq!((stats.rxcount, back.txcount), (5, 5));
}

fn received(leg: &Leg) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let length = leg.phone.rtp.recv(&mut buffer).expect("a packet within five seconds");
    buffer[..length].to_vec()
}

#[test]
fn repeated_and_late_packets_are_left_to_the_receiver() {
    let _host = host();
    let [mut one, other] = bridged();
    let packets: Vec<_> = (0..4).map(|value| one.phone.packet(0, false, &[value; FRAME_LEN])).collect();
    for number in [0, 2, 1, 1, 3] {
        // Repeated ones are not counted.
        one.phone.rtp.send_to(&packets[number], one.instance.local()).expect("loopback");
        assert_eq!(received(&other)[12..], packets[number][12..]);
    }
    assert_eq!(one.instance.read(RTP), []);
}

#[test]
fn what_the_other_leg_has_not_negotiated_goes_to_the_channel() {
    let _host = host();
    let mut one = Leg::new(101);
    let other = Leg { instance: Instance::new(), phone: Phone::new() };
    other.instance.set_remote(other.phone.address());
    other.instance.map(0, c"PCMU", 8000);
    let legs = [&one, &other];
    legs[0].bridge(Some(legs[1]));
    legs[1].bridge(Some(legs[0]));
    assert_eq!(one.digit(101, 5000, BEGIN), [Frame::DigitBegin(b'5')]);
    // The channel hears everything until the digit is over.
    assert!(matches!(one.send(0, false, &[1; FRAME_LEN]).1[..], [Frame::Voice { .. }]));
    assert_eq!(one.digit(101, 5000, END), [Frame::DigitEnd(b'5')]);
    assert_eq!(one.digit(101, 5000, END), []);
    assert_eq!(one.send(0, false, &[2; FRAME_LEN]).1, []);
    assert_eq!(received(&other)[12..], [2; FRAME_LEN]);
}

#[test]
fn a_digit_that_began_before_the_bridge_is_heard_to_its_end() {
    let _host = host();
    let mut legs = EVENTS.map(Leg::new);
    assert_eq!(legs[0].digit(101, 5000, BEGIN), [Frame::DigitBegin(b'5')]);
    join(&legs);
    let [one, other] = &mut legs;
    assert_eq!(one.digit(101, 5000, LASTS), []);
    assert_eq!(one.digit(101, 5000, END), [Frame::DigitEnd(b'5')]);
    assert_eq!(one.digit(101, 5000, END), []);
    // The next one passes.
    assert_eq!(one.digit(101, 9000, BEGIN), []);
    assert_eq!(received(other)[12..], BEGIN);
}

#[test]
fn the_channel_hears_no_packet_twice_while_it_hears_a_digit() {
    let _host = host();
    let mut legs = EVENTS.map(Leg::new);
    assert_eq!(legs[0].digit(101, 5000, BEGIN), [Frame::DigitBegin(b'5')]);
    join(&legs);
    let [one, other] = &mut legs;
    let (packet, frames) = one.send(0, false, &[1; FRAME_LEN]);
    assert!(matches!(frames[..], [Frame::Voice { .. }]));
    assert_eq!(one.receive(&packet), []);
    assert_eq!(one.digit(101, 5000, END), [Frame::DigitEnd(b'5')]);
    // The phone at the other end judges repetitions itself.
    let (packet, _) = one.send(0, false, &[2; FRAME_LEN]);
    one.phone.rtp.send_to(&packet, one.instance.local()).expect("loopback");
    for _ in 0..2 {
        assert_eq!(received(other)[12..], [2; FRAME_LEN]);
    }
}

#[test]
fn a_digit_that_went_by_the_bridge_is_not_heard_again_afterwards() {
    let _host = host();
    let mut legs = bridged();
    assert_eq!(legs[0].digit(101, 5000, BEGIN), []);
    assert_eq!(received(&legs[1])[12..], BEGIN);
    part(&legs);
    let one = &mut legs[0];
    assert_eq!(one.digit(101, 5000, LASTS), []);
    assert_eq!(one.digit(101, 5000, END), []);
    assert_eq!(one.digit(101, 9000, BEGIN), [Frame::DigitBegin(b'5')]);
}

#[test]
fn while_the_other_leg_sends_a_digit_of_the_channel_packets_go_to_the_channel() {
    let _host = host();
    let [mut one, other] = bridged();
    other.instance.dtmf_begin(b'1');
    assert_eq!(other.phone.receive().payload_type, 96);
    assert!(matches!(one.send(0, false, &[1; FRAME_LEN]).1[..], [Frame::Voice { .. }]));
    other.instance.dtmf_end(b'1', 100);
    assert_eq!(one.send(0, false, &[2; FRAME_LEN]).1, []);
    let voice = std::iter::repeat_with(|| other.phone.receive()).find(|packet| packet.payload_type == 0);
    assert_eq!(voice.map(|packet| (packet.ssrc, packet.payload)), Some((one.phone.ssrc, vec![2; FRAME_LEN])));
}

#[test]
fn after_the_bridge_each_leg_sends_as_itself_again() {
    let _host = host();
    let mut legs = EVENTS.map(Leg::new);
    legs[1].instance.write(1);
    let before = legs[1].phone.receive();
    join(&legs);
    assert_eq!(legs[0].send(0, false, &[2; FRAME_LEN]).1, []);
    assert_eq!(legs[1].phone.receive().ssrc, legs[0].phone.ssrc);
    part(&legs);
    assert!(matches!(legs[0].send(0, false, &[3; FRAME_LEN]).1[..], [Frame::Voice { .. }]));
    legs[1].instance.write(4);
    let after = legs[1].phone.receive();
    assert_eq!((after.ssrc, after.marker), (before.ssrc, true));
    assert_eq!(after.sequence_number, before.sequence_number.wrapping_add(1));
    assert_eq!(after.payload, [4; FRAME_LEN]);
}

#[test]
fn nothing_is_passed_on_to_a_leg_on_hold() {
    let _host = host();
    let [mut one, mut other] = bridged();
    // A hold is a description, `stop`, `activate`; its end a description and `activate`.
    other.instance.set_remote(other.phone.address());
    other.instance.stop();
    other.instance.activate();
    assert_eq!(one.send(0, false, &[1; FRAME_LEN]).1, []);
    other.instance.set_remote(other.phone.address());
    other.instance.activate();
    assert_eq!(one.send(0, false, &[2; FRAME_LEN]).1, []);
    assert_eq!(other.phone.receive().payload, [2; FRAME_LEN]);
    assert_eq!(other.send(0, false, &[3; FRAME_LEN]).1, []);
    assert_eq!(one.phone.receive().payload, [3; FRAME_LEN]);
}

#[test]
fn reports_are_about_the_source_that_the_phone_hears() {
    let _host = host();
    let [mut one, other] = bridged();
    let end = Instant::now() + Duration::from_secs(10);
    let mut buffer = [0; 1500];
    other.phone.rtcp.set_read_timeout(Some(Duration::from_millis(5))).expect("a timeout");
    while Instant::now() < end {
        assert_eq!(one.send(0, false, &[1; FRAME_LEN]).1, []);
        other.phone.receive();
        if let Ok(length) = other.phone.rtcp.recv(&mut buffer) {
            assert!(length >= 28);
            assert_eq!(buffer[1], 200, "a sender report");
            assert_eq!(buffer[4..8], one.phone.ssrc.to_be_bytes());
            return;
        }
    }
    panic!("no report");
}

#[test]
fn the_story_of_a_bridged_call_has_what_the_phone_reports() {
    let host = host();
    let [mut one, other] = bridged();
    assert_eq!(one.send(0, false, &[1; FRAME_LEN]).1, []);
    other.phone.receive();
    let mut report = vec![0x81, 201, 0, 7];
    report.extend_from_slice(&other.phone.ssrc.to_be_bytes());
    report.extend_from_slice(&one.phone.ssrc.to_be_bytes());
    report.extend_from_slice(&[64, 0, 0, 3]); // a quarter lost since the last report, three in total
    report.extend_from_slice(&[0; 16]);
    other.phone.rtcp.send_to(&report, other.instance.local_rtcp()).expect("loopback");
    let session = format!("rtp show session {}", other.instance.local().port());
    assert!(common::eventually(|| {
        if other.instance.is_readable(RTCP, Duration::from_millis(1)) {
            other.instance.read(RTCP);
        }
        host.command(&session).1.contains("RTCP: the peer reports 25.0 % lost")
    }));
}

#[test]
fn a_leg_that_is_destroyed_leaves_the_other_to_its_channel() {
    let host = host();
    let [mut one, other] = bridged();
    assert_eq!(one.send(0, false, &[1; FRAME_LEN]).1, []);
    assert_eq!(other.phone.receive().payload, [1; FRAME_LEN]);
    drop(other);
    assert!(matches!(one.send(0, false, &[2; FRAME_LEN]).1[..], [Frame::Voice { .. }]));
    drop(one);
    assert_eq!(host.objects_alive(), 0);
    assert!(host.unload(MODULE), "{}", host.log());
    assert!(!host.is_mapped(MODULE));
}

/// The channel of either leg has a thread of its own on Asterisk 16 and later.
#[test]
fn both_directions_pass_at_once() {
    let _host = host();
    let [one, other] = bridged();
    const PACKETS: usize = 150;
    let ears = [&one, &other].map(|leg| leg.phone.rtp.try_clone().expect("a descriptor"));
    let talk = |mut leg: Leg, ear: std::net::UdpSocket| {
        move || {
            let mut heard = 0;
            for number in 0..PACKETS {
                assert_eq!(leg.send(0, false, &[number as u8; FRAME_LEN]).1, []);
            }
            let mut buffer = [0; 2048];
            while heard < PACKETS && ear.recv(&mut buffer).is_ok() {
                heard += 1;
            }
            (leg, heard)
        }
    };
    let [ear, other_ear] = ears;
    let threads = [std::thread::spawn(talk(one, ear)), std::thread::spawn(talk(other, other_ear))];
    // Both legs live until both threads are through.
    let ended = threads.map(|thread| thread.join().expect("no deadlock, no panic"));
    for (_, heard) in &ended {
        assert_eq!(*heard, PACKETS);
    }
}

#[test]
fn a_keepalive_is_not_needed_while_packets_are_passed_on() {
    let _host = host();
    let [mut one, other] = bridged();
    one.send(0, false, &[1; FRAME_LEN]);
    other.phone.receive();
    // SAFETY: the instance is ours.
    assert_eq!(unsafe { sys::ast_rtp_instance_sendcng(other.instance.as_ptr(), 0) }, 0);
    one.send(0, false, &[2; FRAME_LEN]);
    let Packet { payload_type, ssrc, .. } = other.phone.receive();
    assert_eq!((payload_type, ssrc), (0, one.phone.ssrc));
}
