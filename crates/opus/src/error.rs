//! Errors of libopus, by whose fault they are.

use std::ffi::c_int;

use opusic_sys as sys;

/// Why a packet was refused, or why libopus could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer's packet breaks a rule of RFC 6716 §3.4: it is empty, its lengths do not add up, or it lasts more than 120 ms.
    #[error("the Opus packet is malformed (RFC 6716 section 3.4)")]
    Malformed,
    /// The caller's buffer is too small for the packet or its samples.
    #[error("the buffer is too small for the Opus packet")]
    BufferTooSmall,
    /// The caller passed a number of samples or a setting that Opus does not have.
    #[error("Opus has no frame of that length, or no such setting")]
    Unsupported,
    /// The system had no memory for a codec.
    #[error("out of memory for an Opus codec")]
    OutOfMemory,
    /// libopus failed in another way, with this code.
    #[error("libopus failed with code {0}")]
    Internal(c_int),
}

impl Error {
    pub(crate) fn of(code: c_int) -> Self {
        match code {
            sys::OPUS_INVALID_PACKET => Self::Malformed,
            sys::OPUS_BUFFER_TOO_SMALL => Self::BufferTooSmall,
            sys::OPUS_BAD_ARG | sys::OPUS_UNIMPLEMENTED => Self::Unsupported,
            sys::OPUS_ALLOC_FAIL => Self::OutOfMemory,
            other => Self::Internal(other),
        }
    }
}

/// Converts a return value of libopus: a count, or a negative code.
pub(crate) fn count(answer: c_int) -> Result<usize, Error> {
    usize::try_from(answer).map_err(|_| Error::of(answer))
}
