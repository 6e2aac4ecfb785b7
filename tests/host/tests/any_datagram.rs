//! No datagram makes `read` return NULL, or changes a call that is up: the inputs of the fuzz targets and what becomes of them go to the
//! sockets of running calls, from the peer's address and from a stranger's.

mod common;

use common::rtp::{FRAME_LEN, Frame, Instance, Phone, RTCP, RTP};
use common::sdes::SdesCall;
use e2e::datagrams::Datagrams;
use host_tests::{Host, Kind};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

fn host(configuration: &str) -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("rtp.conf", &format!("[general]\nrtpstart=34000\nrtpend=34999\n{configuration}\n"));
    host.load_all(&["res_srtp", "res_rtp_asterisk"]);
    host
}

const A_FEW: u64 = 6_000;
const MANY: u64 = 10_000_000;

#[test]
fn a_plain_call_goes_on_whatever_arrives() {
    plain_call(A_FEW, "strictrtp=no");
}

#[test]
fn a_call_with_strict_rtp_goes_on_whatever_arrives() {
    plain_call(A_FEW, "strictrtp=yes");
}

#[test]
fn a_call_with_keys_from_sdp_goes_on_whatever_arrives() {
    call_with_keys(A_FEW);
}

#[test]
#[ignore = "ten million datagrams take several minutes"]
fn many_datagrams_to_plain_calls() {
    plain_call(MANY / 2, "strictrtp=no");
    plain_call(MANY / 2, "strictrtp=yes");
}

#[test]
#[ignore = "ten million datagrams take several minutes"]
fn many_datagrams_to_a_call_with_keys_from_sdp() {
    call_with_keys(MANY);
}

fn plain_call(count: u64, configuration: &str) {
    let _host = host(configuration);
    let is_strict = configuration.ends_with("yes");
    let (instance, mut phone) = (Instance::new(), Phone::new());
    instance.map(101, c"telephone-event", 8000);
    instance.set_remote(phone.address());
    instance.activate();
    let stranger = UdpSocket::bind("127.0.0.3:0").expect("loopback");
    let mut source = Datagrams::new(phone.ssrc);
    let between = between_looks(count);
    for number in 0..count {
        let datagram = source.make();
        // A stranger whom nobody keeps out may well be heard.
        let from = if is_strict && number % 3 == 0 { &stranger } else { &phone.rtp };
        send(from, datagram, if number % 5 == 0 { instance.local_rtcp() } else { instance.local() });
        if number % 32 == 31 {
            read_all(&instance);
        }
        if number % between == between - 1 {
            assert_eq!(instance.remote(), phone.address());
            goes_on(&instance, &mut phone, number);
        }
    }
}

/// Both ends hear each other. After an unsignalled jump a few packets may be lost.
fn goes_on(instance: &Instance, phone: &mut Phone, number: u64) {
    read_all(instance);
    phone.rtp.set_nonblocking(true).expect("a socket");
    while phone.rtp.recv(&mut [0; 2048]).is_ok() {}
    phone.rtp.set_nonblocking(false).expect("a socket");
    let heard = (0..60).any(|_| {
        phone.send(instance.local(), 0x5a);
        instance.is_readable(RTP, Duration::from_millis(500)) && hears(&instance.read(RTP), 0x5a)
    });
    assert!(heard, "not heard after datagram {number}");
    instance.write(0x33);
    let said = (0..100).any(|_| phone.receive().payload == [0x33; FRAME_LEN]);
    assert!(said, "nothing is said after datagram {number}");
}

fn hears(frames: &[Frame], value: u8) -> bool {
    frames.iter().filter_map(Frame::voice).any(|voice| voice == [value; FRAME_LEN])
}

fn call_with_keys(count: u64) {
    let _host = host("");
    let mut call = SdesCall::new();
    let stranger = UdpSocket::bind("127.0.0.3:0").expect("loopback");
    let mut source = Datagrams::new(call.ssrc());
    let between = between_looks(count);
    for number in 0..count {
        let datagram = source.make();
        let to = if number % 5 == 0 { call.instance.local_rtcp() } else { call.instance.local() };
        match number % 3 {
            0 => send(&stranger, datagram, to),
            1 => send(call.socket(), datagram, to),
            // A peer that has the keys, and nothing good in mind.
            _ if number % 5 == 0 => call.report_and(datagram),
            _ => call.send([0, 101, 105, 13][number as usize % 4], datagram),
        }
        if number % 32 == 31 {
            read_all(&call.instance);
        }
        if number % between == between - 1 {
            call.heard();
            let heard = (0..60).any(|_| {
                call.say(0x5a);
                call.heard().contains(&0x5a)
            });
            assert!(heard, "not heard after datagram {number}");
        }
    }
}

/// Datagrams after which the call is looked at.
fn between_looks(count: u64) -> u64 {
    (count / 500).max(2000)
}

fn send(socket: &UdpSocket, datagram: &[u8], to: SocketAddr) {
    socket.send_to(datagram, to).expect("loopback");
}

fn read_all(instance: &Instance) {
    for which in [RTP, RTCP] {
        while instance.is_readable(which, Duration::ZERO) {
            instance.read(which);
        }
    }
}
