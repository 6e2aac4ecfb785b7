//! Any packet from somebody without the key (RFC 3711 §3.3).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| media_srtp::fuzzing::unprotect(input));
