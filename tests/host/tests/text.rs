//! res_rtp_asterisk between chan_sip and a text phone (T.140, RFC 4103): with redundancy and without.

mod common;

use asterisk_sys as sys;
use common::rtp::{Frame, Instance, Packet, Phone, RTP};
use host_tests::{Host, Kind, Loading};
use std::{
    ffi::{c_int, c_void},
    thread,
    time::{Duration, Instant},
};

/// The payload types of the phone: they are not those that the host would use.
const RED: u8 = 100;
const T140: u8 = 98;

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("rtp.conf", "[general]\nrtpstart=30000\nrtpend=30999\nstrictrtp=no\n");
    assert_eq!(host.load("res_rtp_asterisk"), Loading::Loaded, "{}", host.log());
    host
}

/// A call with text; with redundancy the host says so as chan_sip does.
fn call(redundancy: bool) -> (Instance, Phone) {
    let (instance, phone) = (Instance::new(), Phone::new());
    instance.set_remote(phone.address());
    if redundancy {
        start_redundancy(&instance, &mut [T140.into(); 3]);
    }
    instance.map(T140.into(), c"T140", 1000);
    instance.map(RED.into(), c"RED", 1000);
    (instance, phone)
}

fn start_redundancy(instance: &Instance, payloads: &mut [c_int; 3]) {
    // SAFETY: the instance is ours, and the payload types of two generations and the newest text live during the call.
    assert_eq!(unsafe { sys::ast_rtp_red_init(instance.as_ptr(), 300, payloads.as_mut_ptr(), 2) }, 0);
}

/// Sends text as chan_sip does, with redundancy or without. Returns whether the engine took it.
fn send(instance: &Instance, redundancy: bool, text: &str, samples: c_int) -> bool {
    let mut octets = vec![0; sys::AST_FRIENDLY_OFFSET as usize];
    octets.extend_from_slice(text.as_bytes());
    let mut frame = sys::ast_frame {
        frametype: sys::AST_FRAME_TEXT,
        datalen: text.len() as c_int,
        samples,
        offset: sys::AST_FRIENDLY_OFFSET,
        src: c"test".as_ptr(),
        ..Default::default()
    };
    frame.data.ptr = octets[sys::AST_FRIENDLY_OFFSET as usize..].as_mut_ptr().cast::<c_void>();
    // SAFETY: the instance is ours, and the frame lives during the call.
    unsafe {
        sys::ast_format_set(&raw mut frame.subclass.format, sys::AST_FORMAT_T140, 0);
        match redundancy {
            true => sys::ast_rtp_red_buffer(instance.as_ptr(), &raw mut frame) == 0,
            false => sys::ast_rtp_instance_write(instance.as_ptr(), &raw mut frame) == 0,
        }
    }
}

/// Takes a packet of redundant data (RFC 2198 §3) apart: the texts of its blocks, the newest last.
fn blocks(packet: &Packet) -> Vec<String> {
    let (mut headers, mut lengths) = (packet.payload.as_slice(), Vec::new());
    while let [first @ 0x80..=0xff, _, middle, low, rest @ ..] = headers {
        assert_eq!(first & 0x7f, T140);
        lengths.push(usize::from(u16::from_be_bytes([middle & 3, *low])));
        headers = rest;
    }
    let (newest, mut data) = headers.split_first().expect("a primary block");
    assert_eq!(*newest, T140);
    let mut texts = Vec::new();
    for length in lengths {
        let (block, rest) = data.split_at(length);
        texts.push(String::from_utf8(block.to_vec()).expect("UTF-8"));
        data = rest;
    }
    texts.push(String::from_utf8(data.to_vec()).expect("UTF-8"));
    texts
}

#[test]
fn text_goes_out_in_red_and_is_repeated_twice() {
    let _host = host();
    let (instance, phone) = call(true);
    assert!(send(&instance, true, "ol", 0));
    let first = phone.receive();
    assert_eq!(
        (first.payload_type, first.marker, blocks(&first)),
        (RED, true, vec!["".into(), "".into(), "ol".into()])
    );
    assert!(send(&instance, true, "á", 0) && send(&instance, true, "!", 0));
    let expected = [["", "ol", "á!"], ["ol", "á!", ""], ["á!", "", ""]];
    let mut before = first;
    for texts in expected {
        let packet = phone.receive();
        assert_eq!(
            (packet.payload_type, packet.marker, blocks(&packet)),
            (RED, false, texts.map(str::to_owned).to_vec())
        );
        assert_eq!(packet.sequence_number, before.sequence_number.wrapping_add(1));
        // A busy machine may be late, and is then dated by the clock.
        assert!(packet.timestamp.wrapping_sub(before.timestamp) >= 300);
        before = packet;
    }
    phone.rtp.set_read_timeout(Some(Duration::from_millis(700))).expect("a timeout");
    assert!(phone.rtp.recv(&mut [0; 64]).is_err(), "idle");
}

#[test]
fn the_end_of_a_call_sends_the_text_that_waits() {
    let host = host();
    let (instance, phone) = call(true);
    // Another offer with text does not lose what waits.
    assert!(send(&instance, true, "bye", 0) && send(&instance, true, " bye", 0));
    start_redundancy(&instance, &mut [-7; 3]);
    instance.stop();
    for texts in [["", "", "bye"], ["", "bye", " bye"], ["bye", " bye", ""], [" bye", "", ""]] {
        assert_eq!(blocks(&phone.receive()), texts);
    }
    assert!(!send(&instance, true, "too late", 0) && !send(&instance, true, "too late", 0));
    let log = host.log();
    assert_eq!(log.matches("8 octets of text (T.140) were not sent").count(), 1, "{log}");
}

#[test]
fn text_without_redundancy_keeps_the_time_of_its_source() {
    let _host = host();
    let (instance, phone) = call(false);
    let mut before = None;
    for (text, samples) in [("a", 0), ("b", 300), ("c", 300), ("d", 290)] {
        assert!(send(&instance, false, text, samples));
        let now = Instant::now();
        let packet = phone.receive();
        assert_eq!((packet.payload_type, packet.payload.as_slice()), (T140, text.as_bytes()));
        // On a machine that is too busy to send in time, the clock counts instead.
        if let Some((before, then)) = before.replace((packet.timestamp, now))
            && now - then < Duration::from_millis(400)
        {
            assert_eq!(packet.timestamp.wrapping_sub(before), samples.cast_unsigned());
        }
        thread::sleep(Duration::from_millis(300));
    }
    // An offer without RED in mid-call: the host then writes frames.
    let (instance, phone) = call(true);
    assert!(send(&instance, true, "e", 0) && send(&instance, true, "f", 0) && send(&instance, false, "g", 0));
    let texts: Vec<_> = (0..3).map(|_| phone.receive()).map(|packet| (packet.payload_type, packet.payload)).collect();
    assert_eq!(texts[0].0, RED);
    assert_eq!(texts[1..], [(T140, b"f".to_vec()), (T140, b"g".to_vec())]);
}

/// Writes the packet of `words` whose newest is number `newest`.
fn redundant(phone: &mut Phone, words: &[&str], newest: usize) -> Vec<u8> {
    let word = |back: usize| newest.checked_sub(back).map_or("", |number| words[number]);
    let mut payload = Vec::new();
    for back in [2, 1] {
        let offset_and_len = (back as u32 * 300) << 10 | word(back).len() as u32;
        payload.push(0x80 | T140);
        payload.extend_from_slice(&offset_and_len.to_be_bytes()[1..]);
    }
    payload.push(T140);
    [2, 1, 0].into_iter().for_each(|back| payload.extend_from_slice(word(back).as_bytes()));
    let packet = phone.packet(RED, newest == 0, &payload);
    phone.timestamp = phone.timestamp.wrapping_add(300);
    packet
}

/// Reads text until `end` has come.
fn read(instance: &Instance, end: &str) -> (String, Vec<c_int>) {
    let (mut all, mut times) = (String::new(), Vec::new());
    instance.read_until(|frame| {
        if let Frame::Text { format: sys::AST_FORMAT_T140, text, samples } = frame {
            all.push_str(text);
            times.push(*samples);
        }
        all.ends_with(end).then_some(())
    });
    (all, times)
}

const WORDS: [&str; 12] =
    ["one ", "two ", "three ", "four ", "five ", "six ", "seven ", "eight ", "nine ", "ten ", "eleven ", "twelve "];

#[test]
fn text_of_lost_packets_comes_from_those_after_them() {
    let _host = host();
    let (instance, mut phone) = call(true);
    for number in 0..WORDS.len() {
        let packet = redundant(&mut phone, &WORDS, number);
        if ![1, 2, 5].contains(&number) {
            phone.rtp.send_to(&packet, instance.local()).expect("loopback");
        }
    }
    let (text, times) = read(&instance, "twelve ");
    assert_eq!(text, WORDS.concat());
    assert_eq!(times, [0, 900, 300, 600, 300, 300, 300, 300, 300]);
}

#[test]
fn text_that_is_gone_is_marked_once_and_lies_change_nothing() {
    let host = host();
    let (instance, mut phone) = call(true);
    for number in 0..WORDS.len() {
        let packet = redundant(&mut phone, &WORDS, number);
        if !(2..7).contains(&number) {
            phone.rtp.send_to(&packet, instance.local()).expect("loopback");
            phone.rtp.send_to(&packet, instance.local()).expect("loopback");
        }
    }
    assert_eq!(read(&instance, "twelve ").0, "one two \u{FFFD}six seven eight nine ten eleven twelve ");
    let lies: [&[u8]; 6] = [&[], &[0x80], &[0x80 | T140, 0, 3, 0xff, T140, 1], &[0xff; 40], &[0x80; 1400], &[T140]];
    for lie in lies {
        let packet = phone.packet(RED, false, lie);
        phone.rtp.send_to(&packet, instance.local()).expect("loopback");
        if instance.is_readable(RTP, Duration::from_secs(1)) {
            assert_eq!(instance.read(RTP), []);
        }
    }
    let packet = phone.packet(T140, false, "€".as_bytes());
    phone.rtp.send_to(&packet, instance.local()).expect("loopback");
    assert_eq!(read(&instance, "€").0, "\u{FFFD}€", "a packet that lies is lost");
    let (_, shown) = host.command("rtp show sessions");
    assert!(shown.contains("malformed"), "{shown}");
}

#[test]
fn what_is_no_text_is_replaced_before_the_host_reads_it() {
    let _host = host();
    let (instance, mut phone) = call(false);
    for payload in [&b"a\xFFb"[..], b"\xE2\x82", "€.".as_bytes()] {
        let packet = phone.packet(T140, false, payload);
        phone.rtp.send_to(&packet, instance.local()).expect("loopback");
    }
    assert_eq!(read(&instance, ".").0, "a\u{FFFD}b\u{FFFD}€.", "RFC 3629 section 10");
}
