//! `install`, beside the modules: puts them into an Asterisk on a machine that has no Rust.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use installer::{Done, Files, Host, Location, Processes, Refusal, Which};

const USAGE: &str = "\
install [--undo] [--prefix DIR | --modules DIR]

Puts the modules beside this program in the place of an Asterisk's own, and keeps those; with --undo it puts them back.
Without DIR it is the Asterisk of this machine; --prefix is the directory that holds sbin/asterisk, --modules the one that
holds the modules.";

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

/// What was done is done, also where nobody can be told.
fn say(text: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("This could not be written to the standard output ({error}): {text}"), 1),
    }
}

fn fail(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(code)
}
