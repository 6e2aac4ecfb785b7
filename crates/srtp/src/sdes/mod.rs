//! Security descriptions (SDES): SRTP keys in SDP (RFC 4568).
//!
//! ```text
//! a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4 WSH=128
//!          │ │                              │                                        │    │ │ └ session parameters
//!          │ crypto-suite                   master key and salt, in base64           │    MKI and its length
//!          tag                                                                       lifetime
//! ```
//!
//! Each side signals the key that it sends media with. An offer has one or more lines in order of preference. The
//! answer has the tag and the suite of the accepted line, and the answerer's own key. [`CryptoAttribute`] is one such
//! line, [`Negotiation`] the state of offer and answer. Lines are read and written without the leading `a=crypto:`.
//!
//! Decisions:
//! - Lines with a master key identifier are parsed and refused ([`Refusal::KeyIdentifier`]): their sender puts it into
//!   every packet, and a receiver that does not expect it takes it for media. Most peers that offer such a line offer
//!   a second one without identifier.
//! - The suites are those of [`Suite`](crate::Suite). AES-192 (RFC 6188) is missing: peers that offer it offer AES-256
//!   and AES-128 as well. The suite names of the draft of RFC 6188 are understood, and repeated in answers.
//! - A lifetime is parsed but not enforced. It limits the sender, who sends a new key before its end (§7.1.4).
//! - Session parameters that change the format of packets are refused. Those about forward error correction are
//!   accepted, because nobody negotiates a payload type for it; so is the window size, which is only a hint.

mod attribute;
mod key;
mod negotiation;
mod param;
mod refusal;
mod suite;
mod tag;

pub use attribute::CryptoAttribute;
pub use key::{InlineKey, Lifetime, MasterKeyIdentifier};
pub use negotiation::{Accepted, Keys, Negotiation};
pub use param::{FecOrder, SessionParam};
pub use refusal::Refusal;
pub use suite::CryptoSuite;
pub use tag::Tag;
