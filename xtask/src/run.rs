//! Runs other programs, with error messages that name them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::Failure;

/// The root of the workspace, from any current directory.
pub fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Runs `command`, with its output on ours, and fails if it fails.
pub fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status();
    check(command, status.as_ref())
}

/// Runs `command` and returns its output; fails if it fails.
pub fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command.stderr(Stdio::inherit()).output();
    check(command, output.as_ref().map(|output| &output.status))?;
    Ok(output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default())
}

/// The cargo that called us, so that a `+toolchain` applies to all commands.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    cargo
}

/// Whether `program` is on the PATH.
pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Whether we are root and so may install Debian packages.
pub fn we_are_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn check(command: &Command, status: Result<&ExitStatus, &io::Error>) -> Result<(), Failure> {
    let program = command.get_program().to_string_lossy();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` failed: {status}", line_of(command))),
        Err(error) => Err(format!("`{program}` could not be started: {error}")),
    }
}

fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
