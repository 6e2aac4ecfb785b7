//! The text of one phone: written and read by the letter of RFC 4103, packet by packet.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::rtp::Rtp;
use crate::sip::Description;

/// The time between two packets (RFC 4103 §5.1).
pub const INTERVAL: Duration = Duration::from_millis(300);

/// How a phone describes its text.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// The payload type of text with redundancy, if it has that.
    pub red: Option<u8>,
    /// The payload type of T.140.
    pub t140: u8,
    /// Loses one in ten packets, in both directions.
    pub loses: bool,
}

/// The packets and the text that a phone has received.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// The text; U+FFFD stands for packets whose text is unknown.
    pub text: String,
    /// The packets that were not lost, in the order of arrival.
    pub packets: Vec<Packet>,
}

/// The header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The payload type.
    pub payload_type: u8,
    /// The marker.
    pub marker: bool,
    /// The timestamp, in milliseconds.
    pub timestamp: u32,
}

/// The text of one call.
pub struct Media {
    offer: Offer,
    audio: UdpSocket,
    socket: UdpSocket,
    peer: Option<Peer>,
    waiting: String,
    /// The texts of the last packets, the oldest first.
    generations: VecDeque<String>,
    next: Instant,
    began: Instant,
    number: u16,
    /// Decides which packets are lost.
    dice: u32,
    /// Packets that were lost in a row, of those received and those sent.
    lost_in_a_row: [u32; 2],
    texts: BTreeMap<u16, String>,
    packets: Vec<Packet>,
}

/// The other party's text.
#[derive(Clone, Copy)]
struct Peer {
    address: SocketAddr,
    red: Option<u8>,
    t140: u8,
}

impl Media {
    /// Binds its sockets.
    pub fn new(offer: Offer) -> Result<Self> {
        let bind = || UdpSocket::bind("127.0.0.1:0");
        let (audio, socket) = (bind()?, bind()?);
        socket.set_nonblocking(true)?;
        let now = Instant::now();
        let (waiting, generations) = (String::new(), VecDeque::from([String::new(), String::new()]));
        let (texts, packets) = (BTreeMap::new(), Vec::new());
        let dice = u32::from(offer.t140) * 7919;
        Ok(Self {
            offer,
            audio,
            socket,
            peer: None,
            waiting,
            generations,
            next: now,
            began: now,
            number: 0,
            dice,
            lost_in_a_row: [0; 2],
            texts,
            packets,
        })
    }

    /// The description, as offer or answer.
    pub fn description(&self) -> String {
        let port = |socket: &UdpSocket| socket.local_addr().map_or(0, |address| address.port());
        let (mut types, mut attributes, t140) = (Vec::new(), Vec::new(), self.offer.t140);
        if let Some(red) = self.offer.red {
            types.push((red, "red/1000"));
            attributes.push(format!("fmtp:{red} {t140}/{t140}/{t140}"));
        }
        types.push((t140, "t140/1000"));
        let attributes: Vec<&str> = attributes.iter().map(String::as_str).collect();
        Description::new(Ipv4Addr::LOCALHOST.into())
            .with("audio", port(&self.audio), &[(0, "PCMU/8000")], &[])
            .with("text", port(&self.socket), &types, &attributes)
            .text(1)
    }

    /// Takes in the other party's description.
    pub fn connect(&mut self, description: &str) -> Result {
        let missing = || Failure::new(format!("no text in {description}"));
        let line = description.lines().find_map(|line| line.strip_prefix("m=text ")).ok_or_else(missing)?;
        let port: u16 = line.split(' ').next().and_then(|port| port.parse().ok()).ok_or_else(missing)?;
        let named = |name: &str| {
            description.lines().find_map(|line| {
                let (payload_type, encoding) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
                encoding.to_lowercase().starts_with(name).then(|| payload_type.parse::<u8>().ok())?
            })
        };
        let t140 = named("t140/").ok_or_else(missing)?;
        self.peer = Some(Peer { address: ([127, 0, 0, 1], port).into(), red: named("red/"), t140 });
        Ok(())
    }

    /// Adds text to the next packet.
    pub fn types(&mut self, text: &str) {
        self.waiting.push_str(text);
    }

    /// Whether everything has been sent, as often as agreed.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.generations.iter().all(String::is_empty)
    }

    /// Reads what has arrived, and sends what is due.
    pub fn run(&mut self) -> Result {
        let mut buffer = [0; 2048];
        while let Ok(len) = self.socket.recv(&mut buffer) {
            if !self.is_lost(0) {
                self.read(&buffer[..len]).ok_or_else(|| Failure::new(format!("no text: {:02x?}", &buffer[..len])))?;
            }
        }
        if let Some(peer) = self.peer
            && !self.is_idle()
            && Instant::now() >= self.next
        {
            self.send(peer)?;
        }
        Ok(())
    }

    /// The packets and the text received so far.
    pub fn received(self) -> Received {
        let mut text = String::new();
        // The numbers may wrap once: the first packet is the one after the widest gap.
        let numbers: Vec<u16> = self.texts.keys().copied().collect();
        let gap_before =
            |place: usize| numbers[place].wrapping_sub(numbers[(place + numbers.len() - 1) % numbers.len()]);
        let first = (0..numbers.len()).max_by_key(|place| gap_before(*place)).unwrap_or(0);
        for place in (0..numbers.len()).map(|place| (place + first) % numbers.len()) {
            if place != first && gap_before(place) > 1 {
                text.push('\u{FFFD}');
            }
            text.push_str(&self.texts[&numbers[place]]);
        }
        Received { text, packets: self.packets }
    }

    fn send(&mut self, peer: Peer) -> Result {
        let text = std::mem::take(&mut self.waiting);
        let marker = self.generations.iter().all(String::is_empty);
        let payload_type = peer.red.filter(|_| self.offer.red.is_some()).unwrap_or(peer.t140);
        let timestamp = self.began.elapsed().as_millis() as u32;
        let mut payload = Vec::new();
        if payload_type != peer.t140 {
            for (text, back) in self.generations.iter().zip([2_u32, 1]) {
                payload.push(0x80 | peer.t140);
                payload.extend_from_slice(&((back * 300) << 10 | text.len() as u32).to_be_bytes()[1..]);
            }
            payload.push(peer.t140);
            self.generations.iter().for_each(|text| payload.extend_from_slice(text.as_bytes()));
        }
        payload.extend_from_slice(text.as_bytes());
        let (sequence, ssrc) = (self.number, u32::from(self.offer.t140));
        let packet = Rtp { payload_type, marker, sequence, timestamp, ssrc, payload, ..Rtp::default() }.write();
        self.generations.pop_front();
        self.generations.push_back(text);
        self.number = self.number.wrapping_add(1);
        if !self.is_lost(1) {
            self.socket.send_to(&packet, peer.address)?;
        }
        self.next = Instant::now() + INTERVAL;
        Ok(())
    }

    fn read(&mut self, packet: &[u8]) -> Option<()> {
        let Rtp { payload_type, marker, sequence: number, timestamp, payload, .. } = Rtp::parse(packet)?;
        self.packets.push(Packet { payload_type, marker, timestamp });
        if payload_type == self.offer.t140 {
            self.texts.entry(number).or_insert(String::from_utf8(payload).ok()?);
            return Some(());
        }
        let (mut rest, mut lengths) = (payload.as_slice(), Vec::new());
        while let [0x80..=0xFF, _, middle, low, behind @ ..] = rest {
            lengths.push(usize::from(u16::from_be_bytes([middle & 3, *low])));
            rest = behind;
        }
        let (_, mut data) = rest.split_first()?;
        let generations = lengths.len();
        for (place, length) in lengths.into_iter().enumerate() {
            let (text, behind) = data.split_at_checked(length)?;
            let of = number.wrapping_sub((generations - place) as u16);
            // Before the first packet there were none.
            if !text.is_empty() || self.texts.keys().next().is_some() {
                self.texts.entry(of).or_insert(String::from_utf8(text.to_vec()).ok()?);
            }
            data = behind;
        }
        self.texts.entry(number).or_insert(String::from_utf8(data.to_vec()).ok()?);
        Some(())
    }

    /// Loses one in ten packets, but never three in a row.
    fn is_lost(&mut self, direction: usize) -> bool {
        self.dice = self.dice.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let is_lost = self.offer.loses && (self.dice >> 16).is_multiple_of(10) && self.lost_in_a_row[direction] < 2;
        self.lost_in_a_row[direction] = if is_lost { self.lost_in_a_row[direction] + 1 } else { 0 };
        is_lost
    }
}
