//! The host's log. Text is formatted here and handed over behind a `"%s"`, never as a format; control characters that a
//! peer may have put into it are escaped, so that a line stays a line.
//!
//! Protocol crates log through the `log` facade; `install_facade` makes their records arrive here too.

use std::ffi::{CStr, CString, c_int};
use std::fmt::{self, Write as _};
use std::panic::Location;
use std::time::Duration;

use crate::host::options::DEBUG_MODULE;
use crate::limit::RateLimit;
use crate::{module, symbols, sys};

/// How the host files a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something the operator has to repair.
    Error,
    /// Something that may need attention.
    Warning,
    /// Something worth knowing.
    Notice,
    /// Progress, shown when the console is at least this verbose.
    Verbose(u32),
    /// For developers; test [`debug_enabled`] first.
    Debug,
}

/// Logs an error with the line it is written on: `error!("{file}: no key")`.
#[macro_export]
macro_rules! error {
    ($($text:tt)+) => { $crate::log::write($crate::log::Level::Error, ::core::format_args!($($text)+)) };
}

/// Logs a warning.
#[macro_export]
macro_rules! warning {
    ($($text:tt)+) => { $crate::log::write($crate::log::Level::Warning, ::core::format_args!($($text)+)) };
}

/// Logs a notice.
#[macro_export]
macro_rules! notice {
    ($($text:tt)+) => { $crate::log::write($crate::log::Level::Notice, ::core::format_args!($($text)+)) };
}

/// Tells a console that is at least this verbose: `verbose!(2, "registered")`.
#[macro_export]
macro_rules! verbose {
    ($level:expr, $($text:tt)+) => {
        if $crate::log::verbose_enabled($level) {
            $crate::log::write($crate::log::Level::Verbose($level), ::core::format_args!($($text)+))
        }
    };
}

/// Logs for developers; nothing is formatted unless `core set debug` asks for this level: `debug!(1, "{pair}")`.
#[macro_export]
macro_rules! debug {
    ($level:expr, $($text:tt)+) => {
        if $crate::log::debug_enabled($level) {
            $crate::log::write($crate::log::Level::Debug, ::core::format_args!($($text)+))
        }
    };
}

/// Hands one line to the host; the macros of this crate end here. Wraps `ast_log` and `__ast_verbose`.
#[track_caller]
pub fn write(level: Level, text: fmt::Arguments<'_>) {
    let place = Location::caller();
    let file = c_text(place.file().rsplit('/').next().unwrap_or_default());
    let line = c_int::try_from(place.line()).unwrap_or(0);
    let text = one_line(text);
    let function = module::name();
    let number = match level {
        Level::Debug => sys::__LOG_DEBUG,
        Level::Notice => sys::__LOG_NOTICE,
        Level::Warning => sys::__LOG_WARNING,
        Level::Error => sys::__LOG_ERROR,
        Level::Verbose(level) => {
            let level = c_int::try_from(level).unwrap_or(c_int::MAX);
            // SAFETY: every string is NUL-terminated and outlives the call; the shim passes the text as "%s".
            return unsafe {
                sys::asterisk_sys_verbose(level, file.as_ptr(), line, function.as_ptr(), text.as_ptr());
            };
        }
    };
    // SAFETY: as above.
    unsafe { sys::asterisk_sys_log(number, file.as_ptr(), line, function.as_ptr(), text.as_ptr()) };
}

/// Whether `core set debug` asks for this level, everywhere or for this module.
pub fn debug_enabled(level: u32) -> bool {
    let global = symbols::OPTION_DEBUG.read().unwrap_or(0);
    let level_reached = u32::try_from(global).is_ok_and(|global| global >= level);
    level_reached || module_debug() >= level
}

/// The debug level set for this module alone; 0 when the host keeps none. Wraps `ast_debug_get_by_module`.
fn module_debug() -> u32 {
    let flags = symbols::AST_OPTIONS.read().unwrap_or(0);
    if flags & DEBUG_MODULE == 0 {
        return 0;
    }
    // SAFETY: the name is NUL-terminated and static; the host only compares it.
    unsafe { sys::ast_debug_get_by_module(module::name().as_ptr()) }
}

/// Whether a console is this verbose. Hosts before 11.8 have no such variable and decide for themselves.
pub fn verbose_enabled(level: u32) -> bool {
    match symbols::VERB_SYS_LEVEL.read() {
        Some(verbosity) => i64::from(level) <= i64::from(verbosity),
        None => true,
    }
}

fn one_line(text: fmt::Arguments<'_>) -> CString {
    let mut line = String::new();
    // unwrap: writing to a String cannot fail; an implementation of Display that does keeps what it wrote.
    let _ = line.write_fmt(text);
    c_text(&OneLine(line.trim_end()).to_string())
}

/// Text that a peer may have written, for a console as well: nothing in it ends a line or tells a terminal what to do.
#[derive(Debug, Clone, Copy)]
pub struct OneLine<'a>(pub &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '\t' => f.write_char(' '),
            character if character.is_control() => write!(f, "{}", character.escape_default()),
            character => f.write_char(character),
        })
    }
}

/// A copy for C that ends at the first NUL, as C would read it.
pub(crate) fn c_text(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    // No NUL is left in it, so this never fails.
    CString::new(&text[..end]).unwrap_or_default()
}

/// A string of the host, when there is one and it is UTF-8.
///
/// # Safety
/// `text` is null or points to a NUL-terminated string that stays for `'a`.
pub(crate) unsafe fn text<'a>(text: *const std::ffi::c_char) -> Option<&'a str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller vouches for it.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

/// Makes the records of the `log` facade arrive in the host's log. Harmless when done twice.
pub(crate) fn install_facade() {
    // An image that stays mapped is loaded again with its logger in place.
    let _ = ::log::set_logger(&Facade);
    ::log::set_max_level(::log::LevelFilter::Trace);
}

struct Facade;

/// What protocol crates complain about is mostly what peers did: it may not fill the log.
static COMPLAINTS: RateLimit = RateLimit::new(Duration::from_secs(10), 10);

/// Nor may it while somebody looks for a fault with `core set debug`: a line for each datagram of a flood hides the rest.
static DETAILS: RateLimit = RateLimit::new(Duration::from_secs(1), 50);

impl ::log::Log for Facade {
    fn enabled(&self, metadata: &::log::Metadata<'_>) -> bool {
        match metadata.level() {
            ::log::Level::Error | ::log::Level::Warn => true,
            ::log::Level::Info => debug_enabled(1),
            ::log::Level::Debug => debug_enabled(2),
            ::log::Level::Trace => debug_enabled(5),
        }
    }

    fn log(&self, record: &::log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (level, limit) = match record.level() {
            ::log::Level::Error | ::log::Level::Warn => (Level::Warning, &COMPLAINTS),
            _ => (Level::Debug, &DETAILS),
        };
        let (target, text) = (record.target(), record.args());
        match limit.allow() {
            None => {}
            Some(0) => write(level, format_args!("{target}: {text}")),
            Some(dropped) => write(level, format_args!("{target}: {text} ({dropped} more lines left out)")),
        }
    }

    fn flush(&self) {}
}
