//! Any datagram as RTCP (RFC 3550 §6): what is parsed is written back the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| rtp::fuzzing::rtcp_compound(input));
