//! Any text as a candidate attribute (RFC 8839 §5.1).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ice::fuzzing::candidate_attribute(input));
