//! Packets that a phone should not send, and some that it may.

use e2e::differential::stream::{Stream, Talk};
use e2e::rtp::Rtp;

const FORMATS: &[(u8, &str)] = &[(0, "PCMU/8000"), (13, "CN/8000"), (101, "telephone-event/8000")];

pub fn streams() -> Vec<Stream> {
    [headers(), datagrams(), noise()].concat()
}

fn trace(name: &'static str, talk: Talk) -> Stream {
    Stream::new(name, "trace", FORMATS).with(talk)
}

/// A talk in which the packets from the fifth to the tenth are changed.
fn changed(change: impl Fn(&mut Talk)) -> Talk {
    let talk = Talk::new(0).send(5).change(change).send(5);
    let next = talk.next.clone();
    talk.change(|talk| {
        let Rtp { sequence, timestamp, .. } = next;
        let kept = Talk::new(0).next;
        talk.next = Rtp { sequence, timestamp, marker: false, ..kept };
    })
    .send(5)
}

/// A talk with a datagram between.
fn between(datagram: &[u8]) -> Talk {
    Talk::new(0).send(5).raw(datagram).send(5)
}

fn headers() -> Vec<Stream> {
    let header = |name, change: fn(&mut Talk)| trace(name, changed(change));
    vec![
        header("padding", |talk| talk.next.padding = 4).reduced(),
        header("extension", |talk| talk.next.extension = Some((0xBEDE, vec![0x10, 7, 0, 0]))).reduced(),
        header("long-extension", |talk| talk.next.extension = Some((0x1000, vec![3; 64]))),
        header("empty-extension", |talk| talk.next.extension = Some((0xBEDE, Vec::new()))),
        header("sources-that-contribute", |talk| talk.next.csrc = vec![1, 2, 3]).reduced(),
        header("everything", |talk| {
            (talk.next.csrc, talk.next.padding) = (vec![1], 8);
            talk.next.extension = Some((0xBEDE, vec![0; 8]));
        }),
        header("marked-each", |talk| talk.next.marker = true),
        header("unknown-type", |talk| talk.next.payload_type = 77),
        header("unknown-dynamic-type", |talk| talk.next.payload_type = 120),
        header("another-codec", |talk| talk.next.payload_type = 8),
        header("another-codec-gsm", |talk| {
            talk.next.payload_type = 3;
            *talk = talk.clone().frames(&[0xD5; 33], 20, 160);
        }),
    ]
}

fn datagrams() -> Vec<Stream> {
    let packet = Talk::new(0).next;
    let wire = |change: fn(&mut Vec<u8>)| {
        let mut wire = Rtp { payload: vec![0x55; 160], sequence: 1004, ..packet.clone() }.write();
        change(&mut wire);
        wire
    };
    let one = |name, datagram: &[u8]| trace(name, between(datagram));
    vec![
        one("empty-datagram", &[]),
        one("one-octet", &[0x80]),
        one("eleven-octets", &[0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]),
        one("header-alone", &Rtp { sequence: 1004, ..packet.clone() }.write()),
        one("version-0", &wire(|wire| wire[0] = 0x00)),
        one("version-1", &wire(|wire| wire[0] = 0x40)),
        one("version-3", &wire(|wire| wire[0] = 0xC0)),
        one("padding-of-200", &wire(|wire| (wire[0], wire[171]) = (0xA0, 200))),
        one("padding-of-0", &wire(|wire| (wire[0], wire[171]) = (0xA0, 0))),
        one("padding-alone", &wire(|wire| (wire[0], wire[171]) = (0xA0, 160))),
        one("fifteen-sources-in-sixteen-octets", &[0x8F, 0, 3, 0xEC, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]),
        one("extension-beyond-the-end", &wire(|wire| (wire[0], wire[14], wire[15]) = (0x90, 0xFF, 0xFF))),
        one("crlf-keepalive", b"\r\n\r\n"),
        one("stun-request", &stun()),
        one("stun-indication", &[&[0, 0x11], &stun()[2..]].concat()),
        one("a-report-at-the-port-of-rtp", &[0x80, 201, 0, 1, 0, 0, 0, 1]),
        one("dtls-at-the-port-of-rtp", &[22, 0xFE, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]),
        trace("1400-octets", Talk::new(0).framed(1400, 175, 1400).send(4)),
    ]
}

/// A Binding request without attributes (RFC 8489 §5).
fn stun() -> Vec<u8> {
    [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], b"twelve octet"].concat()
}

/// Comfort noise (RFC 3389).
fn noise() -> Vec<Stream> {
    let silent = |payload: Vec<u8>| {
        let talk = Talk::new(0).send(5);
        let packet = Rtp { payload_type: 13, payload, ..talk.next.clone() }.write();
        talk.raw(&packet).change(|talk| talk.next.sequence += 1).pause(10).send(5)
    };
    vec![
        trace("noise", silent(vec![70])),
        trace("noise-with-coefficients", silent(vec![70, 1, 2, 3])),
        trace("noise-without-level", silent(Vec::new())),
        Stream::new("noise-bridged", "bridge", FORMATS).with(silent(vec![70])),
        Stream::new("noise-through-the-core", "core", FORMATS).with(silent(vec![70])),
        Stream::new("nothing-is-sent", "hear", FORMATS).with(Talk::new(0).send(30)),
        Stream::new("nothing-is-received", "whistle", FORMATS).resting(600),
    ]
}
