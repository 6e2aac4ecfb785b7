//! Reference-counted objects.

use std::ffi::{c_int, c_void};

use crate::sys;

/// What the host runs when the last reference goes.
pub type Destructor = unsafe extern "C" fn(*mut c_void);

/// Adds to the count. Wraps `__ao2_ref`.
///
/// # Safety
/// A live object, and as many counts as are given back are the caller's.
pub unsafe fn count(object: *mut c_void, delta: c_int) {
    // SAFETY: the caller's word.
    unsafe { sys::__ao2_ref(object, delta) };
}

/// Zeroed, with one reference and a lock. Null when out of memory. Wraps `__ao2_alloc`.
///
/// # Safety
/// The destructor can deal with an object that is all zero.
pub unsafe fn allocate(size: usize, destructor: Destructor) -> *mut c_void {
    // SAFETY: the caller's word.
    unsafe { sys::__ao2_alloc(size, Some(destructor), sys::AO2_ALLOC_OPT_LOCK_MUTEX as _) }
}

/// An empty container that keeps what it is given in that order. Null when out of memory.
pub fn list() -> *mut sys::ao2_container {
    // SAFETY: one bucket needs no hash function, and nothing is searched for.
    unsafe { sys::__ao2_container_alloc(sys::AO2_ALLOC_OPT_LOCK_MUTEX as _, 1, None, None) }
}

/// Puts an object into a container, which takes a reference of its own.
///
/// # Safety
/// Both are live.
pub unsafe fn link(container: *mut sys::ao2_container, object: *mut c_void) {
    // SAFETY: the caller's word.
    unsafe { sys::__ao2_link(container, object, 0) };
}
