//! The pcapng file.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, PcapError};

use crate::clear::in_clear;
use crate::exported;
use crate::packet::{Content, Direction, Packet};

/// A pcapng file that packets are written to, up to a size.
pub struct Capture<W: Write> {
    writer: PcapNgWriter<W>,
    written: u64,
    most: u64,
    counts: Counts,
    frame: Vec<u8>,
}

/// The packets that were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; Content::ALL.len()]);

/// The result of [`Capture::write`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The packet is in the file.
    Yes,
    /// The file would become too large. Nothing was written.
    Full,
}

impl Counts {
    /// Returns the number of packets of a protocol.
    pub fn of(&self, content: Content) -> u64 {
        self.0.get(content.index()).copied().unwrap_or_default()
    }

    fn add(&mut self, content: Content) {
        if let Some(count) = self.0.get_mut(content.index()) {
            *count += 1;
        }
    }
}

impl<W: Write> Capture<W> {
    /// Begins a file of at most `most` octets, its own head and end not counted. `application` is the program that writes it.
    pub fn begin(writer: W, most: u64, application: &str) -> io::Result<Self> {
        let options = vec![
            SectionHeaderOption::UserApplication(Cow::Owned(application.to_owned())),
            SectionHeaderOption::Comment(Cow::Borrowed(ABOUT)),
        ];
        let section = SectionHeaderBlock { options, ..SectionHeaderBlock::default() };
        let mut writer = PcapNgWriter::with_section_header(writer, section).map_err(io_error)?;
        let options = vec![
            InterfaceDescriptionOption::IfName(Cow::Borrowed("calls")),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ];
        let interface = InterfaceDescriptionBlock { linktype: DataLink::WIRESHARK_UPPER_PDU, snaplen: 0, options };
        writer.write_pcapng_block(interface).map_err(io_error)?;
        Ok(Self { writer, written: 0, most, counts: Counts::default(), frame: Vec::new() })
    }

    /// Writes a packet.
    pub fn write(&mut self, packet: &Packet<'_>) -> io::Result<Written> {
        let clear = if packet.content == Content::Sip { in_clear(packet.octets) } else { None };
        match clear {
            Some(clear) => {
                let comment = format!("{} in the message that crossed the WebSocket", clear.profiles.join(", "));
                self.write_frame(&Packet { octets: &clear.message, ..*packet }, Some(comment))
            }
            None => self.write_frame(packet, None),
        }
    }

    /// Writes how many packets were lost on the way to the file, and returns the writer.
    pub fn finish(mut self, at: Duration, lost: u64) -> io::Result<W> {
        let options = vec![InterfaceStatisticsOption::IsbIfDrop(lost)];
        let timestamp = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let statistics = InterfaceStatisticsBlock { interface_id: 0, timestamp, options };
        self.writer.write_pcapng_block(statistics).map_err(io_error)?;
        let mut writer = self.writer.into_inner();
        writer.flush()?;
        Ok(writer)
    }

    /// Passes on what the writer keeps.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.get_mut().flush()
    }

    /// Returns the packets that were written.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns the octets of the packets that were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    fn write_frame(&mut self, packet: &Packet<'_>, comment: Option<String>) -> io::Result<Written> {
        let mut frame = std::mem::take(&mut self.frame);
        exported::write(packet, &mut frame);
        let result = self.write_block(packet, &frame, comment);
        self.frame = frame;
        result
    }

    fn write_block(&mut self, packet: &Packet<'_>, frame: &[u8], comment: Option<String>) -> io::Result<Written> {
        let len = frame.len() + comment.as_ref().map_or(0, String::len) + AROUND;
        if self.written.saturating_add(len as u64) > self.most {
            return Ok(Written::Full);
        }
        let mut options = vec![EnhancedPacketOption::Flags(flags(packet.direction))];
        options.extend(comment.map(|comment| EnhancedPacketOption::Comment(Cow::Owned(comment))));
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: packet.at,
            original_len: u32::try_from(frame.len()).unwrap_or(u32::MAX),
            data: Cow::Borrowed(frame),
            options,
        };
        let written = self.writer.write_pcapng_block(block).map_err(io_error)?;
        self.written += written as u64;
        self.counts.add(packet.content);
        Ok(Written::Yes)
    }
}

/// Returns the flags of a packet: received or sent.
fn flags(direction: Direction) -> u32 {
    match direction {
        Direction::In => 0b01,
        Direction::Out => 0b10,
    }
}

fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

/// The most octets of a block around a packet and a comment: its head and end, both with options, and what fills them up.
const AROUND: usize = 64;

/// The unit of times: ten to the power of minus nine seconds.
const NANOSECONDS: u8 = 9;

const ABOUT: &str = "SIP as it crossed WebSockets, RTP and RTCP decrypted. Where streams were encrypted, m= lines have the \
                     profile without encryption, so that Wireshark decodes the packets; comments have the profile that they had.";

#[cfg(test)]
mod tests {
    use pcap_file::pcapng::{Block, PcapNgReader};

    use super::*;

    fn packet(content: Content, octets: &[u8]) -> Packet<'_> {
        let (from, to) = ("192.0.2.1:5004".parse().unwrap(), "[2001:db8::1]:4000".parse().unwrap());
        Packet {
            at: Duration::from_nanos(1_700_000_000_123_456_789),
            content,
            direction: Direction::Out,
            from,
            to,
            octets,
        }
    }

    fn blocks(file: &[u8]) -> Vec<Block<'static>> {
        let mut reader = PcapNgReader::new(file).unwrap();
        let next = || reader.next_block().map(|block| block.unwrap().into_owned());
        std::iter::from_fn({
            let mut next = next;
            move || next()
        })
        .collect()
    }

    #[test]
    fn the_file_is_read_back_with_times_directions_and_losses() {
        let mut capture = Capture::begin(Vec::new(), 10_000, "test").unwrap();
        let sdp = b"INVITE sip:a SIP/2.0\r\nContent-Length: 37\r\n\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n";
        assert_eq!(capture.write(&packet(Content::Rtp, &[0x80; 172])).unwrap(), Written::Yes);
        assert_eq!(capture.write(&packet(Content::Sip, sdp)).unwrap(), Written::Yes);
        assert_eq!(Content::ALL.map(|content| capture.counts().of(content)), [1, 1, 0, 0, 0]);
        let file = capture.finish(Duration::from_secs(1_700_000_001), 3).unwrap();
        let blocks = blocks(&file);
        let [Block::InterfaceDescription(interface), Block::EnhancedPacket(rtp), Block::EnhancedPacket(sip), end] =
            &blocks[..]
        else {
            panic!("{blocks:?}")
        };
        assert_eq!(interface.linktype, DataLink::WIRESHARK_UPPER_PDU);
        assert_eq!(rtp.timestamp, Duration::from_nanos(1_700_000_000_123_456_789));
        assert!(rtp.data.ends_with(&[0x80; 172]) && rtp.options == [EnhancedPacketOption::Flags(2)]);
        assert!(sip.data.windows(8).any(|some| some == b"RTP/AVPF"));
        assert!(matches!(&sip.options[1], EnhancedPacketOption::Comment(text) if text.contains("UDP/TLS/RTP/SAVPF")));
        assert!(
            matches!(end, Block::InterfaceStatistics(end) if end.options == [InterfaceStatisticsOption::IsbIfDrop(3)])
        );
    }

    #[test]
    fn the_comment_of_a_message_with_thousands_of_streams_fits_into_its_option() {
        let lines = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nm=audio 9 RTP/SAVP 0\r\n".repeat(2000);
        let message = format!("INVITE sip:a SIP/2.0\r\nContent-Length: {}\r\n\r\n{lines}", lines.len());
        assert!(message.len() > 100_000);
        let mut capture = Capture::begin(Vec::new(), 1_000_000, "test").unwrap();
        assert_eq!(capture.write(&packet(Content::Sip, message.as_bytes())).unwrap(), Written::Yes);
        assert_eq!(capture.write(&packet(Content::Rtp, &[0x80; 172])).unwrap(), Written::Yes);
        let blocks = blocks(&capture.finish(Duration::ZERO, 0).unwrap());
        let [_, Block::EnhancedPacket(sip), Block::EnhancedPacket(_), _] = &blocks[..] else { panic!("{blocks:?}") };
        let comment = "UDP/TLS/RTP/SAVPF, RTP/SAVP in the message that crossed the WebSocket";
        assert_eq!(sip.options[1], EnhancedPacketOption::Comment(comment.into()));
    }

    #[test]
    fn m_lines_outside_of_sip_stay_as_they_are() {
        let octets = b"\x80\0\r\n\r\nm=audio 9 RTP/SAVP 0\r\n";
        let mut capture = Capture::begin(Vec::new(), 10_000, "test").unwrap();
        capture.write(&packet(Content::Rtp, octets)).unwrap();
        let blocks = blocks(&capture.finish(Duration::ZERO, 0).unwrap());
        assert!(
            matches!(&blocks[1], Block::EnhancedPacket(rtp) if rtp.data.ends_with(octets) && rtp.options.len() == 1)
        );
    }

    #[test]
    fn a_file_does_not_grow_past_its_limit() {
        let mut capture = Capture::begin(Vec::new(), 1000, "test").unwrap();
        let head = capture.writer.get_ref().len();
        let packet = packet(Content::Rtp, &[0x80; 172]);
        let written =
            std::iter::from_fn(|| Some(capture.write(&packet).unwrap()).filter(|written| *written == Written::Yes));
        assert_eq!(written.count(), 3);
        assert_eq!(capture.writer.get_ref().len() - head, usize::try_from(capture.written()).unwrap());
        assert!(capture.written() <= 1000);
    }
}
