//! Any payload as redundant data (RFC 2198).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| rtp::fuzzing::red(input));
