//! Any datagrams of a STUN server (RFC 8489) and of a name server (RFC 1035), in any order.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ice::fuzzing::gathering(input));
