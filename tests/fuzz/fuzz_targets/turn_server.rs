//! A TURN server that sends what it likes.
#![no_main]

libfuzzer_sys::fuzz_target!(|operations: &[u8]| turn::fuzzing::server(operations));
