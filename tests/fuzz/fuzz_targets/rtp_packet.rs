//! Any datagram as an RTP packet (RFC 3550 §5.1).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| rtp::fuzzing::rtp_packet(input));
