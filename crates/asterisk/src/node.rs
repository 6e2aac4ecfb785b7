//! The name of this host among several.

use std::ffi::{CStr, c_char};

use crate::cli::Invocation;
use crate::cli_print;
use crate::symbols;

/// The name of this node: `systemname` of `asterisk.conf`, or the name of the machine.
pub fn name() -> String {
    system_name().or_else(host_name).unwrap_or_default()
}

/// Prints the name at the head of a command's output, if `asterisk.conf` has one.
pub fn print_name(invocation: &Invocation<'_>) {
    if let Some(name) = system_name() {
        cli_print!(invocation, "Node: {name}");
    }
}

/// Wraps `ast_config_AST_SYSTEM_NAME`, which the host writes before it loads modules.
fn system_name() -> Option<String> {
    // SAFETY: a variable that holds a pointer to a string, in every host.
    let variable = unsafe { symbols::lookup::<*const *const c_char>(c"ast_config_AST_SYSTEM_NAME") }?;
    // SAFETY: as above; the string is static.
    let name = unsafe { *variable };
    // SAFETY: as above.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned());
    name.filter(|name| !name.is_empty())
}

fn host_name() -> Option<String> {
    let mut name = [0_u8; 256];
    // SAFETY: it writes at most one octet less than there is room for, so that a NUL follows.
    let known = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) } == 0;
    let name = CStr::from_bytes_until_nul(&name).ok().filter(|_| known)?;
    Some(name.to_string_lossy().into_owned())
}
