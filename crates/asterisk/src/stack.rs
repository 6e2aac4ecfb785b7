//! The stack of the calling thread.
//!
//! A stack keeps the pages of the deepest call that there has ever been. Many threads of the host wait for the network with some
//! 60 KiB of their stacks in memory that nobody uses: those of a call that has returned.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;

use crate::thread;

/// Returns the size of this thread's stack in bytes; `None` if the system does not tell.
pub fn size() -> Option<usize> {
    extent().map(|extent| extent.len())
}

/// Returns an address just below the caller's frame. No other thread has a frame there.
#[inline(never)]
pub fn position() -> usize {
    let local = 0_u8;
    std::hint::black_box(&raw const local).addr()
}

/// Gives the memory below the caller's frame back to the system, which makes it again, zeroed, as it is used. Costs some two
/// microseconds, and one for each page that is used again.
///
/// Does nothing on the first thread of the process, whose stack has no fixed end.
pub fn release_unused() {
    // SAFETY: getpid takes nothing and cannot fail.
    let is_first = unsafe { libc::getpid() } == thread::id();
    let Some(extent) = extent().filter(|_| !is_first) else { return };
    let Some(unused) = below(position(), &extent, page_size()) else { return };
    // SAFETY: the pages are this thread's, and below all frames that have not returned by more than `madvise` needs itself. A frame
    // that is made there later does not rely on what it finds.
    unsafe { libc::madvise(ptr::without_provenance_mut(unused.start), unused.len(), libc::MADV_DONTNEED) };
}

/// The whole pages of a stack at `extent` that are below `frame` by more than a page.
fn below(frame: usize, extent: &Range<usize>, page: usize) -> Option<Range<usize>> {
    // A thread may run on another stack than its own.
    if !extent.contains(&frame) {
        return None;
    }
    let start = extent.start.next_multiple_of(page);
    let end = (frame / page).checked_sub(1)? * page;
    (start < end).then_some(start..end)
}

/// The addresses of this thread's stack, without its guard.
fn extent() -> Option<Range<usize>> {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: initialises the attributes if it answers 0.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut start, mut len) = (ptr::null_mut(), 0);
    // SAFETY: initialised above.
    let known = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut start, &raw mut len) } == 0;
    // SAFETY: initialised above, and not used any more.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    known.then(|| start.addr()..start.addr().saturating_add(len))
}

fn page_size() -> usize {
    // SAFETY: takes no pointers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).ok().filter(|size| *size > 0).unwrap_or(LARGEST_PAGE)
}

/// The largest page of the machines that there are.
const LARGEST_PAGE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::lock;

    #[test]
    fn whole_pages_well_below_the_frame_are_unused() {
        let extent = 0x1000_0000..0x1004_0000;
        assert_eq!(below(0x1003_2345, &extent, 0x1000), Some(0x1000_0000..0x1003_1000));
        assert_eq!(below(0x1003_2000, &extent, 0x1000), Some(0x1000_0000..0x1003_1000));
        assert_eq!(below(0x1003_2345, &(0x1000_0800..0x1004_0000), 0x1000), Some(0x1000_1000..0x1003_1000));
        assert_eq!(below(0x1000_1fff, &extent, 0x1000), None, "nothing is left");
        assert_eq!(below(0x2000_0000, &extent, 0x1000), None, "another stack");
        assert_eq!(below(0, &(0..0x1000), 0x1000), None);
    }

    /// Uses so much of the stack.
    #[inline(never)]
    fn go_deep() -> u8 {
        let room = std::hint::black_box([7_u8; DEEP]);
        room[DEEP / 2]
    }

    /// The pages of this thread's stack that are in memory.
    fn resident() -> usize {
        let extent = extent().unwrap();
        let mut pages = vec![0_u8; extent.len().div_ceil(page_size())];
        // SAFETY: `pages` has a byte for each page of the range, which is mapped.
        let told =
            unsafe { libc::mincore(ptr::without_provenance_mut(extent.start), extent.len(), pages.as_mut_ptr()) };
        assert_eq!(told, 0);
        pages.iter().filter(|page| **page & 1 == 1).count()
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no pthread_create")]
    fn a_call_that_has_returned_costs_no_memory_and_the_frames_above_are_whole() {
        let seen = Arc::new(Mutex::new(None));
        let theirs = Arc::clone(&seen);
        let thread = thread::spawn(c"stack", move || {
            let above = std::hint::black_box([9_u8; 4096]);
            let before = resident();
            go_deep();
            let deep = resident();
            release_unused();
            let released = resident();
            let again = go_deep();
            *lock(&theirs) = Some((before, deep, released, again, above.iter().all(|byte| *byte == 9)));
        });
        thread.unwrap().join();
        let (before, deep, released, again, is_whole) = lock(&seen).take().unwrap();
        assert!(deep >= before + DEEP / page_size() - 1, "{before} pages, then {deep}");
        assert!(released <= before + 2, "{before} pages, then {deep}, then {released}");
        assert_eq!((again, is_whole), (7, true));
    }

    const DEEP: usize = 128 * 1024;
}
