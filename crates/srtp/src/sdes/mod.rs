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
//! holds the tag and the suite of the line that was taken, and the answerer's own key. [`CryptoAttribute`] is one such line,
//! [`Negotiation`] what the lines of both sides have come to. Lines are read and written without the `a=crypto:` in front.
//!
//! Decisions:
//! - Lines with a master key identifier are read and then refused ([`Refusal::KeyIdentifier`]): their sender puts it into
//!   every packet, and a receiver that does not know of it takes it for media. Whoever offers one mostly offers a second line
//!   without.
//! - The suites are those of [`Suite`](crate::Suite). AES-192 (RFC 6188) is not among them: whoever offers it offers AES-256
//!   and AES-128 as well. The names that RFC 6188 had as a draft are understood, and answered with.
//! - A lifetime is read and not enforced. It limits the sender, who comes with a new key before it is over (§7.1.4).
//! - Session parameters that change what a packet looks like are refused. Those about forward error correction change
//!   nothing here, as nobody negotiates a payload for it, and the window size is a hint.

mod attribute;
mod key;
mod negotiation;
mod param;
mod refusal;
mod suite;

pub use attribute::{CryptoAttribute, Tag};
pub use key::{InlineKey, Lifetime, MasterKeyIdentifier};
pub use negotiation::{Accepted, Keys, Negotiation};
pub use param::{FecOrder, SessionParam};
pub use refusal::Refusal;
pub use suite::CryptoSuite;
