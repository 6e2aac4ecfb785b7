//! Access to an instance from our own threads, which the host does not know.
//!
//! Since Asterisk 16 the host holds the lock of an instance during each call of the engine, and functions called by the
//! engine lock it again. If one of our threads locked the session first and then called such a function, it could wait
//! for a host thread that waits for the session. So our thread locks the instance before anything else. It does not
//! wait for that lock, because it has other sessions to serve.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard};

use super::{Instance, InstancePtr};
use crate::{host, lock};

/// The door of one instance. It holds no reference to it: the last one would run `destroy` on the thread that drops it.
#[derive(Debug)]
pub struct Door(Mutex<Option<InstancePtr>>);

/// Why an instance cannot be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// A host thread is inside, usually for the duration of one packet.
    Busy,
    /// The instance is destroyed or about to be.
    Closed,
}

/// Proof that this thread holds the lock of the instance; dropping it unlocks the instance.
pub struct Inside<'a> {
    instance: InstancePtr,
    /// Held until the instance is unlocked, so that `close` waits for it.
    _open: MutexGuard<'a, Option<InstancePtr>>,
    _on_this_thread: PhantomData<*mut ()>,
}

impl Door {
    /// The door of an instance that is being created.
    pub fn to(instance: Instance<'_>) -> Self {
        Self(Mutex::new(Some(instance.pointer())))
    }

    /// Locks the instance unless a host thread holds the lock.
    pub fn enter(&self) -> Result<Inside<'_>, Shut> {
        let open = lock(&self.0);
        let instance = (*open).ok_or(Shut::Closed)?;
        // SAFETY: before the instance is freed, `close` is called, and that waits for the lock `open` that we hold.
        if unsafe { host::instance::try_lock(instance.as_ptr()) } {
            Ok(Inside { instance, _open: open, _on_this_thread: PhantomData })
        } else {
            Err(Shut::Busy)
        }
    }

    /// Closes the door before the instance is destroyed: once this returns, no thread is inside or can enter.
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
