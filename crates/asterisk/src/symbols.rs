//! What only some hosts have is looked up, never imported: a missing function would fail the load, a missing variable
//! even the first look at the module.

use std::ffi::{CStr, c_int, c_void};
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
    // SAFETY: the name is NUL-terminated; a symbol that is not there answers null.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: of pointer size by the assertion above, and of this type by the caller's word.
    (!address.is_null()).then(|| unsafe { mem::transmute_copy(&address) })
}

/// A variable of the host, looked up once, that it is not there included: the system's loader holds the lock that `dlsym`
/// wants while it runs our destructor, which may wait for a thread of ours.
#[derive(Debug)]
pub struct Variable<T> {
    name: &'static CStr,
    /// Null before the first look, [`ptr::dangling_mut`] for none.
    address: AtomicPtr<T>,
}

impl<T: Copy> Variable<T> {
    /// # Safety
    /// `T` is the type that the variable has in every host that has it.
    const unsafe fn new(name: &'static CStr) -> Self {
        Self { name, address: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Where the host keeps it; `None` if this host has no such variable.
    pub fn address(&self) -> Option<NonNull<T>> {
        let known = NonNull::new(self.address.load(Ordering::Relaxed)).unwrap_or_else(|| {
            // SAFETY: `new` was promised the type.
            let found = unsafe { lookup::<NonNull<T>>(self.name) }.unwrap_or(NonNull::dangling());
            self.address.store(found.as_ptr(), Ordering::Relaxed);
            found
        });
        (known != NonNull::dangling()).then_some(known)
    }

    /// What it holds now. The host writes these as it runs, without a lock, a word at a time.
    pub fn read(&self) -> Option<T> {
        // SAFETY: a variable of the host lives as long as the process, and `new` was promised its type.
        self.address().map(|address| unsafe { address.as_ptr().read_volatile() })
    }
}

// SAFETY: an int in every host.
pub(crate) static OPTION_DEBUG: Variable<c_int> = unsafe { Variable::new(c"option_debug") };
// SAFETY: a struct of that one number.
pub(crate) static AST_OPTIONS: Variable<Options> = unsafe { Variable::new(c"ast_options") };
// SAFETY: an int since 11.8; older hosts have no such name.
pub(crate) static VERB_SYS_LEVEL: Variable<c_int> = unsafe { Variable::new(c"ast_verb_sys_level") };
// SAFETY: an `ast_frame` in every host, which nobody writes.
pub(crate) static NULL_FRAME: Variable<sys::ast_frame> = unsafe { Variable::new(c"ast_null_frame") };
// SAFETY: a pointer to the SRTP module's functions in every host; null while there is none.
pub(crate) static RES_SRTP: Variable<*mut sys::ast_srtp_res> = unsafe { Variable::new(c"res_srtp") };
// SAFETY: likewise.
pub(crate) static RES_SRTP_POLICY: Variable<*mut sys::ast_srtp_policy_res> =
    unsafe { Variable::new(c"res_srtp_policy") };

/// Looks all of them up. Done by `module!` before `load`, when the loader's lock is nobody's concern.
pub(crate) fn resolve() {
    OPTION_DEBUG.address();
    AST_OPTIONS.address();
    VERB_SYS_LEVEL.address();
    NULL_FRAME.address();
    RES_SRTP.address();
    RES_SRTP_POLICY.address();
}

/// The version string of the host, as released; distributions append to it. Wraps `ast_get_version`.
pub fn host_version() -> Option<&'static str> {
    type GetVersion = unsafe extern "C" fn() -> *const std::ffi::c_char;
    // SAFETY: the type in every Asterisk that has it.
    let get = unsafe { lookup::<GetVersion>(c"ast_get_version") }?;
    // SAFETY: it answers a static string.
    unsafe { crate::log::text(get()) }
}

/// Whether a host of this version is one that these modules were made for, certified releases included.
pub fn is_known(version: &str) -> bool {
    let release = ["certified/", "certified-"].iter().find_map(|word| version.strip_prefix(word)).unwrap_or(version);
    RELEASES.iter().any(|release_of_ours| release.starts_with(release_of_ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_looked_for_once() {
        // SAFETY: no host has such a variable.
        static NONE: Variable<c_int> = unsafe { Variable::new(c"no_host_has_this") };
        assert_eq!((NONE.address(), NONE.read()), (None, None));
        assert!(!NONE.address.load(Ordering::Relaxed).is_null(), "it would be looked for again");
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
