//! A minimal host in Rust for unit tests and Miri. `tests/host` has one in C that loads the built modules.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::{lock, sys};

/// The lines logged so far, with their levels.
static LOGGED: Mutex<Vec<(c_int, String)>> = Mutex::new(Vec::new());

/// Whether a line that contains `part` was logged at `level`.
pub fn logged(level: c_int, part: &str) -> bool {
    let lines = lock(&LOGGED);
    lines.iter().any(|(logged, line)| *logged == level && line.contains(part))
}

unsafe fn keep(level: c_int, text: *const c_char) {
    // SAFETY: the crate passes NUL-terminated text.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    lock(&LOGGED).push((level, text));
}

#[unsafe(no_mangle)]
unsafe extern "C" fn asterisk_sys_log(
    level: c_int,
    _file: *const c_char,
    _line: c_int,
    _function: *const c_char,
    text: *const c_char,
) {
    // SAFETY: the crate passes NUL-terminated text.
    unsafe { keep(level, text) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn asterisk_sys_verbose(
    _level: c_int,
    _file: *const c_char,
    _line: c_int,
    _function: *const c_char,
    text: *const c_char,
) {
    // SAFETY: the crate passes NUL-terminated text.
    unsafe { keep(sys::__LOG_VERBOSE, text) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ast_debug_get_by_module(_module: *const c_char) -> c_uint {
    0
}

/// The header before each object, as in the host.
#[repr(C)]
struct Header {
    count: AtomicI32,
    destructor: Option<unsafe extern "C" fn(*mut c_void)>,
    size: usize,
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size_of::<Header>() + size, 8).unwrap()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __ao2_alloc(
    size: usize,
    destructor: Option<unsafe extern "C" fn(*mut c_void)>,
    _options: c_uint,
) -> *mut c_void {
    // SAFETY: the size is not 0, and a header of zeros is valid.
    unsafe {
        let header = alloc_zeroed(layout(size)).cast::<Header>();
        header.write(Header { count: AtomicI32::new(1), destructor, size });
        header.add(1).cast()
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __ao2_ref(object: *mut c_void, delta: c_int) -> c_int {
    // SAFETY: the tests only count objects that `__ao2_alloc` made.
    unsafe {
        let header = object.cast::<Header>().sub(1);
        let before = (*header).count.fetch_add(delta, Ordering::AcqRel);
        if before + delta == 0 {
            if let Some(destructor) = (*header).destructor {
                destructor(object);
            }
            let size = (*header).size;
            dealloc(header.cast(), layout(size));
        }
        before
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ast_codec_get_samples(frame: *mut sys::ast_frame) -> c_int {
    // SAFETY: lent by the crate. The tests use only G.711 and 16-bit linear.
    unsafe {
        if ast_format_is_slinear(&raw const (*frame).subclass.format) != 0 {
            (*frame).datalen / 2
        } else {
            (*frame).datalen
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ast_format_is_slinear(format: *const sys::ast_format) -> c_int {
    // SAFETY: lent by the crate.
    (unsafe { (*format).id } == sys::AST_FORMAT_SLINEAR).into()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ast_format_rate(_format: *const sys::ast_format) -> c_int {
    8000
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ast_swapcopy_samples(to: *mut c_void, from: *const c_void, samples: c_int) {
    for index in 0..samples as usize {
        // SAFETY: the crate passes room for this many samples, not necessarily aligned.
        unsafe {
            let sample = from.cast::<u16>().add(index).read_unaligned();
            to.cast::<u16>().add(index).write_unaligned(sample.swap_bytes());
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ast_format_set_video_mark(format: *mut sys::ast_format) {
    // SAFETY: lent by the crate.
    unsafe { (*format).fattr.rtp_marker_bit = 1 };
}

/// An instance of the fake host is one pointer.
pub struct Instance(pub *mut c_void);

impl Instance {
    /// An instance without data.
    pub fn new() -> Box<Self> {
        Box::new(Self(ptr::null_mut()))
    }

    /// The pointer that the functions of an engine take.
    pub fn as_ptr(&mut self) -> *mut sys::ast_rtp_instance {
        ptr::from_mut(self).cast()
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ast_rtp_instance_get_data(instance: *mut sys::ast_rtp_instance) -> *mut c_void {
    // SAFETY: the tests only pass an `Instance`.
    unsafe { (*instance.cast::<Instance>()).0 }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ast_rtp_instance_set_data(instance: *mut sys::ast_rtp_instance, data: *mut c_void) {
    // SAFETY: the tests only pass an `Instance`.
    unsafe { (*instance.cast::<Instance>()).0 = data };
}

/// A container of the fake host: the objects linked to it, in order.
pub struct Container(pub Vec<*mut c_void>);

unsafe extern "C" fn forget_container(container: *mut c_void) {
    // SAFETY: called once, with a container that `__ao2_container_alloc` made.
    for object in unsafe { container.cast::<Container>().read() }.0 {
        // SAFETY: the container owns a reference to each object.
        unsafe { __ao2_ref(object, -1) };
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __ao2_container_alloc(
    _options: c_uint,
    _buckets: c_uint,
    _hash: sys::ao2_hash_fn,
    _compare: sys::ao2_callback_fn,
) -> *mut sys::ao2_container {
    // SAFETY: initialised before anybody sees it.
    unsafe {
        let container = __ao2_alloc(size_of::<Container>(), Some(forget_container), 0);
        container.cast::<Container>().write(Container(Vec::new()));
        container.cast()
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __ao2_link(container: *mut sys::ao2_container, object: *mut c_void, _flags: c_int) -> *mut c_void {
    // SAFETY: the tests only link to a `Container`.
    unsafe {
        __ao2_ref(object, 1);
        (*container.cast::<Container>()).0.push(object);
    }
    object
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ast_rtp_instance_get_prop(
    _instance: *mut sys::ast_rtp_instance,
    _property: sys::ast_rtp_property,
) -> c_int {
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ast_channel_tech(_channel: *const sys::ast_channel) -> *const sys::ast_channel_tech {
    ptr::null()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ast_channel_tech_pvt(_channel: *const sys::ast_channel) -> *mut c_void {
    ptr::null_mut()
}

/// Stands for the words that the host stores in the entry of a registered command.
static WORDS: c_char = 0;

#[unsafe(no_mangle)]
unsafe extern "C" fn ast_cli_register_multiple(entry: *mut sys::ast_cli_entry, _len: c_int) -> c_int {
    // SAFETY: the crate registers one entry at a time and does not touch it meanwhile.
    unsafe { (*entry)._full_cmd = (&raw const WORDS).cast_mut() };
    0
}

/// As in the host, a command that is running stays registered, and the return value is 0 all the same.
#[unsafe(no_mangle)]
unsafe extern "C" fn ast_cli_unregister_multiple(entry: *mut sys::ast_cli_entry, _len: c_int) -> c_int {
    // SAFETY: registered before; the count is only ever changed by atomic operations.
    unsafe {
        if AtomicI32::from_ptr(&raw mut (*entry).inuse).load(Ordering::Acquire) == 0 {
            (*entry)._full_cmd = ptr::null_mut();
        }
    }
    0
}
