//! str0m, its socket, and audio both ways.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use e2e::failure::Result;
use e2e::g711;
use e2e::tone::{Audio, RATE};
use serde_json::json;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::config::DtlsCert;
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// The number of samples in a packet of 20 ms.
const PACKET: usize = 160;

/// One peer connection.
pub struct Media {
    rtc: Rtc,
    /// The certificate in use is the first.
    certificates: VecDeque<DtlsCert>,
    socket: UdpSocket,
    /// The address that str0m believes it has.
    address: SocketAddr,
    mid: Option<Mid>,
    pending: Option<SdpPendingOffer>,
    connected: bool,
    /// Whether it sends nothing although it may.
    pub on_hold: bool,
    /// Its direction as the two descriptions make it.
    pub direction: Option<Direction>,
    heard: File,
    voice: Audio,
    began: Option<Instant>,
    sent: u64,
}

impl Media {
    pub fn new(frequency: f64, heard: File) -> Result<Self> {
        let provider = str0m::crypto::from_feature_flags();
        let certificate = || provider.dtls_provider.generate_certificate();
        let certificates = [certificate(), certificate()].into_iter().flatten().collect();
        let (rtc, socket, address) = connection(&certificates)?;
        let voice = Audio::tone(frequency, Duration::from_secs(1));
        let (mid, pending, began) = (None, None, None);
        Ok(Self {
            rtc,
            certificates,
            socket,
            address,
            mid,
            pending,
            connected: false,
            on_hold: false,
            direction: None,
            heard,
            voice,
            began,
            sent: 0,
        })
    }

    /// An offer of audio in this direction.
    pub fn offer(&mut self, direction: Direction) -> String {
        let mut changes = self.rtc.sdp_api();
        match self.mid {
            Some(mid) => changes.set_direction(mid, direction),
            None => self.mid = Some(changes.add_media(MediaKind::Audio, direction, None, None, None)),
        }
        let Some((offer, pending)) = changes.apply() else { return String::new() };
        self.pending = Some(pending);
        offer.to_sdp_string()
    }

    /// Opens the connection anew, with the certificate that it has.
    pub fn reconnect(&mut self) -> Result {
        (self.rtc, self.socket, self.address) = connection(&self.certificates)?;
        (self.mid, self.pending, self.connected) = (None, None, false);
        Ok(())
    }

    /// Opens the connection anew, as another browser would.
    pub fn replace(&mut self) -> Result {
        self.certificates.rotate_left(1);
        self.reconnect()
    }

    /// An offer without ICE, from another address. Media goes on there with the keys that there are.
    pub fn offer_without_ice(&mut self) -> Result<String> {
        // str0m offers nothing if nothing changes.
        self.offer(Direction::SendOnly);
        let offer = self.offer(Direction::SendRecv);
        self.pending = None;
        self.socket = UdpSocket::bind((self.address.ip(), 0))?;
        let address = self.socket.local_addr()?;
        let lines = offer.lines().filter(|line| {
            !["a=ice-", "a=candidate:", "a=end-of-candidates", "a=rtcp:"].iter().any(|ice| line.starts_with(ice))
        });
        let lines = lines.map(|line| match line.split_once(' ') {
            Some(("m=audio", rest)) => {
                format!("m=audio {} {}", address.port(), rest.split_once(' ').unwrap_or_default().1)
            }
            _ if line.starts_with("c=") => format!("c=IN IP4 {}", address.ip()),
            _ => line.to_owned(),
        });
        Ok(lines.map(|line| line + "\r\n").collect())
    }

    /// Takes the answer to our offer.
    pub fn accept_answer(&mut self, sdp: &str) -> Result {
        let answer = SdpAnswer::from_sdp_string(sdp)?;
        if let Some(pending) = self.pending.take() {
            self.rtc.sdp_api().accept_answer(pending, answer)?;
            self.direction = self.mid.and_then(|mid| self.rtc.media(mid)).map(|media| media.direction());
        }
        Ok(())
    }

    /// Answers an offer.
    pub fn answer(&mut self, sdp: &str) -> Result<String> {
        let offer = SdpOffer::from_sdp_string(sdp)?;
        Ok(self.rtc.sdp_api().accept_offer(offer)?.to_sdp_string())
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Receives, sends and speaks, for a few milliseconds.
    pub fn turn(&mut self) -> Result {
        self.speak()?;
        let wait = self.drain()?.saturating_duration_since(Instant::now());
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(5));
        self.socket.set_read_timeout(Some(wait))?;
        let mut buffer = [0; 2048];
        match self.socket.recv_from(&mut buffer) {
            Ok((length, from)) => self.take(&buffer[..length], from),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(self.rtc.handle_input(Input::Timeout(Instant::now()))?)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn take(&mut self, datagram: &[u8], from: SocketAddr) -> Result {
        let received = Receive::new(Protocol::Udp, from, self.address, datagram)?;
        Ok(self.rtc.handle_input(Input::Receive(Instant::now(), received))?)
    }

    fn drain(&mut self) -> Result<Instant> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(next) => return Ok(next),
                Output::Transmit(datagram) => drop(self.socket.send_to(&datagram.contents, datagram.destination)),
                Output::Event(event) => self.note(event)?,
            }
        }
    }

    fn note(&mut self, event: Event) -> Result {
        match event {
            Event::Connected => self.connected = true,
            Event::MediaAdded(media) => self.mid = Some(media.mid),
            Event::MediaData(data) => {
                let samples: Vec<u8> = data.data.iter().flat_map(|byte| g711::decode(*byte).to_le_bytes()).collect();
                self.heard.write_all(&samples)?;
            }
            other => println!("{}", json!({ "log": format!("{other:?}") })),
        }
        Ok(())
    }

    /// Sends the packets of the tone that are due.
    fn speak(&mut self) -> Result {
        let Some(mid) = self.mid.filter(|_| self.connected) else { return Ok(()) };
        let began = *self.began.get_or_insert_with(Instant::now);
        while began + Duration::from_millis(20) * self.sent as u32 <= Instant::now() {
            let start = self.sent as usize * PACKET % self.voice.samples().len();
            let samples = &self.voice.samples()[start..start + PACKET];
            let payload: Vec<u8> = samples.iter().map(|sample| g711::encode(*sample)).collect();
            let time = MediaTime::from_90khz(self.sent * PACKET as u64 * 90_000 / u64::from(RATE));
            self.sent += 1;
            self.write(mid, time, payload)?;
            self.drain()?;
        }
        Ok(())
    }

    fn write(&mut self, mid: Mid, time: MediaTime, payload: Vec<u8>) -> Result {
        // On hold it is silent.
        let Some(writer) = self.rtc.writer(mid).filter(|_| !self.on_hold) else { return Ok(()) };
        let pcmu = writer.payload_params().find(|params| params.spec().codec == Codec::PCMU).map(|params| params.pt());
        let Some(pcmu) = pcmu else { return Ok(()) };
        Ok(writer.write(pcmu, Instant::now(), time, payload)?)
    }
}

/// str0m with the first certificate, and its socket.
fn connection(certificates: &VecDeque<DtlsCert>) -> Result<(Rtc, UdpSocket, SocketAddr)> {
    let socket = UdpSocket::bind((own_address()?.ip(), 0))?;
    let address = socket.local_addr()?;
    let mut config = RtcConfig::new().clear_codecs().enable_pcmu(true, false);
    if let Some(certificate) = certificates.front() {
        config = config.set_dtls_cert(certificate.clone());
    }
    let mut rtc = config.build(Instant::now());
    rtc.add_local_candidate(Candidate::host(address, "udp")?);
    Ok((rtc, socket, address))
}

/// The machine's address towards others, or the loopback's. Nothing is sent.
fn own_address() -> Result<SocketAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let outside = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    Ok(outside.unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0))))
}
