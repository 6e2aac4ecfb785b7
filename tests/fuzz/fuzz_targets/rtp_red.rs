//! Any payload as redundant data (RFC 2198), and any packets as text with and without it (RFC 4103).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    rtp::fuzzing::red(input);
    rtp::fuzzing::text_packets(input);
});
