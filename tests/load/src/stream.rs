//! RTP of a leg: packets of 20 ms that carry their number, by which loss is counted.

use std::ops::Range;

/// The codec of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// PCMU, 160 octets.
    #[default]
    Ulaw,
    /// Opus of 32 kbit/s, 80 octets.
    Opus,
}

impl Codec {
    const ALL: [Self; 2] = [Self::Ulaw, Self::Opus];

    /// Its payload type.
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Ulaw => 0,
            Self::Opus => 111,
        }
    }

    /// Its name, as `a=rtpmap` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ulaw => "PCMU/8000",
            Self::Opus => "opus/48000/2",
        }
    }

    /// The name under which it goes through the host.
    pub fn name_in_the_host(self) -> &'static str {
        match self {
            Self::Ulaw => "ulaw",
            Self::Opus => "g719",
        }
    }

    /// The octets of a packet.
    fn len(self) -> usize {
        HEADER + if self == Self::Ulaw { 160 } else { 80 }
    }

    /// The units of the timestamp in a packet.
    fn ticks(self) -> u32 {
        if self == Self::Ulaw { 160 } else { 960 }
    }

    /// The first octet of a payload: with Opus one frame of 20 ms, fullband, mono (RFC 6716 §3.1).
    fn first_octet(self) -> u8 {
        if self == Self::Ulaw { 0 } else { 15 << 3 }
    }
}

const HEADER: usize = 12;

/// The octets of the payload that name the leg and the number of the packet.
const STAMP: usize = 8;

/// The packets that a leg sends, and the number of them that come back or arrive at the other leg.
#[derive(Debug)]
pub struct Stream {
    codec: Codec,
    leg: u32,
    sequence: u16,
    /// The number of the next packet.
    next: u32,
    /// Packets with these numbers count.
    window: Range<u32>,
    arrived: u32,
}

impl Stream {
    /// The stream of a leg, of which nothing counts yet.
    pub fn new(leg: u32, codec: Codec) -> Self {
        let sequence = leg.wrapping_mul(7919) as u16 & 0x0FFF;
        Self { codec, leg, sequence, next: 0, window: u32::MAX..u32::MAX, arrived: 0 }
    }

    /// Writes the next packet; `tick` is the number of periods of 20 ms since the beginning of all streams.
    pub fn write(&mut self, tick: u32, buffer: &mut [u8]) -> usize {
        let (codec, len) = (self.codec, self.codec.len());
        let packet = &mut buffer[..len];
        packet[..2].copy_from_slice(&[0x80, codec.payload_type()]);
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&tick.wrapping_mul(codec.ticks()).to_be_bytes());
        packet[8..HEADER].copy_from_slice(&(0x1000_0000 | self.leg).to_be_bytes());
        packet[HEADER..16].copy_from_slice(&self.leg.to_be_bytes());
        packet[HEADER] = codec.first_octet();
        packet[16..HEADER + STAMP].copy_from_slice(&self.next.to_be_bytes());
        packet[HEADER + STAMP..].fill(0xFF);
        self.sequence = self.sequence.wrapping_add(1);
        self.next += 1;
        len
    }

    /// From now on packets count.
    pub fn begin_window(&mut self) {
        self.window = self.next..u32::MAX;
        self.arrived = 0;
    }

    /// Later packets do not count any more.
    pub fn end_window(&mut self) {
        self.window.end = self.next;
    }

    /// Takes note of a packet with this number.
    pub fn note(&mut self, number: u32) {
        self.arrived += u32::from(self.window.contains(&number));
    }

    /// The packets that count: sent, and arrived.
    pub fn counted(&self) -> (u32, u32) {
        (self.window.end.min(self.next) - self.window.start.min(self.next), self.arrived)
    }
}

/// The leg that sent this packet, and its number; `None` if it is none of [`Stream::write`].
pub fn stamp(packet: &[u8]) -> Option<(usize, u32)> {
    let word = |at: usize| packet.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let is_of = |codec: Codec| packet.len() == codec.len() && packet[1] & 0x7F == codec.payload_type();
    let is_ours = Codec::ALL.into_iter().any(is_of) && packet[0] == 0x80;
    is_ours.then_some(())?;
    // The first octet is the codec's.
    Some(((word(HEADER)? & 0x00FF_FFFF) as usize, word(HEADER + 4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_the_window_count_and_others_do_not() {
        Codec::ALL.into_iter().for_each(packets_count);
    }

    fn packets_count(codec: Codec) {
        let mut stream = Stream::new(7, codec);
        let mut buffer = [0; 300];
        let mut send = |stream: &mut Stream| {
            let len = stream.write(1, &mut buffer);
            stamp(&buffer[..len]).unwrap()
        };
        let before = send(&mut stream);
        stream.begin_window();
        let [first, second] = [send(&mut stream), send(&mut stream)];
        stream.end_window();
        let after = send(&mut stream);
        assert_eq!((before, first, second, after), ((7, 0), (7, 1), (7, 2), (7, 3)));
        for (_, number) in [before, first, after] {
            stream.note(number);
        }
        assert_eq!(stream.counted(), (2, 1));
    }

    #[test]
    fn comfort_noise_and_digits_have_no_stamp() {
        assert_eq!(stamp(&[0x80, 13, 0, 0]), None);
        assert_eq!(stamp(&[0; 172]), None);
    }
}
