//! Input that strangers may send in great numbers is checked without being kept.
#![allow(clippy::disallowed_macros, reason = "a test's own process, and no destructor")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

use websocket::frame::Header;
use websocket::handshake::Request;
use websocket::{Config, Connection, Deflate, Event, Opcode};

struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get() + layout.size());
        // SAFETY: our caller keeps the contract of `GlobalAlloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: our caller keeps the contract of `GlobalAlloc`, which is the same.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts the octets that `body` allocates, whether or not it frees them.
fn allocated(body: impl FnOnce()) -> usize {
    let before = ALLOCATED.get();
    body();
    ALLOCATED.get() - before
}

#[test]
fn section_9_1_a_hundred_thousand_offers_are_judged_and_none_is_kept() {
    let answered = |offers: &[&str]| {
        let headers = [
            ("Host", "server.example.com"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", "sip"),
        ];
        let offers = offers.iter().map(|offer| ("Sec-WebSocket-Extensions", *offer));
        let request = Request::new(true, headers.into_iter().chain(offers));
        let accepted = request.accept(|name| name == Some("sip")).expect("well-formed").with_deflate();
        assert!(accepted.deflate.is_some());
    };
    let many = [&*"a,".repeat(50_000), "a;b=c;b=d", "permessage-deflate", &*"a;b=\"c\", ".repeat(50_000)];
    let plain = allocated(|| answered(&["a", "a", "permessage-deflate", "a"]));
    assert_eq!(allocated(|| answered(&many)), plain);
}

/// Whether or not there is a limit on how much a peer may say.
#[test]
fn section_5_4_a_message_of_a_hundred_thousand_fragments_that_carry_nothing_costs_no_memory() {
    let fragment = |opcode, compressed| {
        let mut wire = Vec::new();
        let masking_key = Some([0x37, 0xfa, 0x21, 0x3d]);
        Header { fin: false, compressed, opcode, masking_key, payload_len: 0 }.write(&mut wire);
        wire
    };
    for compressed in [false, true] {
        let now = Instant::now();
        let deflate = compressed.then(Deflate::default);
        let mut server = Connection::server(now, Config { deflate, ..Config::default() });
        server.handle_data(now, &fragment(Opcode::Text, compressed));
        let segment = fragment(Opcode::Continuation, false).repeat(1000);
        let segments = || (0..100).for_each(|_| server.handle_data(now, &segment));
        assert_eq!(allocated(segments), 0, "compressed: {compressed}");
    }
}

#[test]
fn a_message_is_copied_once_on_its_way_in_and_once_on_its_way_out() {
    let now = Instant::now();
    let mut server = Connection::server(now, Config::default());
    let mut wire = Vec::new();
    let masking_key = Some([0; 4]);
    Header { fin: true, compressed: false, opcode: Opcode::Text, masking_key, payload_len: 1024 }.write(&mut wire);
    wire.resize(wire.len() + 1024, b'x');
    let mut echo = || {
        server.handle_data(now, &wire);
        let Some(Event::Message(mut message)) = server.poll_event(now) else { panic!("no message") };
        // As a consumer in C wants it.
        message.payload.push(0);
        server.send_text_or_binary(now, &message.payload[..1024]).expect("nothing waits");
        let len = server.poll_transmit().map_or(0, <[u8]>::len);
        server.handle_transmitted(len);
    };
    echo();
    let octets = allocated(echo);
    assert!(octets <= 2 * 1024 + 16, "{octets} octets for a message of 1024");
}
