//! Any text as the headers of a request (RFC 6455 §4.2).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| websocket::fuzzing::handshake(input));
