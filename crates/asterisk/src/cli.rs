//! Commands of the host's console.

use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use crate::fence::fence;
use crate::host::commands;
use crate::{Failed, error, log, sys};

/// One console command. Commands are kept in a `static`.
#[derive(Debug)]
pub struct Command {
    /// The words of the command, with alternatives as `{on|off|ip}`; the host completes these by itself.
    pub words: &'static CStr,
    /// One line for `core show help`.
    pub summary: &'static CStr,
    /// The text that the host prints for `core show help <command>` and for wrong usage.
    pub usage: &'static CStr,
    /// Runs the command.
    pub run: fn(&Invocation<'_>) -> Outcome,
}

/// The result of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Success,
    /// The arguments make no sense: the host prints the usage.
    ShowUsage,
    /// The command failed.
    Failure,
}

/// One call of a command.
#[derive(Debug)]
pub struct Invocation<'a> {
    descriptor: c_int,
    arguments: &'a [*const c_char],
}

impl<'a> Invocation<'a> {
    /// All words that were typed, those of the command included.
    pub fn arguments(&self) -> impl ExactSizeIterator<Item = &'a str> + Clone {
        // SAFETY: the host keeps `argc` strings while the command runs.
        self.arguments.iter().map(|argument| unsafe { log::text(*argument) }.unwrap_or_default())
    }

    /// The word at `index` (0 is the first word of the command); `None` if fewer words were typed.
    pub fn argument(&self, index: usize) -> Option<&'a str> {
        self.arguments().nth(index)
    }

    /// Prints to the console on which the command was typed; see [`cli_print!`](crate::cli_print!). Wraps `ast_cli`.
    pub fn print(&self, text: fmt::Arguments<'_>) {
        let text = log::c_text(&text.to_string());
        // SAFETY: a NUL-terminated string; the shim passes it as text, never as a format.
        unsafe { sys::asterisk_sys_cli(self.descriptor, text.as_ptr()) };
    }
}

/// Prints a line to the console on which the command was typed: `cli_print!(invocation, "{} calls", n)`.
#[macro_export]
macro_rules! cli_print {
    ($invocation:expr, $($text:tt)+) => {
        $invocation.print(::core::format_args!("{}\n", ::core::format_args!($($text)+)))
    };
}

/// Registered commands; dropping it unregisters them.
#[derive(Debug)]
pub struct Commands(Vec<*mut Entry>);

// SAFETY: the host's list has its own lock; only we free the entries, after the host has removed them from it.
unsafe impl Send for Commands {}
// SAFETY: a shared reference gives access to nothing.
unsafe impl Sync for Commands {}

/// Registers all `commands`, or none. Wraps `ast_cli_register_multiple`.
pub fn register(commands: &'static [Command]) -> Result<Commands, Failed> {
    let mut registered = Commands(Vec::with_capacity(commands.len()));
    for command in commands {
        let raw = sys::ast_cli_entry { handler: Some(handle), summary: command.summary.as_ptr(), ..Default::default() };
        let entry = Box::into_raw(Box::new(Entry { raw, command }));
        // SAFETY: the entry does not move until the host has removed it from its list.
        if unsafe { commands::register(&raw mut (*entry).raw) }.is_err() {
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
                // SAFETY: the host has removed the entry, and nobody else has a pointer to it.
                drop(unsafe { Box::from_raw(entry) });
            }
        }
    }
}

/// Unregisters the command and waits until nobody runs it. `ast_cli_unregister_multiple` returns 0 even if it keeps
/// the entry because the command is running, and the command may start between our look at `inuse` and the removal.
fn let_go(entry: *mut Entry) -> bool {
    // SAFETY: made by `register` and freed only by `drop`, which calls us first.
    let (raw, command) = unsafe { (&raw mut (*entry).raw, (*entry).command) };
    // SAFETY: an aligned int of the same entry, which the host counts up and down with atomic operations.
    let in_use = unsafe { AtomicI32::from_ptr(&raw mut (*raw).inuse) };
    for _ in 0..500 {
        if in_use.load(Ordering::Acquire) == 0 {
            // SAFETY: as above; a second removal is harmless. The host sets `_full_cmd` to null when it
            // removes the entry.
            let is_out = unsafe {
                sys::ast_cli_unregister_multiple(raw, 1);
                (*raw)._full_cmd.is_null()
            };
            if is_out && in_use.load(Ordering::Acquire) == 0 {
                return true;
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    error!("the command '{}' is still running, its memory is not freed", command.words.to_string_lossy());
    false
}

/// The host's entry and our command. The host's part comes first, so that a pointer to it is one to the whole.
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
        // The host completes alternatives in braces; there is nothing to add.
        sys::CLI_GENERATE => ptr::null_mut(),
        _ => {
            // SAFETY: for every other request the host passes arguments that live during the call.
            let invocation = unsafe { invocation(arguments) };
            match fence("a console command", Outcome::Failure, || (command.run)(&invocation)) {
                Outcome::Success => sys::CLI_SUCCESS,
                Outcome::ShowUsage => sys::CLI_SHOWUSAGE,
                Outcome::Failure => sys::CLI_FAILURE,
            }
        }
    }
}

/// # Safety
/// `arguments` is a pointer that the host passed to a handler; it lives for `'a`.
unsafe fn invocation<'a>(arguments: *const sys::ast_cli_args) -> Invocation<'a> {
    // SAFETY: guaranteed by our caller; `argv` holds `argc` strings.
    unsafe {
        let count = usize::try_from((*arguments).argc).unwrap_or(0);
        let argv = (*arguments).argv;
        let arguments_list = if argv.is_null() { &[] } else { slice::from_raw_parts(argv, count) };
        Invocation { descriptor: (*arguments).fd, arguments: arguments_list }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test's own process")]
    fn dropping_commands_waits_for_one_that_is_running() {
        static COMMANDS: [Command; 1] =
            [Command { words: c"a b", summary: c"", usage: c"", run: |_| Outcome::Success }];
        let commands = register(&COMMANDS).unwrap();
        let entry = commands.0[0];
        // SAFETY: the entry lives until `commands` is dropped, which waits for the thread below to count down.
        let in_use = unsafe { AtomicI32::from_ptr(&raw mut (*entry).raw.inuse) };
        in_use.store(1, Ordering::Release);
        let has_returned = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                has_returned.store(true, Ordering::Release);
                in_use.store(0, Ordering::Release);
            });
            drop(commands);
            assert!(has_returned.load(Ordering::Acquire));
        });
    }
}
