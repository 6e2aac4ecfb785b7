//! `/webrtc/call` in the host's HTTP server: the report of a call as JSON, for the client that has placed or answered it.
//!
//! A client shows that a call is its own by naming the Call-ID and the tags of both ends (RFC 3261 §12), as in
//! `/webrtc/call?id=Call-ID&from-tag=…&to-tag=…` with those of the first INVITE. Only the two ends of a dialog know them; the other party
//! of a call is in another dialog, with the host. A page that draws its Call-ID and its tag from a random generator for secrets has 150
//! bits in them, and the host adds 31. So nobody has to give a password to a page, and no account is needed that can see the calls of others.
//!
//! - Everything else is answered with 404, after the same time, whichever part is wrong.
//! - An address that has asked sixty times within a minute, or guessed wrong twenty times, gets 429 until the minute is over.
//! - There is no header for pages of other origins (CORS), and browsers are told to give the response to none (`Cross-Origin-Resource-Policy`).
//! - The report has the addresses of the call's two ends, no passwords, and nothing of other calls. Its verdict does not look at the
//!   settings of accounts, so that a call without a password does not tell which accounts there are.
//! - `callreport` of `rtp.conf` switches it on; `callreport_permit`, `callreport_deny` and `callreport_acl` may restrict it to networks.
//!
//! Left out: a call whose SIP did not cross a WebSocket of ours, and calls older than the last 100.

mod askers;
mod responder;
pub mod settings;

pub use responder::{configure, stop};
