//! Reference-counted objects.

use std::ffi::{c_int, c_void};

use crate::{module, sys};

/// The function that the host calls when the last reference is gone.
pub type Destructor = unsafe extern "C" fn(*mut c_void);

/// Adds `delta` to the reference count. Wraps `__ao2_ref`.
///
/// # Safety
/// The object is live, and the caller owns as many references as it gives back.
pub unsafe fn count(object: *mut c_void, delta: c_int) {
    // SAFETY: guaranteed by our caller.
    unsafe { sys::__ao2_ref(object, delta) };
}

/// Allocates a zeroed object with one reference and a lock; null if out of memory. Wraps `__ao2_alloc`.
///
/// # Safety
/// The destructor accepts an object of zeros.
pub unsafe fn allocate(size: usize, destructor: Destructor) -> *mut c_void {
    // SAFETY: guaranteed by our caller.
    unsafe { sys::__ao2_alloc(size, Some(destructor), sys::AO2_ALLOC_OPT_LOCK_MUTEX as _) }
}

/// Creates an empty container that keeps its objects in the order of insertion; null if out of memory.
pub fn list() -> *mut sys::ao2_container {
    // SAFETY: a single bucket needs no hash function, and nobody searches the container.
    unsafe { sys::__ao2_container_alloc(sys::AO2_ALLOC_OPT_LOCK_MUTEX as _, 1, None, None) }
}

/// Adds an object to a container, which takes its own reference.
///
/// # Safety
/// Both are live.
pub unsafe fn link(container: *mut sys::ao2_container, object: *mut c_void) {
    // SAFETY: guaranteed by our caller.
    unsafe { sys::__ao2_link(container, object, 0) };
}

/// Locks an object, unless another thread holds its lock. Wraps `__ao2_trylock`.
///
/// # Safety
/// A live object with a lock.
pub unsafe fn try_lock(object: *mut c_void) -> bool {
    let us = module::name().as_ptr();
    // SAFETY: guaranteed by our caller; the strings are static.
    unsafe { sys::__ao2_trylock(object, sys::AO2_LOCK_REQ_MUTEX, us, us, 0, us) == 0 }
}

/// Unlocks an object. Wraps `__ao2_unlock`.
///
/// # Safety
/// The object is live, and this thread holds its lock.
pub unsafe fn unlock(object: *mut c_void) {
    let us = module::name().as_ptr();
    // SAFETY: guaranteed by our caller; the strings are static.
    unsafe { sys::__ao2_unlock(object, us, us, 0, us) };
}
