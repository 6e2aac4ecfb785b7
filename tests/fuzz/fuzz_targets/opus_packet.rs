//! Any octets as packets of one Opus stream, some of them lost or late (RFC 6716 §3).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| opus::fuzzing::opus_packet(input));
