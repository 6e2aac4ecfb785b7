//! Threads of the module carry the packets of bridged calls; the descriptor that the channel polls stays silent.

mod common;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::rtp::{FRAME_LEN, Frame, Instance, Packet, Phone, RTP};
use common::{eventually, settled_footprint};
use host_tests::{Host, Kind, Loading};

const MODULE: &str = "res_rtp_asterisk";

/// How long a channel waits for its descriptor.
const MOMENT: Duration = Duration::from_millis(5);

fn host() -> Host {
    host_with("")
}

fn host_with(more: &str) -> Host {
    let host = Host::start(Kind::Newest);
    let settings = "[general]\nrtpstart=30000\nrtpend=30999\nrtcpinterval=60000\nstrictrtp=no\n";
    host.configure("rtp.conf", &format!("{settings}{more}\n"));
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    host
}

/// An instance and the phone that it talks to. The other one has no digits.
fn leg(has_digits: bool) -> (Instance, Phone) {
    let (instance, phone) = (Instance::new(), Phone::new());
    instance.set_remote(phone.address());
    instance.activate();
    instance.map(0, c"PCMU", 8000);
    if has_digits {
        instance.map(101, c"telephone-event", 8000);
    }
    (instance, phone)
}

/// Sends a packet that has this number as its payload's beginning.
fn send_number(phone: &mut Phone, to: SocketAddr, number: u32) {
    let mut payload = [0; FRAME_LEN];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    let packet = phone.packet(0, false, &payload);
    phone.timestamp = phone.timestamp.wrapping_add(FRAME_LEN as u32);
    phone.rtp.send_to(&packet, to).expect("loopback");
}

fn number_in(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().expect("a payload"))
}

#[test]
fn packets_pass_while_no_channel_reads() {
    for ice in ["yes", "no"] {
        let host = host_with(&format!("icesupport={ice}"));
        let ((one, mut phone), (other, ear)) = (leg(true), leg(true));
        let before = [&one, &other].map(|leg| leg.descriptor(RTP));
        one.bridge(Some(&other));
        other.bridge(Some(&one));
        for number in 0..50 {
            send_number(&mut phone, one.local(), number);
            assert_eq!(number_in(&ear.receive().payload), number);
        }
        assert_eq!([&one, &other].map(|leg| leg.descriptor(RTP)), before, "the channel polls these");
        assert_eq!((one.stats().rxcount, other.stats().txcount), (50, 50));
        // It was woken once, because packets have begun to come.
        assert!(one.is_readable(RTP, MOMENT));
        assert_eq!(one.read(RTP), []);
        assert!(!one.is_readable(RTP, MOMENT));
        one.bridge(None);
        other.bridge(None);
        send_number(&mut phone, one.local(), 7);
        assert!(one.is_readable(RTP, Duration::from_secs(5)), "the channel is woken again");
        assert!(matches!(&one.read(RTP)[..], [Frame::Voice { payload, .. }] if number_in(payload) == 7));
        drop((one, other));
        assert_eq!(host.objects_alive(), 0);
    }
}

/// The channel's drivers end calls of which nothing was read for `rtptimeout`.
#[test]
fn the_channel_is_woken_about_once_a_second_while_packets_come() {
    let _host = host();
    let ((one, mut phone), (other, _ear)) = (leg(true), leg(true));
    one.bridge(Some(&other));
    let (begin, mut wakes) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_millis(2500) {
        send_number(&mut phone, one.local(), 0);
        if one.is_readable(RTP, MOMENT) {
            assert_eq!(one.read(RTP), []);
            wakes += 1;
        }
    }
    assert!((2..=4).contains(&wakes), "{wakes}");
    // Nor is it while none come.
    assert!(!one.is_readable(RTP, Duration::from_millis(1300)));
}

#[test]
fn a_digit_that_the_other_phone_cannot_have_wakes_the_channel() {
    let _host = host();
    let ((one, mut phone), (other, ear)) = (leg(true), leg(false));
    one.bridge(Some(&other));
    send_number(&mut phone, one.local(), 1);
    assert_eq!(number_in(&ear.receive().payload), 1);
    phone.timestamp = 5000;
    for event in [[5, 10, 0, 160], [5, 10, 1, 64], [5, 0x8A, 1, 224]] {
        let packet = phone.packet(101, event[2..] == [0, 160], &event);
        phone.rtp.send_to(&packet, one.local()).expect("loopback");
    }
    // The channel hears what comes during the digit.
    send_number(&mut phone, one.local(), 2);
    let mut heard = VecDeque::new();
    assert!(eventually(|| {
        if one.is_readable(RTP, MOMENT) {
            heard.extend(one.read(RTP));
        }
        heard.contains(&Frame::DigitEnd(b'5'))
    }));
    assert_eq!(heard.pop_front(), Some(Frame::DigitBegin(b'5')));
    // The channel passes on itself what came while it had not read.
    while one.is_readable(RTP, 10 * MOMENT) {
        assert_eq!(one.read(RTP), []);
    }
    assert_eq!(number_in(&ear.receive().payload), 2, "the digit was over");
    send_number(&mut phone, one.local(), 3);
    assert_eq!(number_in(&ear.receive().payload), 3);
}

/// A phone talks while the bridge comes and goes: each packet is heard once and in order, by the channel or by the other phone.
#[test]
fn nothing_is_lost_or_repeated_when_the_bridge_begins_and_ends() {
    const PACKETS: u32 = 1000;
    let _host = host();
    let ((one, mut phone), (other, ear)) = (leg(true), leg(true));
    let (heard, by_ear) = mpsc::channel();
    let done = AtomicBool::new(false);
    let (mut by_channel, mut turns) = (Vec::new(), 0);
    thread::scope(|scope| {
        ear.rtp.set_read_timeout(Some(MOMENT)).expect("a timeout");
        scope.spawn(|| {
            let mut buffer = [0; 2048];
            while !done.load(Ordering::Relaxed) {
                if let Ok((length, from)) = ear.rtp.recv_from(&mut buffer) {
                    heard.send(number_in(&Packet::parse(&buffer[..length], from).payload)).expect("listened to");
                }
            }
        });
        let (talk, talked) = mpsc::channel();
        let to = one.local();
        scope.spawn(move || {
            for number in 0..PACKETS {
                send_number(&mut phone, to, number);
                // Now and then several at once.
                if number % 7 != 0 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            talk.send(()).expect("waited for");
        });
        let (mut is_over, mut is_bridged, mut turned) = (None, false, Instant::now());
        while is_over.is_none_or(|over: Instant| over.elapsed() < Duration::from_millis(300)) {
            if turned.elapsed() > Duration::from_millis(20) {
                (is_bridged, turned, turns) = (!is_bridged, Instant::now(), turns + 1);
                one.bridge(is_bridged.then_some(&other));
            }
            if one.is_readable(RTP, Duration::from_millis(1)) {
                by_channel.extend(one.read(RTP).iter().filter_map(Frame::voice).map(|payload| number_in(&payload)));
            }
            is_over = is_over.or_else(|| talked.try_recv().ok().map(|()| Instant::now()));
        }
        done.store(true, Ordering::Relaxed);
    });
    let by_ear: Vec<_> = by_ear.try_iter().collect();
    assert!(by_ear.is_sorted() && by_channel.is_sorted(), "{by_ear:?} {by_channel:?}");
    let mut all = [by_ear.clone(), by_channel.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..PACKETS).collect::<Vec<_>>());
    assert!(turns > 10 && !by_ear.is_empty() && !by_channel.is_empty(), "{turns}");
}

#[test]
fn a_call_may_end_while_its_packets_are_carried() {
    let host = host();
    let before = settled_footprint();
    for round in 0..20 {
        let ((one, mut phone), (other, ear)) = (leg(true), leg(true));
        one.bridge(Some(&other));
        other.bridge(Some(&one));
        let to = one.local();
        let mut ends = [Some(one), Some(other)];
        for number in 0..100 {
            phone.send(to, number);
            if number == 50 {
                // Either may be the first.
                ends[round % 2] = None;
            }
        }
        drop((ends, ear));
    }
    assert_eq!(host.objects_alive(), 0);
    assert!(host.unload(MODULE), "{}", host.log());
    assert!(!host.is_mapped(MODULE));
    // The engine's own thread has ended as well.
    let after = settled_footprint();
    assert!(after.0 < before.0 && after.1 < before.1, "{after:?} after {before:?}");
}
