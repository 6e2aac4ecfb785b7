//! Runs any list of operations on two ICE agents and the network between them (RFC 8445).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ice::fuzzing::session(input));
