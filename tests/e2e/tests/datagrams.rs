//! A call through a real host goes on whatever arrives: the inputs of the fuzz targets come from the phone itself and from a stranger.
//! The host plays music, which no digit ends: there are digits among the inputs.
//!
//! `cargo test -p e2e --test datagrams -- --ignored --nocapture`; `DATAGRAMS_SECONDS` is the time, 600 unless set.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use e2e::datagrams::Datagrams;
use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::plain::{PlainPhone, Received};
use e2e::site::Site;

const SSRC: u32 = 0x0a11_da7a;
/// The audio of the phone.
const SAID: [u8; 160] = [0x5a; 160];

#[test]
#[ignore = "ten minutes"]
fn a_call_goes_on_for_ten_minutes_whatever_arrives() -> Result {
    let seconds = std::env::var("DATAGRAMS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let lab = Lab::start("any-datagram", &Site::default())?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let (tell, told) = mpsc::channel();
    let length = Duration::from_secs(seconds);
    let phone = PlainPhone::call_with(&lab, "music", length, socket, move |socket, ended| {
        let _ = tell.send(flood(socket, ended));
        Received::default()
    })?;
    // The call ends when the phone hangs up, and not before.
    phone.finish(length + Duration::from_secs(30))?;
    let Flood { sent, heard, longest } = told.recv()?;
    println!("{sent} datagrams in {seconds} s; {heard} packets of music, at most {longest:?} apart");
    ensure(longest < Duration::from_secs(5), || format!("there was no music for {longest:?}"))?;
    lab.until_idle(Duration::from_secs(5))
}

struct Flood {
    sent: u64,
    /// Packets of music.
    heard: u64,
    longest: Duration,
}

fn flood(socket: &UdpSocket, ended: &AtomicBool) -> Flood {
    let stranger = UdpSocket::bind("127.0.0.3:0").expect("loopback");
    let mut datagrams = Datagrams::new(SSRC);
    let (mut sent, mut heard, mut longest) = (0, 0, Duration::ZERO);
    let (mut peer, mut sequence, mut last) = (None, 0_u16, None);
    let mut buffer = [0; 2048];
    let _ = socket.set_read_timeout(Some(Duration::from_millis(5)));
    let mut next = Instant::now();
    while !ended.load(Ordering::Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            peer = Some(from);
            if matches!(buffer[..length], [0x80, 0x00 | 0x80, ..]) {
                heard += 1;
                longest = longest.max(last.map_or(Duration::ZERO, |last: Instant| last.elapsed()));
                last = Some(Instant::now());
            }
        }
        let Some(peer) = peer.filter(|_| Instant::now() >= next) else { continue };
        next = next.max(Instant::now() - Duration::from_millis(100)) + Duration::from_millis(20);
        let _ = socket.send_to(&voice(sequence), peer);
        sequence = sequence.wrapping_add(1);
        for number in 0..40_u64 {
            let from = if number % 2 == 0 { socket } else { &stranger };
            let to = if number % 5 == 0 { SocketAddr::new(peer.ip(), peer.port() | 1) } else { peer };
            let _ = from.send_to(datagrams.make(), to);
            sent += 1;
        }
    }
    longest = longest.max(last.map_or(Duration::MAX, |last| last.elapsed()));
    Flood { sent, heard, longest }
}

fn voice(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&u32::from(sequence).wrapping_mul(160).to_be_bytes());
    packet.extend_from_slice(&SSRC.to_be_bytes());
    packet.extend_from_slice(&SAID);
    packet
}
