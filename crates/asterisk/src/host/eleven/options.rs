//! The host's options.

use crate::sys;

/// `ast_options`: a bit for each.
pub type Options = u32;

/// Debug levels are set for single modules.
pub const DEBUG_MODULE: Options = sys::AST_OPT_FLAG_DEBUG_MODULE as Options;
