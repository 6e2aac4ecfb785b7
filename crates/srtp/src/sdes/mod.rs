//! Keys in SDP: security descriptions, SDES (RFC 4568).
//!
//! ```text
//! a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4 WSH=128
//!          │ │                              │                                        │    │ │ └ session parameters
//!          │ crypto-suite                   master key and salt, in base64           │    MKI and its length
//!          tag                                                                       lifetime
//! ```
//!
//! Either side sends the key that it sends media with. An offer holds one line or more, in order of preference; the answer
//! holds the tag and the suite of the line that was taken, and the answerer's own key. [`CryptoAttribute`] is one such line.
//! Lines are read and written without the `a=crypto:` in front.
//!
//! Decisions:
//! - The suites are those of [`Suite`](crate::Suite). AES-192 (RFC 6188) is not among them: whoever offers it offers AES-256
//!   and AES-128 as well. The names that RFC 6188 had as a draft are understood, and answered with.

mod attribute;
mod key;
mod param;
mod refusal;
mod suite;

pub use attribute::{CryptoAttribute, Tag};
pub use key::{InlineKey, Lifetime, MasterKeyIdentifier};
pub use param::{FecOrder, SessionParam};
pub use refusal::Refusal;
pub use suite::CryptoSuite;
