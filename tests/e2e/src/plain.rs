//! A plain SIP phone: SIPp handles SIP, a socket here handles RTP. No ICE, no encryption, only PCMU.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result, ensure};
use crate::g711;
use crate::lab::Lab;
use crate::tone::Audio;

/// The frequency of the tone that a plain phone sends.
pub const PLAIN_VOICE: f64 = 800.0;

/// The payload type of Opus, for a phone that supports it.
const OPUS: u8 = 96;

/// Its payload type of telephone-event at 48000 Hz; that at 8000 Hz is 101, as without Opus.
pub const OPUS_EVENT: u8 = 98;

/// The SSRC of the tone.
pub const TONE_SSRC: u32 = 0x7072_6f62;

/// The number of samples in a packet of 20 ms.
const PACKET: usize = 160;

/// A phone in one call.
pub struct PlainPhone {
    sipp: Child,
    port: u16,
    ended: Arc<AtomicBool>,
    media: JoinHandle<Received>,
}

/// The media that it received.
#[derive(Debug, Default)]
pub struct Received {
    /// The decoded audio, in the order of arrival.
    pub audio: Audio,
    /// The number of RTP packets.
    pub packets: usize,
    /// The number of sequence numbers that never arrived, within one source.
    pub lost: usize,
    /// The packets of telephone-events.
    pub events: Vec<Event>,
    /// When the packets of audio came.
    pub arrivals: Vec<Arrival>,
}

/// The arrival of a packet of audio.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the words of the RFC")]
pub struct Arrival {
    pub at: Instant,
    pub sequence_number: u16,
    pub timestamp: u32,
}

/// A packet of a telephone-event (RFC 4733 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the RFC")]
pub struct Event {
    pub payload_type: u8,
    pub timestamp: u32,
    pub event: u8,
    pub end: bool,
    pub duration: u16,
}

/// A packet that is sent right behind one of the tone.
#[derive(Debug, Clone)]
pub struct Scripted {
    /// The number of the packet of the tone: 50 are sent in a second.
    pub with: u32,
    /// The RTP packet.
    pub packet: Vec<u8>,
}

impl PlainPhone {
    /// Calls `number` and hangs up after `length`.
    pub fn call(lab: &Lab, number: &str, length: Duration) -> Result<Self> {
        Self::start(lab, "call", str::to_owned, length, &["-s", number])
    }

    /// Calls with media that the test handles itself: `talk` runs until the flag is set.
    pub fn call_with(
        lab: &Lab,
        number: &str,
        length: Duration,
        socket: UdpSocket,
        talk: impl FnOnce(&UdpSocket, &AtomicBool) -> Received + Send + 'static,
    ) -> Result<Self> {
        Self::start_with(lab, "call", str::to_owned, length, &["-s", number], socket, talk)
    }

    /// Calls with Opus, and telephone-event at 8000 and at 48000 Hz. It sends no media.
    pub fn call_with_opus(lab: &Lab, number: &str, length: Duration) -> Result<Self> {
        Self::start(lab, "call", offer_opus, length, &["-s", number])
    }

    /// Calls, and sends these packets beside its tone, at any SSRC and count.
    pub fn call_and_send(lab: &Lab, number: &str, length: Duration, script: Vec<Scripted>) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        Self::call_with(lab, number, length, socket, move |socket, ended| talk(socket, ended, &script))
    }

    /// Calls without an offer of telephone-event.
    pub fn call_without_events(lab: &Lab, number: &str, length: Duration) -> Result<Self> {
        Self::start(lab, "call", without_events, length, &["-s", number])
    }

    /// Waits for a call and answers it after it has rung for this time.
    pub fn answer(lab: &Lab, ringing: Duration) -> Result<Self> {
        Self::start(lab, "answer", str::to_owned, ringing, &[])
    }

    fn start(
        lab: &Lab,
        scenario: &str,
        change: impl FnOnce(&str) -> String,
        pause: Duration,
        more: &[&str],
    ) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        Self::start_with(lab, scenario, change, pause, more, socket, |socket, ended| talk(socket, ended, &[]))
    }

    fn start_with(
        lab: &Lab,
        scenario: &str,
        change: impl FnOnce(&str) -> String,
        pause: Duration,
        more: &[&str],
        socket: UdpSocket,
        talk: impl FnOnce(&UdpSocket, &AtomicBool) -> Received + Send + 'static,
    ) -> Result<Self> {
        let port = socket.local_addr()?.port();
        let log = lab.directory().join("log");
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("sipp/{scenario}.xml"));
        let changed = log.join(format!("sipp-{scenario}.xml"));
        fs::write(&changed, change(&fs::read_to_string(original)?))?;
        let sipp = Command::new("sipp")
            .arg(format!("127.0.0.1:{}", lab.ports().sip))
            .arg("-sf")
            .arg(changed)
            .args(["-i", "127.0.0.1", "-p", &lab.ports().plain.to_string(), "-m", "1", "-nostdin"])
            .args(["-d", &pause.as_millis().to_string()])
            .args(["-key", "rtp_port", &port.to_string()])
            .args(["-trace_msg", "-message_file"])
            .arg(log.join(format!("sipp-{scenario}.log")))
            .args(more)
            .stdout(File::create(log.join(format!("sipp-{scenario}.out")))?)
            .stderr(Stdio::null())
            .spawn()?;
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let media = thread::spawn(move || talk(&socket, &until));
        Ok(Self { sipp, port, ended, media })
    }

    /// The port of its media.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits until the call is over, and returns the media that it received.
    pub fn finish(mut self, patience: Duration) -> Result<Received> {
        let end = Instant::now() + patience;
        let mut status = self.sipp.try_wait()?;
        while status.is_none() && Instant::now() < end {
            thread::sleep(Duration::from_millis(50));
            status = self.sipp.try_wait()?;
        }
        self.ended.store(true, Ordering::Relaxed);
        let received = self.media.join().map_err(|_| Failure::new("the plain phone's media thread panicked"))?;
        match status {
            Some(status) => ensure(status.success(), || format!("the plain phone's call failed ({status})"))?,
            None => {
                let _ = self.sipp.kill();
                let _ = self.sipp.wait();
                return Err(Failure::new("the plain phone's call did not end"));
            }
        }
        Ok(received)
    }
}

/// SIPp's scenario of a call with another offer.
fn offer_opus(scenario: &str) -> String {
    let types = format!("RTP/AVP {OPUS} 101 {OPUS_EVENT}");
    let names = format!("a=rtpmap:{OPUS} opus/48000/2\na=rtpmap:{OPUS_EVENT} telephone-event/48000");
    scenario.replace("RTP/AVP 0 101", &types).replace("a=rtpmap:0 PCMU/8000", &names)
}

/// SIPp's scenario of a call with audio alone.
fn without_events(scenario: &str) -> String {
    let lines = "a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\n";
    scenario.replace("RTP/AVP 0 101", "RTP/AVP 0").replace(lines, "")
}

/// Sends a tone, and the packets of `script` beside it, to the sender of received packets, and keeps these.
fn talk(socket: &UdpSocket, ended: &AtomicBool, script: &[Scripted]) -> Received {
    let voice = Audio::tone(PLAIN_VOICE, Duration::from_secs(1));
    let (mut heard, mut sequence, mut packets, mut events) = (Vec::new(), Sequence::default(), 0, Vec::new());
    let (mut next, mut sent, mut peer) = (Instant::now(), 0_u32, None);
    let (mut buffer, mut arrivals) = ([0; 2048], Vec::new());
    while !ended.load(Ordering::Relaxed) {
        let _ = socket.set_read_timeout(Some(Duration::from_millis(5)));
        let received = socket.recv_from(&mut buffer);
        if let Ok((length, _)) = &received {
            events.extend(Event::parse(&buffer[..*length]));
        }
        if let Ok((length, from)) = received
            && let [0x80, 0x00 | 0x80, high, low, rest @ ..] = &buffer[..length]
            && let Some((timestamp, source)) = rest.split_first_chunk::<4>()
            && let Some((source, payload)) = source.split_first_chunk::<4>()
        {
            peer = Some(from);
            arrivals.push(Arrival {
                at: Instant::now(),
                sequence_number: u16::from_be_bytes([*high, *low]),
                timestamp: u32::from_be_bytes(*timestamp),
            });
            packets += 1;
            sequence.seen(u32::from_be_bytes(*source), u16::from_be_bytes([*high, *low]));
            heard.extend(payload.iter().map(|byte| g711::decode(*byte)));
        }
        if let Some(peer) = peer
            && Instant::now() >= next
        {
            let _ = socket.send_to(&packet(&voice, sent), peer);
            for scripted in script.iter().filter(|scripted| scripted.with == sent) {
                let _ = socket.send_to(&scripted.packet, peer);
            }
            sent += 1;
            next = next.max(Instant::now() - Duration::from_millis(100)) + Duration::from_millis(20);
        }
    }
    Received { audio: Audio::of(heard), packets, lost: sequence.lost, events, arrivals }
}

impl Event {
    fn parse(packet: &[u8]) -> Option<Self> {
        let (header, payload) = packet.split_first_chunk::<12>()?;
        let payload_type = header[1] & 0x7F;
        let [event, flags, high, low] = *payload.first_chunk()?;
        matches!(payload_type, 101 | OPUS_EVENT).then(|| Self {
            payload_type,
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            event,
            end: flags & 0x80 != 0,
            duration: u16::from_be_bytes([high, low]),
        })
    }
}

/// Makes an RTP packet (RFC 3550 §5.1) with payload type 0.
fn packet(voice: &Audio, number: u32) -> Vec<u8> {
    let mut packet = vec![0x80, if number == 0 { 0x80 } else { 0 }];
    packet.extend_from_slice(&(number as u16).to_be_bytes());
    packet.extend_from_slice(&(number * PACKET as u32).to_be_bytes());
    packet.extend_from_slice(&TONE_SSRC.to_be_bytes());
    let start = number as usize * PACKET % voice.samples().len();
    packet.extend(voice.samples()[start..start + PACKET].iter().map(|sample| g711::encode(*sample)));
    packet
}

#[derive(Default)]
struct Sequence {
    last: Option<(u32, u16)>,
    lost: usize,
}

impl Sequence {
    fn seen(&mut self, source: u32, number: u16) {
        if let Some((same, last)) = self.last
            && same == source
        {
            self.lost += usize::from(number.wrapping_sub(last).wrapping_sub(1));
        }
        self.last = Some((source, number));
    }
}
