//! Any SIP messages between a client and the host (RFC 3261, RFC 8866, RFC 8840).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sip_dialect::fuzzing::dialogue(input));
