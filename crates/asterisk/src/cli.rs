//! Commands for the host's console.

use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::ptr;
use std::slice;
use std::time::Duration;

use crate::fence::fence;
use crate::{Failed, check, error, log, sys};

/// One command. Keep them in a `static`.
#[derive(Debug)]
pub struct Command {
    /// The words, with alternatives as `{on|off|ip}`: the host completes these by itself.
    pub words: &'static CStr,
    /// One line for `core show help`.
    pub summary: &'static CStr,
    /// What `help` on the command prints.
    pub usage: &'static CStr,
    /// Carries it out.
    pub run: fn(&Invocation<'_>) -> Outcome,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Success,
    /// Asked for in a way that makes no sense: the host prints the usage.
    ShowUsage,
    /// Not done.
    Failure,
}

/// One use of a command.
#[derive(Debug)]
pub struct Invocation<'a> {
    descriptor: c_int,
    arguments: &'a [*const c_char],
    words: usize,
}

impl<'a> Invocation<'a> {
    /// Everything that was typed, word by word, the command included.
    pub fn arguments(&self) -> impl ExactSizeIterator<Item = &'a str> + Clone {
        // SAFETY: the host keeps `argc` strings while the command runs.
        self.arguments.iter().map(|argument| unsafe { log::text(*argument) }.unwrap_or_default())
    }

    /// One of the words that were typed.
    pub fn argument(&self, index: usize) -> Option<&'a str> {
        self.arguments().nth(index)
    }

    /// How many words the command itself has, counting each alternative as one.
    pub fn command_words(&self) -> usize {
        self.words
    }

    /// Prints to whoever typed it; see [`cli_print!`](crate::cli_print!). Wraps `ast_cli`.
    pub fn print(&self, text: fmt::Arguments<'_>) {
        let text = log::c_text(&text.to_string());
        // SAFETY: a NUL-terminated string; the shim passes it as text, never as a format.
        unsafe { sys::asterisk_sys_cli(self.descriptor, text.as_ptr()) };
    }
}

/// Prints a line to the console that typed the command: `cli_print!(invocation, "{} calls", n)`.
#[macro_export]
macro_rules! cli_print {
    ($invocation:expr, $($text:tt)+) => {
        $invocation.print(::core::format_args!("{}\n", ::core::format_args!($($text)+)))
    };
}

/// Commands while they are registered; dropping it takes them back.
#[derive(Debug)]
pub struct Commands(Vec<*mut Entry>);

// SAFETY: the host's list has a lock of its own; the entries are only freed here, after it let go of them.
unsafe impl Send for Commands {}
// SAFETY: nothing can be done through a shared one.
unsafe impl Sync for Commands {}

/// Registers all of them, or none. Wraps `ast_cli_register_multiple`.
pub fn register(commands: &'static [Command]) -> Result<Commands, Failed> {
    let mut registered = Commands(Vec::with_capacity(commands.len()));
    for command in commands {
        let raw = sys::ast_cli_entry { handler: Some(handle), summary: command.summary.as_ptr(), ..Default::default() };
        let entry = Box::into_raw(Box::new(Entry { raw, command }));
        // SAFETY: the entry stays where it is until the host has let go of it.
        if check(unsafe { sys::ast_cli_register_multiple(&raw mut (*entry).raw, 1) }).is_err() {
            // SAFETY: the host did not take it.
            drop(unsafe { Box::from_raw(entry) });
            return Err(Failed);
        }
        registered.0.push(entry);
    }
    Ok(registered)
}

impl Drop for Commands {
    fn drop(&mut self) {
        for entry in self.0.drain(..) {
            if let_go(entry) {
                // SAFETY: the host has let go of it, and only we knew of it besides.
                drop(unsafe { Box::from_raw(entry) });
            }
        }
    }
}

/// The host refuses while the command is running, so this may have to wait.
fn let_go(entry: *mut Entry) -> bool {
    for _ in 0..500 {
        // SAFETY: registered by `register`, freed only after this succeeds.
        if unsafe { sys::ast_cli_unregister_multiple(&raw mut (*entry).raw, 1) } == 0 {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // SAFETY: alive, as the host still has it.
    error!("the command '{}' is still in use", unsafe { (*entry).command }.words.to_string_lossy());
    false
}

/// What the host sees comes first, so that it leads back to ours.
#[repr(C)]
struct Entry {
    raw: sys::ast_cli_entry,
    command: &'static Command,
}

unsafe extern "C" fn handle(
    raw: *mut sys::ast_cli_entry,
    what: c_int,
    arguments: *mut sys::ast_cli_args,
) -> *mut c_char {
    // SAFETY: the host calls with an entry that `register` made, where `raw` is the first field.
    let command = unsafe { (*raw.cast::<Entry>()).command };
    match what {
        sys::CLI_INIT => {
            // SAFETY: as above; while it registers, nobody else looks at the entry.
            unsafe {
                (*raw).command = command.words.as_ptr().cast_mut();
                (*raw).usage = command.usage.as_ptr();
            }
            ptr::null_mut()
        }
        // Alternatives in braces are completed by the host; there is nothing to add to them.
        sys::CLI_GENERATE => ptr::null_mut(),
        _ => {
            // SAFETY: for everything else the host passes its arguments, which stay for the call.
            let invocation = unsafe { invocation(raw, arguments) };
            match fence("a console command", Outcome::Failure, || (command.run)(&invocation)) {
                Outcome::Success => sys::CLI_SUCCESS,
                Outcome::ShowUsage => sys::CLI_SHOWUSAGE,
                Outcome::Failure => sys::CLI_FAILURE,
            }
        }
    }
}

/// # Safety
/// Both are as the host passes them to a handler, and stay for `'a`.
unsafe fn invocation<'a>(raw: *const sys::ast_cli_entry, arguments: *const sys::ast_cli_args) -> Invocation<'a> {
    // SAFETY: the caller vouches for both; `argv` holds `argc` strings.
    unsafe {
        let count = usize::try_from((*arguments).argc).unwrap_or(0);
        let argv = (*arguments).argv;
        let words = usize::try_from((*raw).args).unwrap_or(0);
        let arguments_list = if argv.is_null() { &[] } else { slice::from_raw_parts(argv, count) };
        Invocation { descriptor: (*arguments).fd, arguments: arguments_list, words }
    }
}
