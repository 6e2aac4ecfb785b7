//! A SIP phone that talks: it sends a tone to wherever the host's last description says, and keeps what it hears.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::camera;
use crate::failure::{Failure, Result, ensure};
use crate::g711;
use crate::lab::Lab;
use crate::plain_phone::SipPhone;
use crate::rtp::{Media, Rtp};
use crate::sip::{Description, Message};
use crate::site::Site;
use crate::tone::Audio;

/// A format of audio: its payload type and its name.
pub type Format = (u8, &'static str);

/// µ-law, which a talker starts with.
pub const PCMU: Format = (0, "PCMU/8000");

/// Opus, under the name that it has in an Asterisk 11.
pub const OPUS: Format = (111, "G719/48000");

/// The payload type of telephone-event (RFC 4733).
const EVENT: u8 = 101;

/// The samples in a packet of 20 ms.
const PACKET: u32 = 160;

/// The voices of a caller and of the phone that it calls.
pub const VOICES: [f64; 2] = [800.0, 1000.0];

/// A tone that lasts as long is not a remainder of something.
pub const A_WHILE: Duration = Duration::from_millis(500);

/// A call between two talkers, with [`VOICES`]; `bridge` is `core` or `bridge`.
pub fn connected(lab: &Lab, bridge: &str) -> Result<(Talker, Talker)> {
    let (mut caller, mut callee) = (Talker::new(lab, "caller", VOICES[0])?, Talker::new(lab, "callee", VOICES[1])?);
    let number = format!("{bridge}-{}", callee.phone.port());
    thread::scope(|scope| {
        let answering = scope.spawn(|| callee.is_called());
        caller.call(&number)?;
        joined(answering.join())
    })?;
    Ok((caller, callee))
}

/// The outcome of a thread.
pub fn joined(outcome: thread::Result<Result>) -> Result {
    outcome.unwrap_or_else(|_| ensure(false, || "the called phone panicked".to_owned()))
}

/// Waits until both hear each other.
pub fn hear_each_other(caller: &Talker, callee: &Talker) -> Result {
    caller.hears(VOICES[1], A_WHILE)?;
    callee.hears(VOICES[0], A_WHILE)
}

/// Anybody may call, and `tone` answers with one of 440 Hz. Calls end in six seconds instead of 32, as `chan_sip` remembers them for 64 times its timer (RFC 3261 §17.1.1.1).
pub fn site() -> Site {
    let mut site = camera::site();
    for (_, text) in &mut site.files {
        *text = text.replace("t1min = 100\n", "t1min = 100\ntimert1 = 100\ntimerb = 6400\n");
        let tone = "[calls]\nexten => tone,1,Answer()\n same => n,Playtones(440)\n same => n,Wait(30)\n";
        *text = text.replace("[calls]\n", tone);
    }
    site
}

/// A phone that talks.
#[derive(Debug)]
pub struct Talker {
    /// Its SIP.
    pub phone: SipPhone,
    stream: Arc<Mutex<Stream>>,
    ended: Arc<AtomicBool>,
    speaker: Option<JoinHandle<()>>,
    /// The format that it calls with.
    format: Format,
    version: u32,
}

/// Its media, and the sockets.
#[derive(Debug)]
struct Stream {
    media: Media,
    to: Option<SocketAddr>,
    next: Rtp,
    voice: Audio,
    /// Digits to be sent as events, in place of the tone.
    events: Vec<Rtp>,
    /// The timestamp of the digit that is being sent.
    pressed: u32,
}

impl Talker {
    /// A phone of this name whose voice is a tone.
    pub fn new(lab: &Lab, name: &str, voice: f64) -> Result<Self> {
        Self::with_format(lab, name, voice, PCMU)
    }

    /// A phone that calls with Opus. Its packets are noise.
    pub fn with_opus(lab: &Lab, name: &str) -> Result<Self> {
        Self::with_format(lab, name, 0.0, OPUS)
    }

    fn with_format(lab: &Lab, name: &str, voice: f64, format: Format) -> Result<Self> {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ssrc = name.bytes().fold(1, |ssrc: u32, byte| ssrc.wrapping_mul(257).wrapping_add(byte.into()));
        let next = Rtp { payload_type: format.0, sequence: ssrc as u16, timestamp: !ssrc, ssrc, ..Rtp::default() };
        let voice = Audio::tone(voice, Duration::from_secs(1));
        let stream = Stream { media: Media::bind(here)?, to: None, next, voice, events: Vec::new(), pressed: 0 };
        let (stream, ended) = (Arc::new(Mutex::new(stream)), Arc::new(AtomicBool::new(false)));
        let (spoken, until) = (Arc::clone(&stream), Arc::clone(&ended));
        let speaker = Some(thread::spawn(move || speak(&spoken, &until)));
        let phone = SipPhone::new(SocketAddr::new(here, lab.ports().sip), name)?;
        Ok(Self { phone, stream, ended, speaker, format, version: 0 })
    }

    /// Calls a number.
    pub fn call(&mut self, number: &str) -> Result {
        let description = self.description("sendrecv", &[self.format]);
        let answer = self.phone.call(number, &description)?;
        self.learn(&answer)
    }

    /// Waits for a call, and answers it.
    pub fn is_called(&mut self) -> Result {
        self.rings()?;
        self.answers()
    }

    /// Waits for a call.
    pub fn rings(&mut self) -> Result {
        let invite = self.phone.rung(Duration::from_secs(10))?;
        self.learn(&invite)
    }

    /// Answers the call that rings.
    pub fn answers(&mut self) -> Result {
        let description = self.description("sendrecv", &[PCMU]);
        self.phone.answer(&description)
    }

    /// Talks before it answers (RFC 3960).
    pub fn talks_early(&mut self) -> Result {
        let description = self.description("sendrecv", &[PCMU]);
        self.phone.respond("183 Session Progress", &description)
    }

    /// Describes itself anew, with a direction and formats.
    pub fn describes(&mut self, direction: &str, formats: &[Format]) -> Result {
        let description = self.description(direction, formats);
        let answer = self.phone.re_invite(&description)?;
        ensure(answer.status() == Some(200), || format!("the new description was answered: {}", answer.first))?;
        self.learn(&answer)
    }

    /// Describes itself anew, with another address.
    pub fn moves(&mut self) -> Result {
        let media = Media::bind(IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        self.lock().media = media;
        self.describes("sendrecv", &[PCMU])
    }

    /// Takes over the address of the host from a description that came otherwise.
    pub fn learn(&mut self, message: &Message) -> Result {
        let to = message.media(0).ok_or_else(|| Failure::new(format!("no audio: {}", message.body)))?;
        self.lock().to = Some(to);
        Ok(())
    }

    /// Sends a digit of 100 ms as telephone-events.
    pub fn presses(&self, event: u8) {
        let mut stream = self.lock();
        let ssrc = stream.next.ssrc;
        let durations = [1, 2, 3, 4, 5, 5, 5].map(|number: u16| number * PACKET as u16);
        for (number, duration) in durations.into_iter().enumerate() {
            let end = if number >= 4 { 0x80 } else { 0 };
            let [high, low] = duration.to_be_bytes();
            let payload = vec![event, end | 10, high, low];
            let marker = number == 0;
            stream.events.push(Rtp { payload_type: EVENT, marker, ssrc, payload, ..Rtp::default() });
        }
        // A pause, as a finger makes.
        for _ in 0..3 {
            let silence = Rtp { ssrc, payload: vec![0xFF; PACKET as usize], ..Rtp::default() };
            stream.events.push(silence);
        }
    }

    /// Its ear, for a thread that waits for what it hears.
    pub fn ear(&self) -> Ear {
        Ear(Arc::clone(&self.stream))
    }

    /// Waits until it has heard a tone for this time, from now on.
    pub fn hears(&self, frequency: f64, length: Duration) -> Result {
        self.ear().hears(frequency, length)
    }

    /// Waits until packets of a payload type come, from now on.
    pub fn receives(&self, payload_type: u8) -> Result {
        self.ear().receives(payload_type)
    }

    /// The digits that came as telephone-events, each once.
    pub fn digits(&self) -> Vec<u8> {
        self.ear().digits()
    }

    /// Waits until this number of digits has come.
    pub fn has_digits(&self, number: usize) -> Result {
        let end = Instant::now() + Duration::from_secs(10);
        while self.digits().len() < number {
            ensure(Instant::now() < end, || format!("{:?} came instead of {number} digits", self.digits()))?;
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Its description.
    pub fn description(&mut self, direction: &str, formats: &[Format]) -> String {
        self.version += 1;
        let stream = self.lock();
        let formats: Vec<_> = formats.iter().copied().chain([(EVENT, "telephone-event/8000")]).collect();
        Description::new(stream.media.ip())
            .with("audio", stream.media.port(), &formats, &["fmtp:101 0-16", "ptime:20", direction])
            .text(self.version)
    }

    fn lock(&self) -> MutexGuard<'_, Stream> {
        lock(&self.stream)
    }
}

/// The media that a talker hears.
#[derive(Clone, Debug)]
pub struct Ear(Arc<Mutex<Stream>>);

impl Ear {
    /// Waits until it has heard a tone for this time, from now on.
    pub fn hears(&self, frequency: f64, length: Duration) -> Result {
        let (began, end) = (self.packets().len(), Instant::now() + Duration::from_secs(10) + length);
        loop {
            let heard = self.audio_since(began).time_of_tone(frequency);
            if heard >= length {
                return Ok(());
            }
            ensure(Instant::now() < end, || {
                format!("{frequency} Hz was heard for {heard:?} in {} packets", self.packets().len() - began)
            })?;
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until packets of a payload type come, from now on.
    pub fn receives(&self, payload_type: u8) -> Result {
        let (began, end) = (self.packets().len(), Instant::now() + Duration::from_secs(10));
        let of_it = |packets: &[Rtp]| packets.iter().filter(|packet| packet.payload_type == payload_type).count();
        while of_it(self.packets().get(began..).unwrap_or_default()) < 10 {
            ensure(Instant::now() < end, || format!("no packets of payload type {payload_type} came"))?;
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The digits that came as telephone-events and have ended, each once.
    pub fn digits(&self) -> Vec<u8> {
        let mut digits: Vec<(u32, u8)> = Vec::new();
        let is_end = |packet: &&Rtp| {
            packet.payload_type == EVENT && packet.payload.get(1).is_some_and(|flags| flags & 0x80 != 0)
        };
        for packet in self.packets().iter().filter(is_end) {
            let press = (packet.timestamp, packet.payload.first().copied().unwrap_or_default());
            if !digits.contains(&press) {
                digits.push(press);
            }
        }
        digits.into_iter().map(|(_, event)| event).collect()
    }

    fn packets(&self) -> Vec<Rtp> {
        lock(&self.0).media.packets()
    }

    fn audio_since(&self, number: usize) -> Audio {
        let packets = self.packets();
        let voice = packets.iter().skip(number).filter(|packet| packet.payload_type == PCMU.0);
        Audio::of(voice.flat_map(|packet| packet.payload.iter().map(|byte| g711::decode(*byte))).collect())
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(speaker) = self.speaker.take() {
            let _ = speaker.join();
        }
    }
}

impl Stream {
    /// The next packet: a part of a digit, or of the tone.
    fn packet(&mut self) -> Rtp {
        if self.next.payload_type == OPUS.0 {
            return self.packet_of_opus();
        }
        let (next, samples) = (&mut self.next, self.voice.samples());
        let start = (next.timestamp % RATE) as usize / PACKET as usize * PACKET as usize;
        let tone = samples.iter().cycle().skip(start).take(PACKET as usize);
        let mut packet = match self.events.is_empty() {
            true => Rtp { payload: tone.map(|sample| g711::encode(*sample)).collect(), ..next.clone() },
            false => self.events.remove(0),
        };
        let is_event = packet.payload_type == EVENT;
        if packet.marker || !is_event {
            self.pressed = next.timestamp;
        }
        packet.timestamp = self.pressed;
        packet.sequence = next.sequence;
        next.sequence = next.sequence.wrapping_add(1);
        next.timestamp = next.timestamp.wrapping_add(PACKET);
        packet
    }

    /// A frame of wideband speech of 20 ms by its first octet (RFC 6716 §3.1); any octets after it are a frame.
    fn packet_of_opus(&mut self) -> Rtp {
        let next = &mut self.next;
        let noise = (1..60_u32).map(|place| (place * 77 + u32::from(next.sequence) * 41) as u8);
        let packet = Rtp { payload: std::iter::once(0x48).chain(noise).collect(), ..next.clone() };
        next.sequence = next.sequence.wrapping_add(1);
        next.timestamp = next.timestamp.wrapping_add(6 * PACKET);
        packet
    }
}

const RATE: u32 = crate::tone::RATE;

/// Sends a packet every 20 ms.
fn speak(stream: &Mutex<Stream>, ended: &AtomicBool) {
    let mut due = Instant::now();
    while !ended.load(Ordering::Relaxed) {
        {
            let mut stream = lock(stream);
            if let Some(to) = stream.to {
                let packet = stream.packet().write();
                let _ = stream.media.send(&packet, to);
            }
        }
        due = due.max(Instant::now() - Duration::from_millis(100)) + Duration::from_millis(20);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn lock(stream: &Mutex<Stream>) -> MutexGuard<'_, Stream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}
