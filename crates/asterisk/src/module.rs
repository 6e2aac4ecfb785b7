//! The declaration of a loadable module, and its reference to itself.
//!
//! The loader opens a module, reads its info, closes it and opens it again; later it unloads and reloads it on command.
//! So the constructor made by [`module!`](crate::module!) only registers the module. On an unknown host it prints one
//! line and does nothing else: until then it has used nothing that such a host may lack.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::fence::{self, fence_crypto};
use crate::host::loader;
use crate::{Failed, answer, log, symbols, sys};

/// The module exports nothing, and loads after those that others depend on.
pub const DEFAULT: c_uint = sys::AST_MODFLAG_DEFAULT as c_uint;
/// The symbols that this module exports are visible to other modules.
pub const GLOBAL_SYMBOLS: c_uint = sys::AST_MODFLAG_GLOBAL_SYMBOLS as c_uint;
/// The module loads before those that depend on it: at the priority of the originals, before the channel drivers.
pub const LOAD_ORDER: c_uint = sys::AST_MODFLAG_LOAD_ORDER as c_uint;

/// The callbacks of a loadable module.
pub trait Module {
    /// Whether the module supports `module reload`.
    const RELOADS: bool = false;

    /// The source file that log lines name, for filters that know the file of the module that this one replaces. `None`: the Rust
    /// file.
    const LOG_FILE: Option<&'static CStr> = None;

    /// Registers everything that the module provides.
    fn load() -> LoadResult;

    /// Unregisters everything and joins all threads: the code is unmapped afterwards. `Err` refuses to unload.
    fn unload() -> Result<(), Failed>;

    /// Reads the configuration again.
    fn reload() -> Result<(), Failed> {
        Ok(())
    }

    /// Runs last, in the destructor of the shared object: releases what statically linked libraries hold.
    fn closing() {}
}

/// The result of `load`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadResult {
    /// The module is loaded.
    Success,
    /// The module is not loaded; the host continues without it.
    Decline,
    /// The module failed; the host does not start.
    Failure,
}

/// One count in the use count of this module. While it lives, the host refuses to unload the module unless forced.
#[derive(Debug)]
pub struct UseCount(());

impl UseCount {
    /// Adds one to the use count.
    pub fn take() -> Self {
        // SAFETY: null counts nothing; anything else is our entry, which the loader keeps while we are registered.
        unsafe { loader::take_use(host_module()) };
        Self(())
    }
}

impl Drop for UseCount {
    fn drop(&mut self) {
        // SAFETY: as in `take`; the count that `take` added has kept the entry.
        unsafe { loader::release_use(host_module()) };
    }
}

/// The loader's entry for this module; null before it is registered.
pub fn host_module() -> *mut sys::ast_module {
    let info = CURRENT.load(Ordering::Acquire);
    // SAFETY: `constructed` stored a static; the loader filled in its own pointer when it registered.
    if info.is_null() { ptr::null_mut() } else { unsafe { (*info).self_ } }
}

/// Whether a module is loaded, by its file's name: whether the process has mapped it. Takes no lock of the host's, unlike
/// `ast_module_check`, which would wait for an unload that waits for the calling thread. Wraps `dl_iterate_phdr`.
pub fn is_loaded(file: &CStr) -> bool {
    let mut search = Search { file: file.to_bytes(), is_found: false };
    // SAFETY: `compare` gets this value, and nobody else has it for the length of the call.
    unsafe { libc::dl_iterate_phdr(Some(compare), (&raw mut search).cast()) };
    search.is_found
}

struct Search<'a> {
    file: &'a [u8],
    is_found: bool,
}

/// Compares the name of a mapped file. Anything but 0 ends the iteration.
unsafe extern "C" fn compare(info: *mut libc::dl_phdr_info, _: usize, search: *mut c_void) -> c_int {
    // SAFETY: the loader lends its entry, and hands on the pointer of `is_loaded`.
    let (name, search) = unsafe { ((*info).dlpi_name, &mut *search.cast::<Search<'_>>()) };
    if name.is_null() {
        return 0;
    }
    // SAFETY: a string of the loader's, which holds its lock meanwhile.
    let path = unsafe { CStr::from_ptr(name) }.to_bytes();
    search.is_found = path.rsplit(|byte| *byte == b'/').next() == Some(search.file);
    c_int::from(search.is_found)
}

/// Returns the file that has this address, by the name that it was loaded by. Wraps `dladdr`.
pub fn path_of(address: usize) -> Option<PathBuf> {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the address is only compared, and there is room for the answer.
    let known = unsafe { libc::dladdr(ptr::without_provenance(address), info.as_mut_ptr()) } != 0;
    // SAFETY: zeroed is a value of this type, and dladdr has filled it in.
    let info = unsafe { info.assume_init() };
    if !known || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: a string of the loader's, which it keeps as long as the file is mapped.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    name.to_str().ok().map(PathBuf::from)
}

/// The name of the module: its file name without `.so`.
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

            // SAFETY: the system's dynamic linker calls the functions in these two sections once each, after mapping
            // and before unmapping the object; they take no arguments. Test executables are not loaded by a host, so
            // they lack these sections and everything that only a host can link.
            #[cfg_attr(not(test), used, unsafe(link_section = ".init_array"))]
            static CONSTRUCTOR: extern "C" fn() = construct;

            // SAFETY: as above.
            #[cfg_attr(not(test), used, unsafe(link_section = ".fini_array"))]
            static DESTRUCTOR: extern "C" fn() = destruct;

            // SAFETY: only readers of the file use a note; its header states its length.
            #[cfg_attr(not(test), used, unsafe(link_section = ".note.webrtc-modules"))]
            static NOTE: $crate::module::Note = $crate::module::Note::OURS;
        }
    };
}

/// An ELF note that the original modules do not have. The `installer` recognises our modules by its section.
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
    /// The note itself. Its name is padded to a multiple of four bytes; the padding does not count.
    pub const OURS: Self = Self { name_size: 15, description_size: 0, kind: 1, name: *b"webrtc-modules\0\0" };
}

/// The declaration that the host reads, and into which it writes its pointer to the module.
#[doc(hidden)]
#[derive(Debug)]
#[repr(transparent)]
pub struct Info(UnsafeCell<sys::ast_module_info>);

// SAFETY: only the host's loader writes to it, under its lock, while it registers the module; we only read it later.
unsafe impl Sync for Info {}

impl Info {
    /// The declaration of module `M`. `buildopt_sum` stays empty: every loader accepts that, whatever its
    /// build options.
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
    // SAFETY: `constructed` registered it. If the host has removed the module already, this does nothing.
    unsafe { sys::ast_module_unregister(info.0.get()) };
    M::closing();
}

/// Whether this host has an unsupported version. If so, logs a line that says so.
fn declined(info: &'static Info) -> bool {
    let version = symbols::host_version().unwrap_or("without a version");
    if symbols::is_known(version) {
        return false;
    }
    // SAFETY: `of` set it to a static string.
    let name = unsafe { CStr::from_ptr((*info.0.get()).name) }.to_str().unwrap_or_default();
    let line = format!(
        "{name} is not loaded: it is built for {}, but this is Asterisk {version}. Install the build for this version.\n",
        loader::MADE_FOR
    );
    say(&log::c_text(&line));
    true
}

/// Logs a line through `ast_log`, found by name, or writes it to stderr if there is no such function.
fn say(line: &CStr) {
    type Log = unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, *const c_char, ...);
    // SAFETY: `ast_log` has this type in every Asterisk.
    match unsafe { symbols::lookup::<Log>(c"ast_log") } {
        // SAFETY: every string is NUL-terminated and outlives the call.
        Some(ast_log) => unsafe {
            let level = sys::__LOG_ERROR as c_int;
            ast_log(level, c"module.rs".as_ptr(), 0, c"load".as_ptr(), c"%s".as_ptr(), line.as_ptr());
        },
        // SAFETY: writes the bytes of `line` to a descriptor; a failure changes nothing.
        None => drop(unsafe { libc::write(2, line.as_ptr().cast(), line.count_bytes()) }),
    }
}

unsafe extern "C" fn load<M: Module>() -> sys::ast_module_load_result {
    symbols::resolve();
    fence::install_hook();
    log::install_facade();
    log::set_file(M::LOG_FILE);
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
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn a_file_is_found_by_its_whole_name() {
        assert!(is_loaded(c"libc.so.6"));
        assert!(!is_loaded(c"libc.so") && !is_loaded(c"c.so.6") && !is_loaded(c"format_g719.so"));
    }

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
