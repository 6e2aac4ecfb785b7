//! Any bytes as a message of SIP that the story of a call is read from (RFC 3261, RFC 8866).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| story::fuzzing::message(input));
