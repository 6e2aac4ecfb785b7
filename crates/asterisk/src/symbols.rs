//! Symbols that only some hosts have. They are looked up at run time instead of imported: a missing function would make
//! the load fail, and a missing variable even the loader's first look at the module.

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::host::loader::RELEASES;
use crate::host::options::Options;
use crate::sys;

/// Finds a function or a variable of the host by name. Wraps `dlsym` in the global scope.
///
/// # Safety
/// `T` is a pointer or function pointer of the type that the symbol has in every host that has it.
pub unsafe fn lookup<T: Copy>(name: &CStr) -> Option<T> {
    const { assert!(size_of::<T>() == size_of::<*mut c_void>(), "a symbol is an address") };
    if cfg!(miri) {
        return None;
    }
    // SAFETY: the name is NUL-terminated; the result for a missing symbol is null.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: it has the size of a pointer, as asserted above, and this type, as our caller guarantees.
    (!address.is_null()).then(|| unsafe { mem::transmute_copy(&address) })
}

/// A symbol of the host, looked up once even if it is missing.
#[derive(Debug)]
struct Symbol {
    name: &'static CStr,
    /// Null before the first lookup, [`ptr::dangling_mut`] if the symbol does not exist.
    address: AtomicPtr<c_void>,
}

impl Symbol {
    const fn new(name: &'static CStr) -> Self {
        Self { name, address: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Returns its address; `None` if this host does not have it.
    fn address(&self) -> Option<NonNull<c_void>> {
        let known = NonNull::new(self.address.load(Ordering::Relaxed)).unwrap_or_else(|| {
            // SAFETY: an untyped pointer.
            let found = unsafe { lookup::<NonNull<c_void>>(self.name) }.unwrap_or(NonNull::dangling());
            self.address.store(found.as_ptr(), Ordering::Relaxed);
            found
        });
        (known != NonNull::dangling()).then_some(known)
    }
}

/// A function of the host, looked up once: a lookup compares the caller with every file that is loaded.
#[derive(Debug)]
pub struct Function(Symbol);

impl Function {
    /// Names a function, which is not looked up yet.
    pub const fn new(name: &'static CStr) -> Self {
        Self(Symbol::new(name))
    }

    /// Returns the function; `None` if this host does not have it.
    ///
    /// # Safety
    /// `T` is the type of the pointer to the function in every host that has it.
    pub unsafe fn get<T: Copy>(&self) -> Option<T> {
        const { assert!(size_of::<T>() == size_of::<NonNull<c_void>>(), "a function pointer") };
        let address = self.0.address()?;
        // SAFETY: it has the size of a pointer, as asserted above, and this type, as our caller guarantees.
        Some(unsafe { mem::transmute_copy(&address) })
    }
}

/// A variable of the host, looked up once: while the dynamic linker runs our destructor, which may wait for one of our threads, it
/// holds the lock that `dlsym` in that thread would need.
#[derive(Debug)]
pub struct Variable<T> {
    symbol: Symbol,
    value: PhantomData<fn() -> T>,
}

impl<T: Copy> Variable<T> {
    /// # Safety
    /// `T` is the type that the variable has in every host that has it.
    const unsafe fn new(name: &'static CStr) -> Self {
        Self { symbol: Symbol::new(name), value: PhantomData }
    }

    /// The address of the variable; `None` if this host does not have it.
    pub fn address(&self) -> Option<NonNull<T>> {
        self.symbol.address().map(NonNull::cast)
    }

    /// The current value. The host writes these variables at any time without a lock, one word at a time.
    pub fn read(&self) -> Option<T> {
        // SAFETY: a variable of the host lives as long as the process; the caller of `new` guarantees its type.
        self.address().map(|address| unsafe { address.as_ptr().read_volatile() })
    }
}

// SAFETY: an int in every host.
pub(crate) static OPTION_DEBUG: Variable<c_int> = unsafe { Variable::new(c"option_debug") };
// SAFETY: a struct with this one member.
pub(crate) static AST_OPTIONS: Variable<Options> = unsafe { Variable::new(c"ast_options") };
// SAFETY: an int since 11.8; older hosts do not have it.
pub(crate) static VERB_SYS_LEVEL: Variable<c_int> = unsafe { Variable::new(c"ast_verb_sys_level") };
// SAFETY: an `ast_frame` in every host, which nobody writes.
pub(crate) static NULL_FRAME: Variable<sys::ast_frame> = unsafe { Variable::new(c"ast_null_frame") };
// SAFETY: a pointer to the SRTP module's functions in every host; null while none is loaded.
pub(crate) static RES_SRTP: Variable<*mut sys::ast_srtp_res> = unsafe { Variable::new(c"res_srtp") };
// SAFETY: as for `RES_SRTP`.
pub(crate) static RES_SRTP_POLICY: Variable<*mut sys::ast_srtp_policy_res> =
    unsafe { Variable::new(c"res_srtp_policy") };

/// Looks up all of them. `module!` calls it before `load`, when waiting for the dynamic linker's lock is harmless.
pub(crate) fn resolve() {
    OPTION_DEBUG.address();
    AST_OPTIONS.address();
    VERB_SYS_LEVEL.address();
    NULL_FRAME.address();
    RES_SRTP.address();
    RES_SRTP_POLICY.address();
}

/// The version string of the host; distributions append to it. Wraps `ast_get_version`.
pub fn host_version() -> Option<&'static str> {
    type GetVersion = unsafe extern "C" fn() -> *const std::ffi::c_char;
    // SAFETY: the function has this type in every Asterisk that has it.
    let get = unsafe { lookup::<GetVersion>(c"ast_get_version") }?;
    // SAFETY: it returns a static string.
    unsafe { crate::log::text(get()) }
}

/// Whether this build supports a host of that version; certified releases count as well.
pub fn is_known(version: &str) -> bool {
    let release = ["certified/", "certified-"].iter().find_map(|word| version.strip_prefix(word)).unwrap_or(version);
    RELEASES.iter().any(|release_of_ours| release.starts_with(release_of_ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variable_is_looked_up_once() {
        // SAFETY: no host has this variable.
        static NONE: Variable<c_int> = unsafe { Variable::new(c"no_host_has_this") };
        assert_eq!((NONE.address(), NONE.read()), (None, None));
        assert!(!NONE.symbol.address.load(Ordering::Relaxed).is_null(), "it would be looked for again");
        assert_eq!(NONE.address(), None);
    }

    #[test]
    fn releases_of_11_are_known_and_others_are_not() {
        for version in ["11.0.0", "11.25.3", "11.25.3~dfsg-1", "certified/11.6-cert18", "certified/11.2-cert1"] {
            assert!(is_known(version), "{version}");
        }
        for version in
            ["1.8.32.3", "10.12.4", "12.8.2", "16.28.0~dfsg-0+deb11u4", "20.11.0", "certified/13.21-cert6", ""]
        {
            assert!(!is_known(version), "{version}");
        }
    }
}
