//! Any datagram as an answer of multicast DNS (RFC 6762).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ice::fuzzing::mdns_answer(input));
