//! DTLS-SRTP (RFC 5763, RFC 5764): a DTLS handshake in the media path gives a media session its SRTP keys, and a
//! fingerprint in the SDP proves who the peer is.
//!
//! This crate opens no sockets and has no timer of its own. The caller feeds datagrams and the time, sends what is to
//! be sent, and learns of the keys by an event. The cryptography is OpenSSL's.
//!
//! | type | holds |
//! |---|---|
//! | [`Context`] | certificate and configuration, shared by sessions |
//! | [`Endpoint`] | the outcome of both session descriptions: roles, the peer's fingerprint, whether media has keys |
//! | [`Association`] | one handshake per component: when it begins, with which address, how it ends |
//! | [`Session`] | the handshake itself, on OpenSSL with memory buffers |
//!
//! ```text
//!   SDP: a=setup, a=fingerprint            media path
//!   ------------------------------         ---------------------------------------------
//!   Endpoint::set_setup            ----->  active:  Association::begin_if_active
//!   Endpoint::set_fingerprint              passive: Association::handle_datagram
//!                                                              |
//!                                                              v
//!                                          AssociationEvent::Connected(Keys)
//!                                          only if the certificate has the fingerprint
//! ```
//!
//! Decisions and departures:
//! - DTLS 1.2, which RFC 8827 §6.5 requires; 1.0 where [`MinVersion`] allows it. OpenSSL 3 has no DTLS 1.3.
//! - A ClientHello that overtakes the peer's description is answered if ICE has authenticated a check from its address,
//!   with at most three times its octets. The keys wait for the fingerprint.
//! - Of several fingerprints the certificate has to have one by the strongest hash function (RFC 8122 §5).
//! - The retransmission timer follows the caller's `now` and begins at 100 ms (see [`timer`](mod@timer)). OpenSSL's own
//!   timer follows the wall clock and jumps with it, expires within reads, and ends the session after twelve
//!   retransmissions.
//! - A record that anybody could have sent ends nothing. Plaintext alerts, records that do not parse, handshake
//!   messages of the wrong direction and application data do not reach OpenSSL. A ClientHello that cannot be accepted
//!   is reported by [`Event::Refused`], and the session waits for another one.
//! - Handshake messages are held until the signature in their flight proves that they are the peer's, as far as it can:
//!   nothing proves a CertificateRequest, a HelloVerifyRequest, and DTLS 1.0. A message that makes OpenSSL fail all the same
//!   may be anybody's. The association then begins again, for as long as one handshake may take, and the peer is not told.
//! - A second client that returns a cookie takes a handshake over which is under way.
//! - Few encrypted records pass before their keys, because OpenSSL buffers them.
//! - Cookies (RFC 6347 §4.2.1) are asked for where neither ICE nor the peer's description vouches for an address (see
//!   [`Admission`]).
//! - No session resumption, which would skip the certificate, and no renegotiation: new keys take a new association.
//! - Once there are keys, OpenSSL's state is freed: only the peer's alerts and the repetition of its last flight matter from then on.
//! - DTLS application data is ignored; SRTP carries the media (RFC 5764 §4.1).

mod association;
mod certificate;
mod context;
mod endpoint;
mod error;
mod fingerprint;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod hello;
mod keys;
mod libssl;
mod messages;
mod proof;
mod record;
mod retired;
mod role;
mod runner;
mod session;
#[cfg(test)]
mod testing;
pub mod timer;
mod wire;

pub use association::{Admission, Association, AssociationEvent, Path, PeerAddress, Phase};
pub use certificate::{Certificate, CertificateError};
pub use context::{Context, ContextConfig, ContextError, DEFAULT_CIPHERS, MinVersion, Verify};
pub use endpoint::{Associations, Endpoint};
pub use error::Failure;
pub use fingerprint::{Fingerprint, FingerprintError, HashFunction};
pub use hello::ClientHello;
pub use keys::{Keys, MasterKey, Profile};
pub use libssl::{cleanup, thread_stop};
pub use role::{Role, Setup};
pub use runner::{Here, Runner};
pub use session::{Event, MAX_DATAGRAM_LEN, Session};
