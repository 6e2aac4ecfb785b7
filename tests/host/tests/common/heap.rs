//! Memory that the process has allocated, without what the allocator keeps for the next call.

use std::ffi::{c_char, c_int, c_void};

unsafe extern "C" {
    fn open_memstream(text: *mut *mut c_char, length: *mut usize) -> *mut c_void;
    fn fclose(stream: *mut c_void) -> c_int;
    fn malloc_info(options: c_int, stream: *mut c_void) -> c_int;
    fn free(text: *mut c_void);
}

/// Returns the memory in use in KiB, of all arenas.
pub fn in_use_kib() -> u64 {
    let text = info();
    // The totals stand behind the last arena.
    let totals = text.rsplit_once("</heap>").map_or(text.as_str(), |(_, totals)| totals);
    let free = ["fast", "rest"].map(|kind| size(totals, &format!("<total type=\"{kind}\""))).iter().sum::<u64>();
    (size(totals, "<system type=\"current\"") - free) / 1024
}

/// The report of glibc's allocator, in XML.
fn info() -> String {
    let (mut text, mut length) = (std::ptr::null_mut(), 0);
    // SAFETY: the stream writes where both point until it is closed, and the text is ours then.
    unsafe {
        let stream = open_memstream(&raw mut text, &raw mut length);
        assert!(!stream.is_null() && malloc_info(0, stream) == 0 && fclose(stream) == 0);
        let octets = std::slice::from_raw_parts(text.cast::<u8>(), length).to_vec();
        free(text.cast());
        String::from_utf8(octets).expect("text")
    }
}

/// The size in the element that begins like this.
fn size(totals: &str, element: &str) -> u64 {
    let attributes = totals.split_once(element).and_then(|(_, rest)| rest.split_once("size=\"")).expect("the element");
    attributes.1.split_once('"').and_then(|(size, _)| size.parse().ok()).expect("a number")
}
