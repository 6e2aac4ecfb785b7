//! Reference-counted objects. Every function wants to know who calls.

use std::ffi::{c_int, c_void};
use std::ptr;

use crate::{module, sys};

/// What the host runs when the last reference goes.
pub type Destructor = unsafe extern "C" fn(*mut c_void);

/// Adds to the count. Wraps `__ao2_ref`.
///
/// # Safety
/// A live object, and as many counts as are given back are the caller's.
pub unsafe fn count(object: *mut c_void, delta: c_int) {
    let us = module::name().as_ptr();
    // SAFETY: the caller's word; the strings are static.
    unsafe { sys::__ao2_ref(object, delta, ptr::null(), us, 0, us) };
}

/// Zeroed, with one reference and a lock. Null when out of memory. Wraps `__ao2_alloc`.
///
/// # Safety
/// The destructor can deal with an object that is all zero.
pub unsafe fn allocate(size: usize, destructor: Destructor) -> *mut c_void {
    let us = module::name().as_ptr();
    // SAFETY: the caller's word; the strings are static.
    unsafe { sys::__ao2_alloc(size, Some(destructor), WITH_LOCK, ptr::null(), us, 0, us) }
}

/// An empty container that keeps what it is given in that order. Null when out of memory.
pub fn list() -> *mut sys::ao2_container {
    let us = module::name().as_ptr();
    // SAFETY: a list needs neither order nor comparison; the strings are static.
    unsafe { sys::__ao2_container_alloc_list(WITH_LOCK, 0, None, None, ptr::null(), us, 0, us) }
}

/// Puts an object into a container, which takes a reference of its own.
///
/// # Safety
/// Both are live.
pub unsafe fn link(container: *mut sys::ao2_container, object: *mut c_void) {
    let us = module::name().as_ptr();
    // SAFETY: the caller's word; the strings are static.
    unsafe { sys::__ao2_link(container, object, 0, ptr::null(), us, 0, us) };
}

/// Takes the lock of an object unless another thread has it. Wraps `__ao2_trylock`.
///
/// # Safety
/// A live object with a lock.
pub unsafe fn try_lock(object: *mut c_void) -> bool {
    let us = module::name().as_ptr();
    // SAFETY: the caller's word; the strings are static.
    unsafe { sys::__ao2_trylock(object, sys::AO2_LOCK_REQ_MUTEX, us, us, 0, us) == 0 }
}

/// Opens the lock of an object again. Wraps `__ao2_unlock`.
///
/// # Safety
/// A live object whose lock this thread has.
pub unsafe fn unlock(object: *mut c_void) {
    let us = module::name().as_ptr();
    // SAFETY: the caller's word; the strings are static.
    unsafe { sys::__ao2_unlock(object, us, us, 0, us) };
}

const WITH_LOCK: u32 = sys::AO2_ALLOC_OPT_LOCK_MUTEX;
