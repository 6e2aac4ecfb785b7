//! What runs per packet of an established call allocates nothing.

mod net;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ice::{Component, Path};
use net::{Pair, connected};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
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

#[test]
fn asking_where_to_send_and_whom_to_believe_allocates_nothing() {
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
