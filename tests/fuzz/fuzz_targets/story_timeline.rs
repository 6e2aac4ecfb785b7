//! Any events of a call, in any number.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| story::fuzzing::timeline(input));
