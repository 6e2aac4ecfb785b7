//! Locks of which a panic elsewhere leaves the contents whole: every change under one is a single step.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whether or not somebody panicked with it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
