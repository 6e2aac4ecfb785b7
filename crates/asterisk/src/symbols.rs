//! What only some hosts have is looked up, never imported: a missing function would fail the load, a missing variable
//! even the first look at the module.

use std::ffi::{CStr, c_int, c_void};
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

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

/// A variable of the host, looked up when it is first needed.
#[derive(Debug)]
pub struct Variable<T> {
    name: &'static CStr,
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
        let known = NonNull::new(self.address.load(Ordering::Relaxed));
        known.or_else(|| {
            // SAFETY: `new` was promised the type.
            let found = unsafe { lookup::<NonNull<T>>(self.name) }?;
            self.address.store(found.as_ptr(), Ordering::Relaxed);
            Some(found)
        })
    }

    /// What it holds now. The host writes these as it runs, without a lock, a word at a time.
    pub fn read(&self) -> Option<T> {
        // SAFETY: a variable of the host lives as long as the process, and `new` was promised its type.
        self.address().map(|address| unsafe { address.as_ptr().read_volatile() })
    }
}

// SAFETY: an int in every Asterisk 11.
pub(crate) static OPTION_DEBUG: Variable<c_int> = unsafe { Variable::new(c"option_debug") };
// SAFETY: a struct of one unsigned int in every Asterisk 11.
pub(crate) static AST_OPTIONS: Variable<u32> = unsafe { Variable::new(c"ast_options") };
// SAFETY: an int since 11.8; older hosts have no such name.
pub(crate) static VERB_SYS_LEVEL: Variable<c_int> = unsafe { Variable::new(c"ast_verb_sys_level") };
// SAFETY: an `ast_frame` in every Asterisk 11, which nobody writes.
pub(crate) static NULL_FRAME: Variable<sys::ast_frame> = unsafe { Variable::new(c"ast_null_frame") };
// SAFETY: a pointer to the SRTP module's functions in every Asterisk 11; null while there is none.
pub(crate) static RES_SRTP: Variable<*mut sys::ast_srtp_res> = unsafe { Variable::new(c"res_srtp") };
// SAFETY: likewise.
pub(crate) static RES_SRTP_POLICY: Variable<*mut sys::ast_srtp_policy_res> =
    unsafe { Variable::new(c"res_srtp_policy") };

/// The version string of the host, as released; distributions append to it. Wraps `ast_get_version`.
pub fn host_version() -> Option<&'static str> {
    type GetVersion = unsafe extern "C" fn() -> *const std::ffi::c_char;
    // SAFETY: the type in every Asterisk that has it.
    let get = unsafe { lookup::<GetVersion>(c"ast_get_version") }?;
    // SAFETY: it answers a static string.
    unsafe { crate::log::text(get()) }
}

/// Whether a host of this version is one that these modules were made for: Asterisk 11 and its certified releases.
pub fn is_known(version: &str) -> bool {
    let release = version.strip_prefix("certified/").unwrap_or(version);
    ["11.", "GIT-11-", "SVN-branch-11-"].iter().any(|prefix| release.starts_with(prefix))
}

/// How `ast_rtp_dtls_cfg` and the DTLS functions of an engine look in this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtlsLayout {
    /// 11.0.0 to 11.10.2, certified up to 11.6-cert4: SHA-1 only, no role for ICE.
    Before11_11,
    /// 11.11.0 and later, certified from 11.6-cert5.
    Since11_11,
    /// Neither; DTLS is not offered.
    Unknown,
}

/// Which of the two layouts this host has, found out by asking it to parse an option, as the version number does not tell
/// in certified releases. Asked once.
pub fn dtls_layout() -> DtlsLayout {
    const NOT_ASKED: u8 = 0;
    static KNOWN: AtomicU8 = AtomicU8::new(NOT_ASKED);
    if KNOWN.load(Ordering::Relaxed) == NOT_ASKED {
        let found = match probe_dtls_layout() {
            DtlsLayout::Before11_11 => 1,
            DtlsLayout::Since11_11 => 2,
            DtlsLayout::Unknown => 3,
        };
        KNOWN.store(found, Ordering::Relaxed);
    }
    match KNOWN.load(Ordering::Relaxed) {
        1 => DtlsLayout::Before11_11,
        2 => DtlsLayout::Since11_11,
        _ => DtlsLayout::Unknown,
    }
}

/// `dtlsverify=yes` sets bit 1 of the first byte in the old layout, and the word at 20 to 3 in the new one.
fn probe_dtls_layout() -> DtlsLayout {
    let mut probe = Probe([0; 128]);
    // SAFETY: either layout fits in 128 bytes aligned to 8, all zero is a valid state, and this option allocates nothing.
    let parsed =
        unsafe { sys::ast_rtp_dtls_cfg_parse((&raw mut probe).cast(), c"dtlsverify".as_ptr(), c"yes".as_ptr()) };
    if parsed != 0 {
        return DtlsLayout::Unknown;
    }
    layout_of(&probe.0)
}

#[repr(C, align(8))]
struct Probe([u8; 128]);

fn layout_of(written: &[u8; 128]) -> DtlsLayout {
    let (mut old, mut new) = ([0; 128], [0; 128]);
    old[0] = 2;
    new[20..24].copy_from_slice(&3_u32.to_ne_bytes());
    match written {
        written if *written == old => DtlsLayout::Before11_11,
        written if *written == new => DtlsLayout::Since11_11,
        _ => DtlsLayout::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn layouts_are_told_apart_by_what_the_parser_wrote() {
        let mut written = [0; 128];
        assert_eq!(layout_of(&written), DtlsLayout::Unknown);
        written[0] = 2;
        assert_eq!(layout_of(&written), DtlsLayout::Before11_11);
        written[20] = 3;
        assert_eq!(layout_of(&written), DtlsLayout::Unknown);
        written[0] = 0;
        assert_eq!(layout_of(&written), DtlsLayout::Since11_11);
    }
}
