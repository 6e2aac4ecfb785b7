//! The agent allocates no memory for the packets of an established call.

mod net;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ice::{Component, Path};
use net::{Pair, connected};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: our caller keeps the contract of `GlobalAlloc`, which is also the contract of this call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: our caller keeps the contract of `GlobalAlloc`, which is also the contract of this call.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn selecting_the_path_and_validating_a_source_allocate_nothing() {
    let pair =
        Pair::new(1).addresses(&["10.1.0.1", "10.1.0.2"], &["10.2.0.1", "10.2.0.2"]).start().run_until(connected);
    let agent = &pair.sides[0].agent;
    let good = agent.selected(Component::Rtp).unwrap();
    let bad = Path { remote: "203.0.113.99:9".parse().unwrap(), ..good };
    let before = ALLOCATIONS.get();
    for _ in 0..1000 {
        assert!(agent.is_valid_path(&good) && !agent.is_valid_path(&bad));
        assert_eq!(agent.selected(Component::Rtp), Some(good));
        assert!(agent.poll_timeout().is_some());
    }
    assert_eq!(ALLOCATIONS.get(), before);
}
