//! Any list of operations on two DTLS sessions and the network between them: the same keys at both ends, or none.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dtls_srtp::fuzzing::session(input));
