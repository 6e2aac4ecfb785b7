//! The host's options.

use crate::sys;

/// The type of `ast_options`: one bit for each option.
pub type Options = u32;

/// The bit that is set while any module has its own debug level.
pub const DEBUG_MODULE: Options = sys::AST_OPT_FLAG_DEBUG_MODULE as Options;
