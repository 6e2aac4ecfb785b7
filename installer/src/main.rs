//! The program `install`, beside the modules: installs them on a machine without Rust.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use installer::{Done, Files, Host, Location, Processes, Refusal, Which};

const USAGE: &str = "\
install [--undo] [--prefix DIR | --modules DIR]

Replaces the modules of an Asterisk by those beside this program, and keeps the originals. --undo puts the originals back.
Without DIR it is the Asterisk of this machine; --prefix names the directory that contains sbin/asterisk, --modules the one
that contains the modules.";

fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        return say(USAGE);
    }
    let undo = words.iter().position(|word| word == "--undo").map(|place| words.remove(place)).is_some();
    let Some(which) = Which::meant_by(&words) else { return fail(USAGE, 2) };
    let outcome = if undo { uninstall(&which) } else { install(&which) };
    match outcome {
        Ok(done) => say(&done.sentence()),
        Err(refusal) => fail(&refusal.sentence("install --undo"), 1),
    }
}

fn install(which: &Which) -> Result<Done, Refusal> {
    let program = std::env::current_exe().unwrap_or_default();
    let files = Files::in_directory(program.parent().unwrap_or(Path::new(".")))?;
    installer::install(&files, &Host::find(which)?, &Processes::All)
}

fn uninstall(which: &Which) -> Result<Done, Refusal> {
    installer::uninstall(&Location::of_ours(which)?, &Processes::All)
}

/// Prints a result. If that fails, the result goes to standard error: what was done cannot be undone by a full disk.
fn say(text: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("The result could not be written to standard output ({error}): {text}"), 1),
    }
}

fn fail(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(code)
}
