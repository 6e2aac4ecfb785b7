//! Parses the bytes of the stream into messages and control frames (RFC 6455 §5.4, §5.5).
//!
//! Everything is checked as early as possible: a header at its second byte, a size before memory is reserved for it,
//! and text as it arrives. A message is held once and unmasked in place.

use crate::deflate::Inflater;
use crate::error::FrameError;
use crate::frame::{Header, MAX_HEADER_LEN, Opcode};
use crate::{mask, utf8};

/// Text or binary data from the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// [`Opcode::Text`] or [`Opcode::Binary`]. If a message is delivered in parts, the parts between the first and the
    /// last have [`Opcode::Continuation`].
    pub opcode: Opcode,
    /// The content, unmasked and decompressed.
    pub payload: Vec<u8>,
    /// Whether more parts of this message follow. Only [`Reassembly::UpTo`] delivers parts.
    pub more_follows: bool,
}

/// Whether fragments are joined before they are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reassembly {
    /// Fragments are joined, and messages are delivered whole.
    Whole,
    /// Fragments are joined until they have this many bytes, and delivered as one part. 0 delivers each on its own.
    UpTo(usize),
}

/// A complete message, fragment or control frame from the peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Message(Message),
    /// A fragment of a message that is not complete, or that is dropped: there is nothing to deliver.
    Fragment,
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Vec<u8>),
}

/// The role of the peer, which decides whether its frames have to be masked (RFC 6455 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Client,
    Server,
}

pub(crate) struct Receiver {
    peer: Peer,
    max_message_len: usize,
    /// Whether permessage-deflate was agreed on (RFC 7692).
    takes_compressed: bool,
    reassembly: Reassembly,
    progress: Progress,
    message: Option<Assembly>,
    /// Whether the content of messages is skipped, because nobody wants them any more.
    skips_data: bool,
}

/// The position within the frame that is being received.
enum Progress {
    Header { bytes: [u8; MAX_HEADER_LEN], len: usize },
    Data { header: Header, received: u64 },
    Control { header: Header, payload: Vec<u8> },
}

/// A message whose last fragment has not arrived yet.
struct Assembly {
    opcode: Opcode,
    payload: Vec<u8>,
    text: Option<utf8::Validator>,
    inflater: Option<Inflater>,
    /// Bytes of its payload received so far, as they were on the wire.
    received: u64,
    /// Whether a part of the message has been delivered.
    begun: bool,
}

impl Receiver {
    pub(crate) fn new(peer: Peer, max_message_len: usize, takes_compressed: bool) -> Self {
        let reassembly = Reassembly::Whole;
        Self {
            peer,
            max_message_len,
            takes_compressed,
            reassembly,
            progress: Progress::START,
            message: None,
            skips_data: false,
        }
    }

    pub(crate) fn set_reassembly(&mut self, reassembly: Reassembly) {
        self.reassembly = reassembly;
    }

    /// Skips the content of all messages from now on. Control frames are still reported.
    pub(crate) fn skip_data(&mut self) {
        self.skips_data = true;
    }

    /// Parses from the front of `data` until a message, fragment or control frame is complete (`Some`) or `data` is
    /// used up (`None`).
    pub(crate) fn take(&mut self, data: &mut &[u8]) -> Result<Option<Incoming>, FrameError> {
        loop {
            let progress = std::mem::replace(&mut self.progress, Progress::START);
            let (progress, incoming) = match progress {
                Progress::Header { bytes, len } => self.take_header(bytes, len, data)?,
                Progress::Data { header, received } => self.take_data(header, received, data)?,
                Progress::Control { header, payload } => take_control(header, payload, data),
            };
            self.progress = progress;
            if incoming.is_some() {
                return Ok(incoming);
            }
            // An empty payload is complete without further data.
            if data.is_empty() && !self.progress.is_whole() {
                return Ok(None);
            }
        }
    }

    fn take_header(
        &mut self,
        mut bytes: [u8; MAX_HEADER_LEN],
        mut len: usize,
        data: &mut &[u8],
    ) -> Result<(Progress, Option<Incoming>), FrameError> {
        loop {
            let begun = bytes.get(..len).unwrap_or_default();
            if len == 2 {
                self.check_mask(begun)?;
                self.check_compressed(begun)?;
            }
            if let Some(header) = Header::parse(begun)? {
                return Ok((self.begin_payload(header)?, None));
            }
            let missing = Header::len_from(begun) - len;
            let (taken, rest) = data.split_at(missing.min(data.len()));
            bytes.iter_mut().skip(len).zip(taken).for_each(|(to, from)| *to = *from);
            len += taken.len();
            *data = rest;
            if taken.len() < missing {
                return Ok((Progress::Header { bytes, len }, None));
            }
        }
    }

    /// Checks that a client masks its frames and a server does not (RFC 6455 §5.1).
    fn check_mask(&self, begun: &[u8]) -> Result<(), FrameError> {
        let masked = begun.get(1).is_some_and(|second| second & 0x80 != 0);
        match (self.peer, masked) {
            (Peer::Client, false) => Err(FrameError::Unmasked),
            (Peer::Server, true) => Err(FrameError::Masked),
            _ => Ok(()),
        }
    }

    /// Checks that RSV1 is set only if permessage-deflate was agreed on (RFC 6455 §5.2).
    fn check_compressed(&self, begun: &[u8]) -> Result<(), FrameError> {
        match begun.first() {
            Some(first) if first & 0x40 != 0 && !self.takes_compressed => {
                Err(FrameError::ReservedBits(first >> 4 & 0b111))
            }
            _ => Ok(()),
        }
    }

    /// Checks the order of frames (RFC 6455 §5.4) and the limit on the size before a byte is kept.
    fn begin_payload(&mut self, header: Header) -> Result<Progress, FrameError> {
        if header.opcode.is_control() {
            return Ok(Progress::Control { header, payload: Vec::new() });
        }
        match (&self.message, header.opcode) {
            (None, Opcode::Continuation) => return Err(FrameError::NothingToContinue),
            (Some(_), Opcode::Text | Opcode::Binary) => return Err(FrameError::MessageUnfinished),
            (Some(_), _) => {}
            (None, opcode) => self.message = Some(Assembly::new(opcode, header.compressed)),
        }
        if let Some(message) = &mut self.message {
            message.expect(header.payload_len, self.max_message_len)?;
        }
        Ok(Progress::Data { header, received: 0 })
    }

    fn take_data(
        &mut self,
        header: Header,
        received: u64,
        data: &mut &[u8],
    ) -> Result<(Progress, Option<Incoming>), FrameError> {
        // There is a message: `begin_payload` created it, and only `deliver` takes it.
        let Some(message) = self.message.as_mut() else { return Err(FrameError::NothingToContinue) };
        let taken = split_off(data, header.payload_len - received);
        if !self.skips_data {
            message.push(header.masking_key, received, taken, self.max_message_len)?;
        }
        let received = received + taken.len() as u64;
        if received < header.payload_len {
            return Ok((Progress::Data { header, received }, None));
        }
        Ok((Progress::START, Some(self.deliver(header)?)))
    }

    /// Handles a complete data frame. Returns a message if one is to be delivered.
    fn deliver(&mut self, header: Header) -> Result<Incoming, FrameError> {
        let Some(mut message) = self.message.take() else { return Ok(Incoming::Fragment) };
        if self.skips_data {
            self.message = Some(message).filter(|_| !header.fin);
            return Ok(Incoming::Fragment);
        }
        if header.fin {
            return message.finish(self.max_message_len).map(Incoming::Message);
        }
        let part = match self.reassembly {
            Reassembly::UpTo(bytes) if message.payload.len() >= bytes => Incoming::Message(message.part()),
            _ => Incoming::Fragment,
        };
        self.message = Some(message);
        Ok(part)
    }
}

impl Progress {
    const START: Self = Self::Header { bytes: [0; MAX_HEADER_LEN], len: 0 };

    fn is_whole(&self) -> bool {
        match self {
            Self::Header { .. } => false,
            Self::Data { header, received } => header.payload_len == *received,
            Self::Control { header, payload } => header.payload_len == payload.len() as u64,
        }
    }
}

impl Assembly {
    fn new(opcode: Opcode, compressed: bool) -> Self {
        let text = (opcode == Opcode::Text).then(utf8::Validator::default);
        let inflater = compressed.then(Inflater::new);
        Self { opcode, payload: Vec::new(), text, inflater, received: 0, begun: false }
    }

    /// Checks the length of one more frame. The content of a compressed frame may be longer or shorter.
    fn expect(&mut self, len: u64, max: usize) -> Result<(), FrameError> {
        self.received = self.received.saturating_add(len);
        let (len, max) = match self.inflater {
            None => ((self.payload.len() as u64).saturating_add(len), max as u64),
            Some(_) => (self.received, (max as u64).saturating_mul(2).saturating_add(MAX_OVERHEAD)),
        };
        if len > max { Err(FrameError::TooBig { len, max }) } else { Ok(()) }
    }

    fn push(&mut self, key: Option<[u8; 4]>, received: u64, data: &[u8], max: usize) -> Result<(), FrameError> {
        let offset = (received % 4) as usize;
        let held = self.payload.len();
        match &mut self.inflater {
            None if data.is_empty() => return Ok(()),
            None => {
                // One more octet, for the NUL that a consumer in C wants behind the message.
                self.payload.reserve(data.len() + 1);
                self.payload.extend_from_slice(data);
                if let Some(key) = key {
                    mask::apply(key, offset, self.payload.get_mut(held..).unwrap_or_default());
                }
            }
            Some(inflater) => {
                let mut data = data.to_vec();
                if let Some(key) = key {
                    mask::apply(key, offset, &mut data);
                }
                inflater.inflate(&data, &mut self.payload, max)?;
            }
        }
        self.check_text(held)
    }

    fn finish(mut self, max: usize) -> Result<Message, FrameError> {
        let held = self.payload.len();
        if let Some(inflater) = &mut self.inflater {
            inflater.finish(&mut self.payload, max)?;
            self.check_text(held)?;
        }
        if self.text.is_some_and(|text| !text.is_complete()) {
            return Err(FrameError::NotUtf8);
        }
        Ok(Message { opcode: self.opcode, payload: self.payload, more_follows: false })
    }

    /// Checks that text is UTF-8, behind the first `held` bytes, which have been checked already.
    fn check_text(&mut self, held: usize) -> Result<(), FrameError> {
        let new = self.payload.get(held..).unwrap_or_default();
        match &mut self.text {
            Some(text) => text.push(new).map_err(|utf8::NotUtf8| FrameError::NotUtf8),
            None => Ok(()),
        }
    }

    fn part(&mut self) -> Message {
        let opcode = if self.begun { Opcode::Continuation } else { self.opcode };
        self.begun = true;
        // The limit is for each delivered part.
        self.received = 0;
        Message { opcode, payload: std::mem::take(&mut self.payload), more_follows: true }
    }
}

/// The most bytes by which a compressed message may be longer than its content.
const MAX_OVERHEAD: u64 = 1024;

fn take_control(header: Header, mut payload: Vec<u8>, data: &mut &[u8]) -> (Progress, Option<Incoming>) {
    let received = payload.len();
    payload.extend_from_slice(split_off(data, header.payload_len - received as u64));
    if let Some(key) = header.masking_key {
        mask::apply(key, received, payload.get_mut(received..).unwrap_or_default());
    }
    if (payload.len() as u64) < header.payload_len {
        return (Progress::Control { header, payload }, None);
    }
    let incoming = match header.opcode {
        Opcode::Close => Incoming::Close(payload),
        Opcode::Ping => Incoming::Ping(payload),
        _ => Incoming::Pong(payload),
    };
    (Progress::START, Some(incoming))
}

fn split_off<'a>(data: &mut &'a [u8], wanted: u64) -> &'a [u8] {
    let here = usize::try_from(wanted).unwrap_or(usize::MAX).min(data.len());
    let (taken, rest) = data.split_at(here);
    *data = rest;
    taken
}
