//! Any bytes as the header of a frame (RFC 6455 §5.2).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| websocket::fuzzing::frame_header(input));
