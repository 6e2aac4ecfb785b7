//! What can go wrong, by whose fault it is.

use libsrtp2_sys as sys;

/// Why a packet or a policy was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // What the peer, or a stranger, sent.
    /// The authentication tag is not the one that our key makes (RFC 3711 §3.3 step 5).
    #[error("authentication failed")]
    Authentication,
    /// A packet with this index was accepted before (RFC 3711 §3.3.2).
    #[error("replayed packet")]
    Replayed,
    /// The packet is older than the replay window.
    #[error("packet older than the replay window")]
    TooOld,
    /// The packet is too short, or its header does not parse.
    #[error("malformed packet")]
    Malformed,
    /// No stream of this session is meant for the packet's SSRC.
    #[error("no stream for this SSRC")]
    NoStream,

    // What our caller did.
    /// The buffer has no room for the authentication tag.
    #[error("buffer too small, {needed} bytes needed")]
    BufferTooSmall {
        /// Packet and trailer.
        needed: usize,
    },
    /// Master key and salt together do not have the length that the suite asks for.
    #[error("master key and salt of {len} bytes, the suite takes {expected}")]
    KeyLength {
        /// What was given.
        len: usize,
        /// What the suite takes.
        expected: usize,
    },
    /// libsrtp does not take this policy: a second wildcard, or no policy at all.
    #[error("policy refused")]
    BadPolicy,

    // What has come to its end, or the system.
    /// The master key has protected as many packets as it may (RFC 3711 §9.2).
    #[error("master key used up")]
    KeyExpired,
    /// Any other status of libsrtp, by its number in `srtp_err_status_t`.
    #[error("libsrtp failed with status {0}")]
    Library(u32),
}

impl Error {
    /// Whether the packet, and not our side, is to blame: such an error is counted rather than logged.
    pub fn is_peers_fault(self) -> bool {
        matches!(self, Self::Authentication | Self::Replayed | Self::TooOld | Self::Malformed | Self::NoStream)
    }
}

/// Turns the status of a libsrtp function into a `Result`.
pub(crate) fn check(status: sys::srtp_err_status_t) -> Result<(), Error> {
    match status {
        sys::srtp_err_status_t_srtp_err_status_ok => Ok(()),
        sys::srtp_err_status_t_srtp_err_status_auth_fail => Err(Error::Authentication),
        sys::srtp_err_status_t_srtp_err_status_replay_fail => Err(Error::Replayed),
        sys::srtp_err_status_t_srtp_err_status_replay_old | sys::srtp_err_status_t_srtp_err_status_pkt_idx_old => {
            Err(Error::TooOld)
        }
        // What `srtp_unprotect` answers to a header that points behind the packet, and `_rtcp` to a packet without the
        // encryption bit although we ask for encryption.
        sys::srtp_err_status_t_srtp_err_status_parse_err | sys::srtp_err_status_t_srtp_err_status_cant_check => {
            Err(Error::Malformed)
        }
        sys::srtp_err_status_t_srtp_err_status_no_ctx => Err(Error::NoStream),
        sys::srtp_err_status_t_srtp_err_status_bad_param => Err(Error::BadPolicy),
        sys::srtp_err_status_t_srtp_err_status_key_expired => Err(Error::KeyExpired),
        other => Err(Error::Library(other)),
    }
}
