//! Secure RTP (RFC 3711): a safe interface to libsrtp.
//!
//! libsrtp is a C library with one global state and with sessions that must be freed explicitly. A [`Session`] frees
//! itself, keeps the global state initialised while it lives, copies the [`Policy`] it is made from, and reports the
//! fate of a packet as an [`Error`] that says whose fault it was. Packets are protected and unprotected in place,
//! without allocation. The keys come from DTLS or from [`sdes`].
//!
//! ```
//! use media_srtp::{Policy, Session, Streams, Suite};
//!
//! let key = [7; 30];
//! let mut sender = Session::new(&[Policy::new(Streams::AnyOutbound, Suite::AesCm128HmacSha1_80, &key)?])?;
//! let mut receiver = Session::new(&[Policy::new(Streams::AnyInbound, Suite::AesCm128HmacSha1_80, &key)?])?;
//!
//! let mut packet = [0_u8; 32 + media_srtp::MAX_TRAILER_LEN];
//! packet[0] = 0x80;
//! let protected = sender.protect_rtp(&mut packet, 32)?;
//! assert_eq!(receiver.unprotect_rtp(&mut packet[..protected])?, 32);
//! # Ok::<(), media_srtp::Error>(())
//! ```
//!
//! Decisions:
//! - A packet that was received before is refused ([`Error::Replayed`], [`Error::TooOld`]) without other effects: a
//!   stranger's packet never makes us create a new session, which would reset the rollover counter (RFC 3711 §3.3.1).
//! - A rollover counter that we lost is searched for, upwards from the last known one
//!   ([`Session::unprotect_rtp`]). Not with AEAD suites, for which libsrtp 2.3.0 does not move the index.
//! - With the 32-bit authentication tag, SRTCP keeps its 80-bit tag (RFC 3711 §5.2, RFC 4568 §6.2, RFC 5764 §4.1.2).
//! - Left out: AES-f8 (nobody offers it), master key identifiers (see [`sdes`]), null ciphers.

mod contexts;
mod engines;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod libcrypto;
mod library;
mod master;
mod policy;
mod rollover;
pub mod sdes;
mod session;

pub use contexts::Contexts;
pub use error::Error;
pub use libcrypto::{cleanup, thread_stop};
pub use library::Library;
pub use master::MasterKey;
pub use policy::{Policy, Streams, Suite};
pub use session::{MAX_TRAILER_LEN, Session, rtcp_ssrc, rtp_ssrc};
