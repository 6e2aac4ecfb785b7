//! Opus (RFC 6716): packets become 16-bit samples of one channel, and samples become packets.
//!
//! [`Receiver`] decodes one stream. From the numbers of its packets it sees which are missing, and puts their sound back: from the
//! copy that the following packet carries (in-band FEC, RFC 6716 §2.1.7), or by concealment. [`Sender`] gathers samples and encodes
//! them in frames of 20 ms. Both stand on [`Decoder`] and [`Encoder`], which own a codec of libopus each. libopus is compiled into
//! this crate and linked statically.
//!
//! ```
//! use opus::{MAX_PACKET_LEN, Rate, Receiver, Sender, Settings};
//!
//! let mut sender = Sender::new(Rate::Hz8000, &Settings::default())?;
//! let mut receiver = Receiver::new(Rate::Hz16000)?;
//!
//! sender.handle_samples(&[0; 160]);
//! let mut packet = [0; MAX_PACKET_LEN];
//! let sent = sender.poll_packet(&mut packet).expect("20 ms at 8000 Hz")?;
//! let mut samples = vec![0; Receiver::max_output(Rate::Hz16000)];
//! let read = receiver.handle_packet(None, &packet[..sent.len], &mut samples);
//! assert_eq!((sent.ticks, read.written), (960, 320));
//! # Ok::<(), opus::Error>(())
//! ```
//!
//! This crate has no socket, no clock and no thread, and knows neither RTP nor the host. After its construction nothing here
//! allocates.
//!
//! Decisions:
//! - One channel. A stereo packet is mixed down by the decoder (RFC 7587 §3.4 lets a receiver choose).
//! - Frames of 20 ms are sent. When more has gathered, several of them go into one packet, up to 120 ms, because a caller may be able
//!   to take only one packet for what it gave.
//! - No discontinuous transmission: phones behind a gateway expect a packet every 20 ms.
//! - A malformed packet sounds like a lost one.

mod decoder;
mod encoder;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod rate;
mod receiver;
mod sender;

pub use decoder::{Decoder, packet_samples};
pub use encoder::{Encoder, MAX_PACKET_LEN, Settings};
pub use error::Error;
pub use rate::Rate;
pub use receiver::{Position, Read, Receiver};
pub use sender::{Sender, Sent};

/// The version of libopus, such as `libopus 1.6.1`.
pub fn version() -> &'static str {
    // SAFETY: libopus returns a static string.
    unsafe { std::ffi::CStr::from_ptr(opusic_sys::opus_get_version_string()) }.to_str().unwrap_or("libopus")
}
