//! A SIP phone with a camera: one stream of PCMU and one of video, made of packets that say which picture they belong to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use crate::differential::stream::Setting;
use crate::failure::{Failure, Result, ensure};
use crate::lab::Lab;
use crate::plain_phone::SipPhone;
use crate::rtp::{Media, Rtp};
use crate::sip::{Description, Message};
use crate::site::Site;

/// The time between two pictures, as at 30 Hz.
pub const PICTURE: Duration = Duration::from_millis(33);

/// That time in ticks of 90 kHz.
pub const TICKS: u32 = 3000;

/// A video format: its payload type in the tables of Asterisk, and its name (RFC 3551 §6 and the RFCs of the payloads).
pub type Format = (u8, &'static str);

/// The formats of video that `chan_sip` knows.
pub const FORMATS: [Format; 5] =
    [(31, "H261/90000"), (34, "H263/90000"), (98, "H263-1998/90000"), (99, "H264/90000"), (104, "MP4V-ES/90000")];

/// The configuration of an Asterisk that phones with cameras call. Anybody may, and `core-PORT` calls another phone.
pub fn site() -> Site {
    Setting::Rich.site()
}

/// A phone with a camera.
#[derive(Debug)]
pub struct Camera {
    /// Its SIP.
    pub phone: SipPhone,
    audio: Media,
    video: Media,
    format: Format,
    version: u32,
    /// The addresses of the host's streams.
    host: Option<[SocketAddr; 2]>,
    next: Rtp,
    voice: Rtp,
    began: u32,
}

impl Camera {
    /// A phone of this name with video of one format.
    pub fn new(lab: &Lab, name: &str, format: Format) -> Result<Self> {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        // Asterisk tells phones apart by their SSRC only where it must; here it helps to read a capture.
        let ssrc = name.bytes().fold(1, |ssrc: u32, byte| ssrc.wrapping_mul(257) + u32::from(byte));
        let began = ssrc.wrapping_mul(7919);
        Ok(Self {
            phone: SipPhone::new(SocketAddr::new(here, lab.ports().sip), name)?,
            audio: Media::bind(here)?,
            video: Media::bind(here)?,
            format,
            version: 0,
            host: None,
            next: Rtp { payload_type: format.0, sequence: ssrc as u16, ssrc, ..Rtp::default() },
            voice: Rtp { ssrc: !ssrc, payload: vec![0xFF; 160], ..Rtp::default() },
            began,
        })
    }

    /// Calls a number.
    pub fn call(&mut self, number: &str) -> Result {
        let description = self.description("sendrecv");
        let answer = self.phone.call(number, &description)?;
        self.learn(&answer)
    }

    /// Waits for a call and answers it.
    pub fn is_called(&mut self) -> Result {
        let invite = self.phone.rung(Duration::from_secs(10))?;
        self.learn(&invite)?;
        let description = self.description("sendrecv");
        self.phone.answer(&description)
    }

    /// Describes itself anew, with a direction (RFC 3264 §8.4).
    pub fn turns(&mut self, direction: &str) -> Result {
        let description = self.description(direction);
        let answer = self.phone.re_invite(&description)?;
        ensure(answer.status() == Some(200), || format!("the new description was answered: {}", answer.first))?;
        self.learn(&answer)
    }

    /// Describes itself anew, with other sockets for both streams.
    pub fn moves(&mut self) -> Result {
        (self.audio, self.video) = (Media::bind(self.audio.ip())?, Media::bind(self.video.ip())?);
        self.turns("sendrecv")
    }

    /// Sends one picture of this many packets, that is shown at `place` in the order of pictures, and 40 ms of voice.
    pub fn sends(&mut self, place: u32, packets: usize) -> Result {
        let [audio, video] = self.host.ok_or_else(|| Failure::new("the camera is in no call"))?;
        for number in 0..packets {
            self.next.timestamp = self.began.wrapping_add(place * TICKS);
            self.next.marker = number + 1 == packets;
            self.next.payload = payload(place, number);
            self.video.send(&self.next.write(), video)?;
            self.next.sequence = self.next.sequence.wrapping_add(1);
        }
        for _ in 0..2 {
            self.audio.send(&self.voice.write(), audio)?;
            self.voice.sequence = self.voice.sequence.wrapping_add(1);
            self.voice.timestamp = self.voice.timestamp.wrapping_add(160);
        }
        Ok(())
    }

    /// Sends an RTCP packet about the video that it receives.
    pub fn reports(&self, compound: &[u8]) -> Result {
        let [_, video] = self.host.ok_or_else(|| Failure::new("the camera is in no call"))?;
        Ok(self.video.send_rtcp(compound, video)?)
    }

    /// The SSRC of its video.
    pub fn ssrc(&self) -> u32 {
        self.next.ssrc
    }

    /// The packets of video that it received.
    pub fn seen(&self) -> Vec<Rtp> {
        self.video.packets()
    }

    /// How many of the requests since the last question ask for a whole picture (RFC 5168).
    pub fn wishes(&mut self) -> usize {
        self.phone.requests().iter().filter(|request| is_wish(request)).count()
    }

    /// Waits for such a request.
    pub fn is_asked(&mut self, patience: Duration) -> Result {
        let info = self.phone.received("INFO", patience)?;
        ensure(is_wish(&info), || format!("another INFO came: {}", info.body))
    }

    fn description(&mut self, direction: &str) -> String {
        self.version += 1;
        Description::new(self.audio.ip())
            .with("audio", self.audio.port(), &[(0, "PCMU/8000")], &[direction])
            .with("video", self.video.port(), &[self.format], &[direction])
            .text(self.version)
    }

    fn learn(&mut self, message: &Message) -> Result {
        let (Some(audio), Some(video)) = (message.media(0), message.media(1)) else {
            return Err(Failure::new(format!("there is no video: {}", message.body)));
        };
        ensure(video.port() != 0, || format!("the video is refused: {}", message.body))?;
        self.host = Some([audio, video]);
        Ok(())
    }
}

/// Sends pictures of two phones, in turns, until `done` says so or the time is over.
pub fn film(cameras: &mut [&mut Camera], length: Duration) -> Result {
    let (began, mut place) = (Instant::now(), cameras.iter().map(|camera| camera.place()).max().unwrap_or_default());
    while began.elapsed() < length {
        place += 1;
        for camera in &mut *cameras {
            camera.sends(place, 2)?;
        }
        thread::sleep(PICTURE);
    }
    Ok(())
}

impl Camera {
    /// The place of the last picture.
    fn place(&self) -> u32 {
        match self.next.payload.is_empty() {
            true => 0,
            false => self.next.timestamp.wrapping_sub(self.began) / TICKS,
        }
    }
}

/// A payload that names picture and packet.
pub fn payload(place: u32, number: usize) -> Vec<u8> {
    let mut payload = vec![0x65, 0x88];
    payload.extend(place.to_be_bytes());
    payload.extend((number as u32).to_be_bytes());
    payload.resize(700, 0x5A);
    payload
}

fn is_wish(request: &Message) -> bool {
    request.method() == "INFO" && request.body.contains("picture_fast_update")
}
