//! Raw bindings to the module interface of Asterisk, made by `bindgen`: for Asterisk 11 from `asterisk-headers/`, with the
//! feature `host-16` or `host-22` from the headers of that host, which `ASTERISK_INCLUDE` names.
//!
//! Names are the host's. An enum is a type alias of a C integer and its values are plain constants
//! (`AST_FRAME_VOICE: ast_frame_type`), since a host may pass values that we have no name for. Function pointers are
//! `Option<unsafe extern "C" fn …>`, bit fields are read and set through methods (`uri.set_has_subtree(1)`), and the
//! system's own types come from `libc`.
//!
//! # What is not here
//!
//! A symbol that some releases of Asterisk 11 lack is not declared in `asterisk-headers/` as a function: the module would
//! not load there. Its type is (`ast_sched_del_fn`), and whoever wants it looks it up with `dlsym`.
//!
//! # Linking
//!
//! Nothing provides the host's functions at build time; a module leaves them undefined and the host resolves them. A test
//! program that *calls* one does not link. One that uses types and constants does, and so does one whose calls the
//! linker finds unreachable. Code that calls the host is therefore tested in `tests/host`, inside a host.

#![no_std]
#![allow(
    non_camel_case_types,
    non_upper_case_globals,
    non_snake_case,
    missing_docs,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    unsafe_op_in_unsafe_fn,
    unnecessary_transmutes,
    reason = "generated from C"
)]

use libc::{FILE, pthread_key_t, pthread_once_t, sockaddr_in, sockaddr_storage, socklen_t, timeval};

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

// Macros that are a number cast to a pointer, which bindgen does not see.

/// A CLI handler did what was asked.
pub const CLI_SUCCESS: *mut libc::c_char = core::ptr::null_mut();
/// A CLI handler asks the host to print its usage.
pub const CLI_SHOWUSAGE: *mut libc::c_char = core::ptr::without_provenance_mut(1);
/// A CLI handler could not do what was asked.
pub const CLI_FAILURE: *mut libc::c_char = core::ptr::without_provenance_mut(2);

/// `ast_config_load2` found no such file.
pub const CONFIG_STATUS_FILEMISSING: *mut ast_config = core::ptr::null_mut();
/// `ast_config_load2` was asked to leave an unchanged file alone.
pub const CONFIG_STATUS_FILEUNCHANGED: *mut ast_config = core::ptr::without_provenance_mut(usize::MAX);
/// `ast_config_load2` could not make sense of the file.
pub const CONFIG_STATUS_FILEINVALID: *mut ast_config = core::ptr::without_provenance_mut(usize::MAX - 1);
