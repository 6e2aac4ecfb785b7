//! Any bytes as a message of SIP (RFC 7118), to a client and from it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sip_dialect::fuzzing::transport(input));
