//! The host's log. Text is formatted here and passed with the format `"%s"`, never as a format itself. Control
//! characters that a peer may have put into it are escaped, so that one line stays one line.
//!
//! Protocol crates log through the `log` facade; `install_facade` forwards their records to the host's log.

use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt::{self, Write as _};
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use crate::host::options::DEBUG_MODULE;
use crate::limit::RateLimit;
use crate::{module, symbols, sys};

/// The level of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A fault that the administrator has to repair.
    Error,
    /// Something that may need attention.
    Warning,
    /// Information for the administrator.
    Notice,
    /// Progress, shown when the console is at least this verbose.
    Verbose(u32),
    /// For developers; test [`debug_enabled`] first.
    Debug,
}

/// Logs an error; the host adds the source file and line: `error!("{file}: no key")`.
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

/// Prints a line on consoles with at least this verbosity: `verbose!(2, "registered")`.
#[macro_export]
macro_rules! verbose {
    ($level:expr, $($text:tt)+) => {
        if $crate::log::verbose_enabled($level) {
            $crate::log::write($crate::log::Level::Verbose($level), ::core::format_args!($($text)+))
        }
    };
}

/// Logs a debug line if `core set debug` enables this level; otherwise formats nothing: `debug!(1, "{pair}")`.
#[macro_export]
macro_rules! debug {
    ($level:expr, $($text:tt)+) => {
        if $crate::log::debug_enabled($level) {
            $crate::log::write($crate::log::Level::Debug, ::core::format_args!($($text)+))
        }
    };
}

/// Logs one line; all macros of this crate call it. Wraps `ast_log` and `__ast_verbose`.
#[track_caller]
pub fn write(level: Level, text: fmt::Arguments<'_>) {
    let place = Location::caller();
    let rust_file = c_text(place.file().rsplit('/').next().unwrap_or_default());
    let (file, function) = match file() {
        Some(file) => (file, rust_file.as_c_str()),
        None => (rust_file.as_c_str(), module::name()),
    };
    let line = c_int::try_from(place.line()).unwrap_or(0);
    let text = one_line(text);
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

/// Makes all lines of this module name `file` as their source file, because filters of the host's users look for it. The Rust file
/// then stands where the host shows the function. `None` names the Rust file and, as the function, the module.
pub(crate) fn set_file(file: Option<&'static CStr>) {
    FILE.store(file.map_or(ptr::null_mut(), |file| file.as_ptr().cast_mut()), Ordering::Release);
}

fn file() -> Option<&'static CStr> {
    let file = FILE.load(Ordering::Acquire);
    // SAFETY: `set_file` stores static strings only.
    (!file.is_null()).then(|| unsafe { CStr::from_ptr(file) })
}

/// The source file of [`set_file`]; null if there is none.
static FILE: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

/// Whether `core set debug` enables this level, globally or for this module.
pub fn debug_enabled(level: u32) -> bool {
    let global = symbols::OPTION_DEBUG.read().unwrap_or(0);
    let level_reached = u32::try_from(global).is_ok_and(|global| global >= level);
    level_reached || module_debug() >= level
}

/// The debug level set for this module; 0 if the host has none. Wraps `ast_debug_get_by_module`.
fn module_debug() -> u32 {
    let flags = symbols::AST_OPTIONS.read().unwrap_or(0);
    if flags & DEBUG_MODULE == 0 {
        return 0;
    }
    // SAFETY: the name is NUL-terminated and static; the host only compares it.
    unsafe { sys::ast_debug_get_by_module(module::name().as_ptr()) }
}

/// Whether any console has at least this verbosity. True on hosts before 11.8, which filter by themselves.
pub fn verbose_enabled(level: u32) -> bool {
    match symbols::VERB_SYS_LEVEL.read() {
        Some(verbosity) => i64::from(level) <= i64::from(verbosity),
        None => true,
    }
}

fn one_line(text: fmt::Arguments<'_>) -> CString {
    let mut line = String::new();
    // Writing to a String cannot fail; if an implementation of Display fails, the text written so far is kept.
    let _ = line.write_fmt(text);
    c_text(&OneLine(line.trim_end_matches(['\r', '\n'])).to_string())
}

/// Displays text that may come from a peer with control characters other than tabs escaped, for the log and the console: it
/// cannot end a line or send commands to a terminal.
#[derive(Debug, Clone, Copy)]
pub struct OneLine<'a>(pub &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            character if character.is_control() && character != '\t' => write!(f, "{}", character.escape_default()),
            character => f.write_char(character),
        })
    }
}

/// Copies text for C, up to its first NUL, where C would end it too.
pub(crate) fn c_text(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    // The text contains no NUL, so this never fails.
    CString::new(&text[..end]).unwrap_or_default()
}

/// Borrows a string of the host; `None` if it is null or not UTF-8.
///
/// # Safety
/// `text` is null or points to a NUL-terminated string that lives for `'a`.
pub(crate) unsafe fn text<'a>(text: *const std::ffi::c_char) -> Option<&'a str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: guaranteed by our caller.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

/// Forwards the records of the `log` facade to the host's log. A second call is harmless.
pub(crate) fn install_facade() {
    // If the module stayed mapped since its last load, the logger is set already.
    let _ = ::log::set_logger(&Facade);
    ::log::set_max_level(::log::LevelFilter::Trace);
}

struct Facade;

/// Limits warnings of the protocol crates: peers can trigger most of them, and must not fill the log.
static COMPLAINTS: RateLimit = RateLimit::new(Duration::from_secs(10), 10);

/// Limits their debug lines: one line for each datagram of a flood would hide everything else.
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
            Some(dropped) => write(level, format_args!("{target}: {text} ({dropped} similar lines suppressed)")),
        }
    }

    fn flush(&self) {}
}
