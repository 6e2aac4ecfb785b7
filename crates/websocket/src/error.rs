//! Errors in frames from the peer, and in messages that our caller wants to send.

use crate::close::CloseCode;

/// Why a frame from the peer was refused. Each has its status code (RFC 6455 §7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// RFC 6455 §5.2: no extension was negotiated that gives these bits a meaning.
    #[error("reserved bits {0:03b} set")]
    ReservedBits(u8),
    /// RFC 6455 §5.2: opcodes 0x3 to 0x7 and 0xB to 0xF are reserved.
    #[error("unknown opcode {0:#x}")]
    UnknownOpcode(u8),
    /// RFC 6455 §5.1: a client masks every frame.
    #[error("frame of a client is not masked")]
    Unmasked,
    /// RFC 6455 §5.1: a server masks none.
    #[error("frame of a server is masked")]
    Masked,
    /// RFC 6455 §5.2: the minimal number of bytes encodes the length.
    #[error("length {0} is not encoded in the fewest bytes")]
    LengthNotMinimal(u64),
    /// RFC 6455 §5.2: the most significant bit of a 64-bit length is 0.
    #[error("length with its highest bit set")]
    LengthTooLarge,
    /// RFC 6455 §5.5.
    #[error("control frame of {0} bytes")]
    ControlTooLong(u64),
    /// RFC 6455 §5.5.
    #[error("fragmented control frame")]
    ControlFragmented,
    /// RFC 6455 §5.4: a continuation continues something.
    #[error("continuation without a message")]
    NothingToContinue,
    /// RFC 6455 §5.4: fragments of one message are not interleaved with another's.
    #[error("new message inside a fragmented one")]
    MessageUnfinished,
    /// RFC 6455 §8.1.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// RFC 7692 §7.2.2.
    #[error("compressed data that is none")]
    Deflate,
    /// RFC 6455 §5.5.1: a status code has two bytes.
    #[error("close frame of one byte")]
    CloseTooShort,
    /// RFC 6455 §7.4.
    #[error("close code {0} must not be sent")]
    CloseCode(u16),
    /// RFC 6455 §10.4: we choose how much we take.
    #[error("message of {len} bytes, we take {max}")]
    TooBig {
        /// The length of the message including this frame, in bytes.
        len: u64,
        /// The longest message that is accepted, in bytes.
        max: u64,
    },
}

impl FrameError {
    /// The status code that tells the peer (RFC 6455 §7.4.1).
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::NotUtf8 | Self::Deflate => CloseCode::INVALID_PAYLOAD,
            Self::TooBig { .. } => CloseCode::TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

/// Why something was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// A Close frame was sent or received, or the stream ended (RFC 6455 §5.5.1).
    #[error("the connection is closing or closed")]
    Closed,
    /// The peer does not take what is queued for it.
    #[error("{queued} bytes wait to be sent, we queue {max}")]
    OutputFull {
        /// Bytes that wait already.
        queued: usize,
        /// The most bytes that may wait.
        max: usize,
    },
    /// RFC 6455 §5.5.
    #[error("control frame of {0} bytes")]
    ControlTooLong(usize),
    /// RFC 6455 §8.1.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// Close frames are sent by [`crate::Connection::close`], continuations not at all.
    #[error("a caller does not send {0:?} frames")]
    Opcode(crate::frame::Opcode),
}
