//! The errors of this crate, grouped by whose fault they are.

use libsrtp2_sys as sys;

/// Why a packet or a policy was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Caused by the peer or by a stranger.
    /// The authentication tag does not match our key (RFC 3711 §3.3 step 5).
    #[error("authentication failed")]
    Authentication,
    /// A packet with this index was received before (RFC 3711 §3.3.2).
    #[error("the packet was received before (replay)")]
    Replayed,
    /// The packet is older than the replay window.
    #[error("the packet is older than the replay window")]
    TooOld,
    /// The packet is too short, or its header does not parse.
    #[error("the packet is malformed")]
    Malformed,
    /// No stream of this session matches the packet's SSRC.
    #[error("there is no key for this SSRC")]
    NoStream,

    // Caused by our caller.
    /// The buffer has no room for the authentication tag.
    #[error("the buffer is too small, {needed} bytes are needed")]
    BufferTooSmall {
        /// The length of packet and trailer in bytes.
        needed: usize,
    },
    /// Master key and salt together do not have the length that the suite requires.
    #[error("master key and salt have {len} bytes, the suite requires {expected}")]
    KeyLength {
        /// The given length in bytes.
        len: usize,
        /// The required length in bytes.
        expected: usize,
    },
    /// libsrtp refused the policy: it is a second wildcard, or there is no policy at all.
    #[error("libsrtp refused the policy")]
    BadPolicy,

    // Caused by a limit or by the system.
    /// The master key has protected the maximum number of packets (RFC 3711 §9.2).
    #[error("the master key has reached its packet limit")]
    KeyExpired,
    /// Any other status of libsrtp, as its number in `srtp_err_status_t`.
    #[error("libsrtp failed with status {0}")]
    Library(u32),
}

impl Error {
    /// Whether the packet is at fault and not our side: such errors are counted rather than logged.
    pub fn is_peers_fault(self) -> bool {
        matches!(self, Self::Authentication | Self::Replayed | Self::TooOld | Self::Malformed | Self::NoStream)
    }
}

/// Converts the status of a libsrtp function into a `Result`.
pub(crate) fn check(status: sys::srtp_err_status_t) -> Result<(), Error> {
    match status {
        sys::srtp_err_status_t_srtp_err_status_ok => Ok(()),
        sys::srtp_err_status_t_srtp_err_status_auth_fail => Err(Error::Authentication),
        sys::srtp_err_status_t_srtp_err_status_replay_fail => Err(Error::Replayed),
        sys::srtp_err_status_t_srtp_err_status_replay_old | sys::srtp_err_status_t_srtp_err_status_pkt_idx_old => {
            Err(Error::TooOld)
        }
        // `srtp_unprotect` returns these for a header that points beyond the packet, `srtp_unprotect_rtcp` for a packet
        // without the encryption bit although encryption is required.
        sys::srtp_err_status_t_srtp_err_status_parse_err | sys::srtp_err_status_t_srtp_err_status_cant_check => {
            Err(Error::Malformed)
        }
        sys::srtp_err_status_t_srtp_err_status_no_ctx => Err(Error::NoStream),
        sys::srtp_err_status_t_srtp_err_status_bad_param => Err(Error::BadPolicy),
        sys::srtp_err_status_t_srtp_err_status_key_expired => Err(Error::KeyExpired),
        other => Err(Error::Library(other)),
    }
}
