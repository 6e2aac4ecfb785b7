//! Any list of operations on a connection: it ends once, keeps its limits, and waits for nothing for ever.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| websocket::fuzzing::connection(input));
