//! No datagram makes `read` return NULL, or changes a call that is up: the inputs of the fuzz targets and what becomes of them go to the
//! sockets of running calls, from the peer's address and from a stranger's.

mod common;

use common::rtp::{FRAME_LEN, Frame, Instance, Phone, RTCP, RTP};
use common::sdes::SdesCall;
use host_tests::{Host, Kind};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
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
    let mut source = Source::new(phone.ssrc);
    let between = between_looks(count);
    for number in 0..count {
        let datagram = source.next();
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
    let mut source = Source::new(call.ssrc());
    let between = between_looks(count);
    for number in 0..count {
        let datagram = source.next();
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

/// Datagrams of all kinds: the seeds of the fuzz targets and their corpora if there are any, as they are, changed, and behind the header
/// of the call's own stream. The same in each run.
struct Source {
    inputs: Vec<Vec<u8>>,
    ssrc: u32,
    sequence_number: u16,
    state: u64,
    datagram: Vec<u8>,
}

impl Source {
    fn new(ssrc: u32) -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut inputs = Vec::new();
        for target in TARGETS {
            for directory in [format!("tests/fuzz/seeds/{target}"), format!("target/fuzz/{target}/corpus")]
                .map(|at| workspace.join(at))
            {
                let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
                inputs.extend(entries.filter_map(|entry| std::fs::read(entry.path()).ok()));
            }
        }
        inputs.iter_mut().for_each(|input| input.truncate(LONGEST));
        inputs.sort();
        assert!(inputs.len() >= TARGETS.len(), "the seeds are in the tree");
        Self { inputs, ssrc, sequence_number: 65_000, state: 0x9e37_79b9_7f4a_7c15, datagram: Vec::new() }
    }

    fn next(&mut self) -> &[u8] {
        let (kind, which, count) = (self.random() % 8, self.random(), self.random() % 4);
        self.datagram.clear();
        if kind < 4 {
            self.begin_packet(kind);
        }
        let input = &self.inputs[which % self.inputs.len()];
        self.datagram.extend_from_slice(input);
        for _ in 0..count {
            let (at, bit) = (self.random(), self.random() % 8);
            if let Some(length) = std::num::NonZeroUsize::new(self.datagram.len()) {
                self.datagram[at % length] ^= 1 << bit;
            }
        }
        if kind == 7 {
            let length = self.random() % (self.datagram.len() + 1);
            self.datagram.truncate(length);
        }
        self.datagram.truncate(LONGEST);
        &self.datagram
    }

    /// Begins an RTP packet of the call, with voice, a digit, text or anything else.
    fn begin_packet(&mut self, kind: usize) {
        self.sequence_number = match self.random() % 50 {
            0 => self.random() as u16,
            step => self.sequence_number.wrapping_add(step as u16 % 3),
        };
        let payload_type = [0, 101, 105, self.random() as u8][kind % 4];
        let timestamp = u32::from(self.sequence_number).wrapping_mul(160);
        self.datagram.extend_from_slice(&[0x80, payload_type]);
        self.datagram.extend_from_slice(&self.sequence_number.to_be_bytes());
        self.datagram.extend_from_slice(&timestamp.to_be_bytes());
        self.datagram.extend_from_slice(&self.ssrc.to_be_bytes());
    }

    /// xorshift64, whose numbers need not be good.
    fn random(&mut self) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize
    }
}

/// The fuzz targets whose inputs are, or begin like, datagrams.
const TARGETS: [&str; 9] = [
    "rtp_packet",
    "rtcp_compound",
    "rtp_red",
    "telephone_event",
    "srtp_unprotect",
    "dtls_records",
    "dtls_session",
    "ice_session",
    "mdns_answer",
];

const LONGEST: usize = 1400;
