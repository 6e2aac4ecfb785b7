//! Any sequence of event packets (RFC 4733): begin and end of digits alternate.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| rtp::fuzzing::telephone_event(input));
