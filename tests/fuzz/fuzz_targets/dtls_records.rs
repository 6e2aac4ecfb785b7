//! Any datagram as DTLS records (RFC 6347 §4.1).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dtls_srtp::fuzzing::records(input));
