//! Any list of operations on one DTLS association without ICE, its peer and a stranger: keys of the peer's, or none.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dtls_srtp::fuzzing::association(input));
