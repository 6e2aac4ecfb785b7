//! The way to an instance for threads that the host knows nothing of.
//!
//! From Asterisk 16 on the host holds the lock of an instance around each call of the engine, and functions that are called
//! from inside take it again. A thread of ours that locked the session first and came to such a function afterwards would
//! wait for a host thread that waits for the session. So it takes the lock of the instance before anything else, and does not
//! wait for it: others want to be served meanwhile.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard};

use super::{Instance, InstancePtr};
use crate::{host, lock};

/// One instance's. It holds no reference: the last one would run `destroy` on the thread that gives it back.
#[derive(Debug)]
pub struct Door(Mutex<Option<InstancePtr>>);

/// Why nobody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// A thread of the host is inside, mostly for the length of a packet.
    Busy,
    /// The instance is gone, or going.
    Closed,
}

/// What a thread has while it is inside; dropping it leaves.
pub struct Inside<'a> {
    instance: InstancePtr,
    /// Kept until the lock of the instance is open again, for `close` to wait for.
    _open: MutexGuard<'a, Option<InstancePtr>>,
    _on_this_thread: PhantomData<*mut ()>,
}

impl Door {
    /// To an instance that is being made.
    pub fn to(instance: Instance<'_>) -> Self {
        Self(Mutex::new(Some(instance.pointer())))
    }

    /// Goes in, if no thread of the host is inside.
    pub fn enter(&self) -> Result<Inside<'_>, Shut> {
        let open = lock(&self.0);
        let instance = (*open).ok_or(Shut::Closed)?;
        // SAFETY: whoever frees the instance has closed the door before, for which it needs what `open` holds.
        if unsafe { host::instance::try_lock(instance.as_ptr()) } {
            Ok(Inside { instance, _open: open, _on_this_thread: PhantomData })
        } else {
            Err(Shut::Busy)
        }
    }

    /// The instance goes: nobody is inside once this returns, nor ever will be.
    pub fn close(&self) {
        *lock(&self.0) = None;
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // SAFETY: locked by `enter` on this thread; it is live as explained there.
        unsafe { host::instance::unlock(self.instance.as_ptr()) };
    }
}

impl fmt::Debug for Inside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inside")
    }
}
