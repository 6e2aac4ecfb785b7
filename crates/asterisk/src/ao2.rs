//! The host's reference-counted `ao2` objects: [`Ao2`] refers to one made by the host, [`Ao2Box`] to one made by us.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use crate::fence::fence_crypto;
use crate::host::objects;

/// One reference to an object that the host made, given back on drop.
#[derive(Debug)]
pub struct Ao2<T>(NonNull<T>);

// SAFETY: the count is atomic, and this type gives no access to the object's contents.
unsafe impl<T> Send for Ao2<T> {}
// SAFETY: as for `Send`.
unsafe impl<T> Sync for Ao2<T> {}

impl<T> Ao2<T> {
    /// Takes over a reference the caller already owns (a `_find` or `_alloc` result).
    ///
    /// # Safety
    /// `object` is live and one count of it is ours to give back.
    pub unsafe fn adopt(object: NonNull<T>) -> Self {
        Self(object)
    }

    /// Adds a reference to an object the host only lends us.
    ///
    /// # Safety
    /// `object` is live for the length of this call.
    pub unsafe fn share(object: NonNull<T>) -> Self {
        // SAFETY: the caller says that it is a live ao2 object.
        unsafe { objects::count(object.as_ptr().cast(), 1) };
        Self(object)
    }

    /// The pointer for C; valid as long as `self` lives.
    pub fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }

    /// Hands our reference to C, which must release it.
    pub fn into_raw(self) -> *mut T {
        ManuallyDrop::new(self).0.as_ptr()
    }
}

impl<T> Clone for Ao2<T> {
    fn clone(&self) -> Self {
        // SAFETY: our own reference keeps it alive.
        unsafe { Self::share(self.0) }
    }
}

impl<T> Drop for Ao2<T> {
    fn drop(&mut self) {
        // SAFETY: one count is ours, as the caller of `adopt` guarantees or by `share`.
        unsafe { objects::count(self.0.as_ptr().cast(), -1) };
    }
}

/// One reference to an ao2 object that we made and that holds a `T`. The last reference to go, C's or ours, drops the
/// `T`, on the thread that gives it back.
#[derive(Debug)]
pub struct Ao2Box<T: Send + Sync + 'static>(NonNull<T>, PhantomData<T>);

// SAFETY: a counted, shared `T`, as in `Arc`.
unsafe impl<T: Send + Sync> Send for Ao2Box<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: Send + Sync> Sync for Ao2Box<T> {}

impl<T: Send + Sync + 'static> Ao2Box<T> {
    /// Moves `value` into a new object. Wraps `ao2_alloc`; `None` if the host is out of memory.
    pub fn new(value: T) -> Option<Self> {
        // The host aligns objects as malloc does, less its own header, whose size is a multiple of a pointer's.
        const {
            assert!(align_of::<T>() <= align_of::<*const ()>(), "the host's allocator does not align T strictly enough")
        };
        // SAFETY: the destructor runs once, and only after the object is initialised below.
        let object = unsafe { objects::allocate(size_of::<T>(), drop_payload::<T>) };
        let object = NonNull::new(object.cast::<T>())?;
        // SAFETY: allocated with the size of a `T`, aligned as asserted above.
        unsafe { object.write(value) };
        Some(Self(object, PhantomData))
    }

    /// The pointer for C; valid as long as `self` lives.
    pub fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr().cast()
    }

    /// Hands our reference to C, which must release it.
    pub fn into_raw(self) -> *mut c_void {
        ManuallyDrop::new(self).as_ptr()
    }

    /// Takes over a reference from C.
    ///
    /// # Safety
    /// `object` came from an `Ao2Box<T>` and one count of it is ours to give back.
    pub unsafe fn adopt(object: NonNull<c_void>) -> Self {
        Self(object.cast(), PhantomData)
    }

    /// Adds a reference to an object that C only lends us.
    ///
    /// # Safety
    /// `object` came from an `Ao2Box<T>` and is live for the length of this call.
    pub unsafe fn share(object: NonNull<c_void>) -> Self {
        // SAFETY: live as our caller guarantees.
        unsafe { objects::count(object.as_ptr(), 1) };
        Self(object.cast(), PhantomData)
    }

    /// Borrows the `T` of an object that C lends us, without counting a reference.
    ///
    /// # Safety
    /// `object` is null or came from an `Ao2Box<T>`, and stays live for `'a`.
    pub unsafe fn lend<'a>(object: *mut c_void) -> Option<&'a T> {
        // SAFETY: live and a `T` as our caller guarantees.
        unsafe { object.cast::<T>().as_ref() }
    }
}

impl<T: Send + Sync + 'static> Deref for Ao2Box<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `new` initialised it and our count keeps it.
        unsafe { self.0.as_ref() }
    }
}

impl<T: Send + Sync + 'static> Clone for Ao2Box<T> {
    fn clone(&self) -> Self {
        // SAFETY: our own count keeps it alive.
        unsafe { Self::share(self.0.cast()) }
    }
}

impl<T: Send + Sync + 'static> Drop for Ao2Box<T> {
    fn drop(&mut self) {
        // SAFETY: one count is ours.
        unsafe { objects::count(self.as_ptr(), -1) };
    }
}

unsafe extern "C" fn drop_payload<T>(object: *mut c_void) {
    fence_crypto("the destructor of an object", (), || {
        // SAFETY: the host calls this once, when the last reference goes; `new` initialised the payload.
        unsafe { ptr::drop_in_place(object.cast::<T>()) };
    });
}
