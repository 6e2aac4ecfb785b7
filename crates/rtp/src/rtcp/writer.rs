//! Writes compound packets into the caller's buffer (RFC 3550 §6.1).

use super::feedback::{APPLICATION_LAYER, FIR, NACK, PLI};
use super::{Packet, ReportBlock, SenderInfo, packet_type as pt};
use crate::wire::Cursor;

/// Appends packets to a buffer. A packet that does not fit is left out as a whole, and [`Writer::finish`] returns an
/// error.
#[derive(Debug)]
pub struct Writer<'b> {
    out: Cursor<'b>,
    whole: usize,
    overflow: bool,
}

/// The buffer is too small for all packets. Holds the octets of those that fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the compound needs more than the buffer's {0} octets")]
pub struct BufferTooSmall(pub usize);

/// The compound that a participant sends at regular intervals: SR or RR, its canonical name, and BYE at the end of the
/// session (§6.1).
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Our SSRC.
    pub ssrc: u32,
    /// The counts of the stream that we send. With them the report is an SR, without them an RR.
    pub sender: Option<SenderInfo>,
    /// The statistics of the streams that we receive.
    pub blocks: &'a [ReportBlock],
    /// Our canonical name, which all streams of a call share (RFC 7022).
    pub cname: &'a str,
    /// Whether a BYE ends the compound.
    pub bye: bool,
}

impl Report<'_> {
    /// Writes the compound to the front of `buffer` and returns its length in octets.
    pub fn write(&self, buffer: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let mut writer = Writer::new(buffer);
        match &self.sender {
            Some(info) => writer.sender_report(self.ssrc, info, self.blocks),
            None => writer.receiver_report(self.ssrc, self.blocks),
        };
        writer.cname(self.ssrc, self.cname);
        if self.bye {
            writer.bye(&[self.ssrc]);
        }
        writer.finish()
    }
}

impl<'b> Writer<'b> {
    /// Creates an empty compound in `buffer`.
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { out: Cursor::new(buffer), whole: 0, overflow: false }
    }

    /// Appends an SR (§6.4.1). Blocks beyond the 31st are left out.
    pub fn sender_report(&mut self, ssrc: u32, info: &SenderInfo, blocks: &[ReportBlock]) -> &mut Self {
        let blocks = &blocks[..blocks.len().min(MAX_COUNT)];
        self.packet(pt::SENDER_REPORT, blocks.len() as u8, |out| {
            out.put_u32(ssrc);
            info.write(out);
            blocks.iter().for_each(|block| block.write(out));
        })
    }

    /// Appends an RR (§6.4.2). Blocks beyond the 31st are left out.
    pub fn receiver_report(&mut self, ssrc: u32, blocks: &[ReportBlock]) -> &mut Self {
        let blocks = &blocks[..blocks.len().min(MAX_COUNT)];
        self.packet(pt::RECEIVER_REPORT, blocks.len() as u8, |out| {
            out.put_u32(ssrc);
            blocks.iter().for_each(|block| block.write(out));
        })
    }

    /// Appends an SDES with the canonical name, which every compound has to carry (§6.5.1). At most 255 octets of it
    /// are sent.
    pub fn cname(&mut self, ssrc: u32, cname: &str) -> &mut Self {
        let text = &cname.as_bytes()[..cname.len().min(u8::MAX.into())];
        self.packet(pt::SOURCE_DESCRIPTION, 1, |out| {
            out.put_u32(ssrc);
            out.put(&[super::Sdes::CNAME, text.len() as u8]);
            out.put(text);
            // The list of items ends with a zero octet, even where it would end on a word.
            out.put(&[0]);
        })
    }

    /// Appends a PLI (RFC 4585 §6.3.1).
    pub fn pli(&mut self, sender_ssrc: u32, media_ssrc: u32) -> &mut Self {
        self.feedback(pt::PAYLOAD_FEEDBACK, PLI, sender_ssrc, media_ssrc, &[])
    }

    /// Appends a FIR (RFC 5104 §4.3.1) for one stream. A repeated request has the `command_sequence` of the first.
    pub fn fir(&mut self, sender_ssrc: u32, media_ssrc: u32, command_sequence: u8) -> &mut Self {
        let [a, b, c, d] = media_ssrc.to_be_bytes();
        self.feedback(pt::PAYLOAD_FEEDBACK, FIR, sender_ssrc, 0, &[a, b, c, d, command_sequence, 0, 0, 0])
    }

    /// Appends a packet that was parsed.
    pub fn copy(&mut self, packet: &Packet<'_>) -> &mut Self {
        match packet {
            Packet::SenderReport(report) => self.packet(pt::SENDER_REPORT, report.blocks.len() as u8, |out| {
                out.put_u32(report.ssrc);
                report.info.write(out);
                report.blocks.iter().for_each(|block| block.write(out));
                out.put(report.extension);
            }),
            Packet::ReceiverReport(report) => self.packet(pt::RECEIVER_REPORT, report.blocks.len() as u8, |out| {
                out.put_u32(report.ssrc);
                report.blocks.iter().for_each(|block| block.write(out));
                out.put(report.extension);
            }),
            Packet::Sdes(sdes) => {
                let (count, body) = sdes.wire();
                self.packet(pt::SOURCE_DESCRIPTION, count, |out| out.put(body))
            }
            Packet::Bye(bye) => self.copy_bye(bye),
            Packet::App(app) => self.packet(pt::APPLICATION, app.subtype, |out| {
                out.put_u32(app.ssrc);
                out.put(&app.name);
                out.put(app.data);
            }),
            Packet::Nack(nack) => {
                self.feedback(pt::TRANSPORT_FEEDBACK, NACK, nack.sender_ssrc, nack.media_ssrc, nack.pairs.wire())
            }
            Packet::Pli(pli) => self.pli(pli.sender_ssrc, pli.media_ssrc),
            Packet::Fir(fir) => self.feedback(pt::PAYLOAD_FEEDBACK, FIR, fir.sender_ssrc, 0, fir.entries.wire()),
            Packet::Remb(remb) => self.packet(pt::PAYLOAD_FEEDBACK, APPLICATION_LAYER, |out| {
                let (fixed, ssrcs) = remb.wire();
                out.put_u32(remb.sender_ssrc);
                out.put_u32(0);
                out.put(&fixed);
                out.put(ssrcs);
            }),
            Packet::FirH261 { sender_ssrc } => self.packet(pt::FIR_H261, 0, |out| out.put_u32(*sender_ssrc)),
            Packet::ExtendedReport(report) => self.packet(pt::EXTENDED_REPORT, 0, |out| {
                out.put_u32(report.ssrc);
                out.put(report.wire());
            }),
            Packet::Feedback(feedback) => self.feedback(
                feedback.packet_type,
                feedback.format,
                feedback.sender_ssrc,
                feedback.media_ssrc,
                feedback.fci,
            ),
            Packet::Unknown { packet_type, count, body } => self.packet(*packet_type, *count, |out| out.put(body)),
        }
    }

    /// Returns the length of the compound in octets, or an error if a packet was left out.
    pub fn finish(self) -> Result<usize, BufferTooSmall> {
        if self.overflow { Err(BufferTooSmall(self.whole)) } else { Ok(self.whole) }
    }

    fn feedback(&mut self, packet_type: u8, format: u8, sender_ssrc: u32, media_ssrc: u32, fci: &[u8]) -> &mut Self {
        self.packet(packet_type, format, |out| {
            out.put_u32(sender_ssrc);
            out.put_u32(media_ssrc);
            out.put(fci);
        })
    }

    pub(super) fn packet(&mut self, packet_type: u8, count: u8, body: impl FnOnce(&mut Cursor<'b>)) -> &mut Self {
        let start = self.out.len();
        self.out.put(&[2 << 6 | count & 0x1F, packet_type, 0, 0]);
        body(&mut self.out);
        while !self.out.overflowed() && !(self.out.len() - start).is_multiple_of(4) {
            self.out.put(&[0]);
        }
        match u16::try_from((self.out.len() - start) / 4) {
            Ok(words) if !self.out.overflowed() && words > 0 => {
                self.out.overwrite(start + 2, &(words - 1).to_be_bytes());
                self.whole = self.out.len();
            }
            _ => {
                self.out.truncate(start);
                self.overflow = true;
            }
        }
        self
    }
}

/// The largest count of blocks or sources, which has five bits (§6.4.1).
pub(super) const MAX_COUNT: usize = 31;
