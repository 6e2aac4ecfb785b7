//! Any `a=crypto` lines of a peer (RFC 4568 §9).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| media_srtp::fuzzing::crypto_lines(input));
