//! What a loadable module declares to the host, and its reference to itself.
//!
//! The loader opens a module, reads its info, closes it and opens it again; later it unloads and reloads on command. So the
//! constructor that [`module!`](crate::module!) makes registers and does nothing else. On a host that it does not know it
//! says so in one line and leaves: it has touched nothing by then that such a host may lack.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int, c_uint};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::fence::{self, fence_crypto};
use crate::host::loader;
use crate::{Failed, answer, log, symbols, sys};

/// Other modules may use what this one exports.
pub const GLOBAL_SYMBOLS: c_uint = sys::AST_MODFLAG_GLOBAL_SYMBOLS as c_uint;
/// Loaded ahead of what depends on it; the priority is that of the originals, just before the channel drivers.
pub const LOAD_ORDER: c_uint = sys::AST_MODFLAG_LOAD_ORDER as c_uint;

/// A loadable module, as its callbacks see it.
pub trait Module {
    /// Whether `module reload` is offered.
    const RELOADS: bool = false;

    /// Registers with the host what the module provides.
    fn load() -> LoadResult;

    /// Takes everything back and joins every thread: the code is about to be unmapped. `Err` refuses.
    fn unload() -> Result<(), Failed>;

    /// Reads the configuration again.
    fn reload() -> Result<(), Failed> {
        Ok(())
    }

    /// Runs in the destructor of the shared object, after everything else: libraries linked into it let go here.
    fn closing() {}
}

/// What `load` tells the loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadResult {
    /// In business.
    Success,
    /// Not in business, and the host carries on without.
    Decline,
    /// The host does not start.
    Failure,
}

/// One use of this module by itself: while it lives, the host refuses a plain unload.
#[derive(Debug)]
pub struct UseCount(());

impl UseCount {
    /// Counts one.
    pub fn take() -> Self {
        // SAFETY: null is nothing to count, anything else is the entry the loader keeps while we are registered.
        unsafe { loader::take_use(host_module()) };
        Self(())
    }
}

impl Drop for UseCount {
    fn drop(&mut self) {
        // SAFETY: as in `take`; the use that we counted kept the entry there.
        unsafe { loader::release_use(host_module()) };
    }
}

/// The loader's entry for this module; null before it is registered.
pub fn host_module() -> *mut sys::ast_module {
    let info = CURRENT.load(Ordering::Acquire);
    // SAFETY: `constructed` stored a static; the loader filled in its own pointer when it registered.
    if info.is_null() { ptr::null_mut() } else { unsafe { (*info).self_ } }
}

/// The module's name, which is that of its file without `.so`.
pub fn name() -> &'static CStr {
    let info = CURRENT.load(Ordering::Acquire);
    if info.is_null() {
        return c"asterisk";
    }
    // SAFETY: `constructed` stored a static whose name is a static string.
    unsafe { CStr::from_ptr((*info).name) }
}

static CURRENT: AtomicPtr<sys::ast_module_info> = AtomicPtr::new(ptr::null_mut());

/// Declares the module: once in each shared object, at the root of its crate.
#[macro_export]
macro_rules! module {
    (name: $name:expr, description: $description:expr, flags: $flags:expr, module: $module:ty $(,)?) => {
        #[doc(hidden)]
        #[allow(dead_code, reason = "in a test executable nothing leads here")]
        mod __module {
            #[allow(unused_imports)]
            use super::*;

            static INFO: $crate::module::Info = $crate::module::Info::of::<$module>($name, $description, $flags);

            extern "C" fn construct() {
                $crate::module::constructed(&INFO);
            }

            extern "C" fn destruct() {
                $crate::module::destructed::<$module>(&INFO);
            }

            // SAFETY: the loader of the system calls what it finds in these two sections, once each, when it maps and
            // before it unmaps the object; neither function takes an argument. A test executable of the module is no
            // object for a host to load: there they are left out, and with them what only a host can link.
            #[cfg_attr(not(test), used, unsafe(link_section = ".init_array"))]
            static CONSTRUCTOR: extern "C" fn() = construct;

            // SAFETY: as above.
            #[cfg_attr(not(test), used, unsafe(link_section = ".fini_array"))]
            static DESTRUCTOR: extern "C" fn() = destruct;

            // SAFETY: a note is for readers of the file, which take from its header how long it is.
            #[cfg_attr(not(test), used, unsafe(link_section = ".note.webrtc-modules"))]
            static NOTE: $crate::module::Note = $crate::module::Note::OURS;
        }
    };
}

/// An ELF note that no original has: who puts modules in place and takes them away (`installer`) knows ours by its section.
#[doc(hidden)]
#[derive(Debug)]
#[repr(C, align(4))]
pub struct Note {
    name_size: u32,
    description_size: u32,
    kind: u32,
    name: [u8; 16],
}

impl Note {
    /// The name is padded to four bytes, which do not count.
    pub const OURS: Self = Self { name_size: 15, description_size: 0, kind: 1, name: *b"webrtc-modules\0\0" };
}

/// The declaration that the host reads, and into which it writes its own pointer.
#[doc(hidden)]
#[derive(Debug)]
#[repr(transparent)]
pub struct Info(UnsafeCell<sys::ast_module_info>);

// SAFETY: only the host's loader writes to it, under its lock, while it registers the module; we read afterwards.
unsafe impl Sync for Info {}

impl Info {
    /// `buildopt_sum` stays empty: every loader accepts that, whatever options the host was built with.
    pub const fn of<M: Module>(name: &'static CStr, description: &'static CStr, flags: c_uint) -> Self {
        // SAFETY: null pointers, zero numbers and absent functions are valid for every field.
        let mut info: sys::ast_module_info = unsafe { std::mem::zeroed() };
        info.load = Some(load::<M>);
        info.unload = Some(unload::<M>);
        if M::RELOADS {
            info.reload = Some(reload::<M>);
        }
        info.name = name.as_ptr();
        info.description = description.as_ptr();
        info.key = (&raw const sys::asterisk_sys_key).cast();
        info.flags = flags;
        info.load_pri = sys::AST_MODPRI_CHANNEL_DEPEND as u8;
        Self(UnsafeCell::new(loader::complete(info)))
    }
}

#[doc(hidden)]
pub fn constructed(info: &'static Info) {
    if !declined(info) {
        CURRENT.store(info.0.get(), Ordering::Release);
        // SAFETY: the info is static and laid out as this host expects.
        unsafe { sys::ast_module_register(info.0.get()) };
    }
}

#[doc(hidden)]
pub fn destructed<M: Module>(info: &'static Info) {
    if CURRENT.swap(ptr::null_mut(), Ordering::AcqRel).is_null() {
        return;
    }
    // SAFETY: registered by `constructed`. A host that has let go of us before finds nothing and does nothing.
    unsafe { sys::ast_module_unregister(info.0.get()) };
    M::closing();
}

/// Whether this is a host of another age, which has then been told so.
fn declined(info: &'static Info) -> bool {
    let version = symbols::host_version().unwrap_or("without a version");
    if symbols::is_known(version) {
        return false;
    }
    // SAFETY: `of` set it to a static string.
    let name = unsafe { CStr::from_ptr((*info.0.get()).name) }.to_str().unwrap_or_default();
    let line = format!("{name} is made for {}; this is Asterisk {version}. It does not load here.\n", loader::MADE_FOR);
    say(&log::c_text(&line));
    true
}

/// By lookup, and on stderr where even that is missing.
fn say(line: &CStr) {
    type Log = unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, *const c_char, ...);
    // SAFETY: `ast_log` has had this type in every Asterisk there is.
    match unsafe { symbols::lookup::<Log>(c"ast_log") } {
        // SAFETY: every string is NUL-terminated and outlives the call.
        Some(ast_log) => unsafe {
            let level = sys::__LOG_ERROR as c_int;
            ast_log(level, c"module.rs".as_ptr(), 0, c"load".as_ptr(), c"%s".as_ptr(), line.as_ptr());
        },
        // SAFETY: writes what lies in `line` to a descriptor; whether it succeeds changes nothing.
        None => drop(unsafe { libc::write(2, line.as_ptr().cast(), line.count_bytes()) }),
    }
}

unsafe extern "C" fn load<M: Module>() -> sys::ast_module_load_result {
    symbols::resolve();
    fence::install_hook();
    log::install_facade();
    match fence_crypto("load", LoadResult::Failure, M::load) {
        LoadResult::Success => sys::AST_MODULE_LOAD_SUCCESS,
        LoadResult::Decline => sys::AST_MODULE_LOAD_DECLINE,
        LoadResult::Failure => sys::AST_MODULE_LOAD_FAILURE,
    }
}

unsafe extern "C" fn unload<M: Module>() -> c_int {
    let unloaded = fence_crypto("unload", Err(Failed), M::unload);
    if unloaded.is_ok() {
        fence::remove_hook();
    }
    answer(unloaded)
}

unsafe extern "C" fn reload<M: Module>() -> c_int {
    answer(fence_crypto("reload", Err(Failed), M::reload))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "runs md5sum")]
    fn the_loader_accepts_the_key() {
        let mut md5sum = Command::new("md5sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // SAFETY: the key is a string of the shim.
        let key = unsafe { CStr::from_ptr((&raw const sys::asterisk_sys_key).cast()) };
        md5sum.stdin.take().unwrap().write_all(key.to_bytes()).unwrap();
        let output = md5sum.wait_with_output().unwrap();
        assert!(output.stdout.starts_with(b"8776793523ea3ad3252abb3587e42224"));
    }
}
