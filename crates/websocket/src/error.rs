//! Errors in frames from the peer, and in messages that our caller wants to send.

use crate::close::CloseCode;

/// Reasons why a frame from the peer is refused. Each has a status code (RFC 6455 §7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Reserved bits are set to which no negotiated extension gives a meaning (RFC 6455 §5.2).
    #[error("reserved bits {0:03b} set")]
    ReservedBits(u8),
    /// The opcode is one of the reserved ones, 0x3 to 0x7 and 0xB to 0xF (RFC 6455 §5.2).
    #[error("unknown opcode {0:#x}")]
    UnknownOpcode(u8),
    /// A client's frame is not masked; all of them have to be (RFC 6455 §5.1).
    #[error("frame of a client is not masked")]
    Unmasked,
    /// A server's frame is masked; none of them may be (RFC 6455 §5.1).
    #[error("frame of a server is masked")]
    Masked,
    /// The length is not encoded in the minimal number of bytes (RFC 6455 §5.2).
    #[error("length {0} is not encoded in the fewest bytes")]
    LengthNotMinimal(u64),
    /// The most significant bit of a 64-bit length is not 0 (RFC 6455 §5.2).
    #[error("length with its highest bit set")]
    LengthTooLarge,
    /// The payload of a control frame is longer than 125 bytes (RFC 6455 §5.5).
    #[error("control frame of {0} bytes")]
    ControlTooLong(u64),
    /// A control frame is fragmented (RFC 6455 §5.5).
    #[error("fragmented control frame")]
    ControlFragmented,
    /// A continuation frame does not continue a message (RFC 6455 §5.4).
    #[error("continuation without a message")]
    NothingToContinue,
    /// A message begins between the fragments of another one (RFC 6455 §5.4).
    #[error("new message inside a fragmented one")]
    MessageUnfinished,
    /// A text message, or the reason in a Close frame, is not UTF-8 (RFC 6455 §8.1).
    #[error("text is not UTF-8")]
    NotUtf8,
    /// A compressed message cannot be decompressed (RFC 7692 §7.2.2).
    #[error("compressed data is invalid")]
    Deflate,
    /// The payload of a Close frame is one byte long; a status code has two (RFC 6455 §5.5.1).
    #[error("close frame of one byte")]
    CloseTooShort,
    /// A Close frame has a status code that must not be sent (RFC 6455 §7.4).
    #[error("close code {0} must not be sent")]
    CloseCode(u16),
    /// A message is longer than the limit of this connection (RFC 6455 §10.4).
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

/// Reasons why a message of our caller is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// A Close frame has been sent or received, or the stream has ended (RFC 6455 §5.5.1).
    #[error("the connection is closing or closed")]
    Closed,
    /// The peer does not read what is queued for it. The connection ends with 1013.
    #[error("{queued} bytes wait to be sent, we queue {max}")]
    OutputFull {
        /// Bytes that wait already.
        queued: usize,
        /// The most bytes that may wait.
        max: usize,
    },
    /// The payload of a PING or PONG is longer than 125 bytes (RFC 6455 §5.5).
    #[error("control frame of {0} bytes")]
    ControlTooLong(usize),
    /// The payload of a text message is not UTF-8 (RFC 6455 §8.1).
    #[error("text is not UTF-8")]
    NotUtf8,
    /// Callers cannot send frames with this opcode: [`crate::Connection::close`] sends Close frames, and nothing sends
    /// continuations.
    #[error("a caller does not send {0:?} frames")]
    Opcode(crate::frame::Opcode),
}
