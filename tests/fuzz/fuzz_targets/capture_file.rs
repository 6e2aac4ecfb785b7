//! Any datagrams and messages in a capture, whose file is read back.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| capture::fuzzing::datagrams(input));
