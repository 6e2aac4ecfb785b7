//! The part of `cargo xtask test` without real Asterisks: the unit tests of all crates, and the built modules in the small host of
//! `tests/host`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use e2e::peer;
use e2e::prefix::Version;
use serde_json::Value;

use crate::Failure;
use crate::modules;
use crate::run::{all_or_what_failed, at_once, cargo, compiler_messages, output, run};
use crate::test::{ONLY_AS_ROOT, is_called};

/// Programs that run at once. Those that take longest wait for timers of the protocols most of their time.
const AT_ONCE: usize = 3;

/// Runs all tests, those that need root only if `as_root`. A failure does not stop the others.
pub fn all(as_root: bool) -> Result<(), Failure> {
    let messages = built()?;
    let (programs, libraries) = (programs(&messages), libraries(&messages));
    let outcomes = [
        at_once(AT_ONCE, &programs, |program| program.run(&libraries, &[])),
        at_once(AT_ONCE, &programs, |program| program.meet_peers(&libraries)),
        if as_root { at_once(1, &programs, |program| program.run_as_root(&libraries)) } else { Ok(()) },
        run(tests().arg("--doc")),
    ];
    all_or_what_failed(outcomes)
}

/// Returns a cargo that builds and runs all tests but those of `tests/e2e`. A different selection of packages would select
/// other features of shared dependencies, and compile OpenSSL again.
fn tests() -> Command {
    let mut test = cargo();
    test.args(["test", "--workspace", "--exclude", "e2e"]).env("MODULES_DIR", modules::directory(Version::Eleven));
    test
}

/// Compiles all tests but those of `tests/e2e`, and returns cargo's messages.
pub fn built() -> Result<Vec<Value>, Failure> {
    compiler_messages(tests().arg("--no-run"))
}

/// A compiled test program, and the directory of its package, in which it runs.
struct Program {
    file: PathBuf,
    package: PathBuf,
}

/// Returns the test programs of cargo's messages, those that take longest first.
fn programs(messages: &[Value]) -> Vec<Program> {
    let of_tests = messages.iter().filter(|message| message["profile"]["test"] == true);
    let mut programs: Vec<_> = of_tests
        .filter_map(|message| {
            let manifest = Path::new(message["manifest_path"].as_str()?);
            Some(Program { file: message["executable"].as_str()?.into(), package: manifest.parent()?.to_owned() })
        })
        .collect();
    programs.sort_by_key(|program| !["webrtc", "life"].iter().any(|name| is_called(&program.file, name)));
    programs
}

/// Returns the directories of shared libraries that build scripts have made and test programs load, as cargo names them to what it
/// runs.
fn libraries(messages: &[Value]) -> OsString {
    let paths = messages.iter().filter_map(|message| message["linked_paths"].as_array()).flatten();
    let directories = paths.filter_map(Value::as_str).map(|path| path.split_once('=').map_or(path, |(_, path)| path));
    std::env::join_paths(directories).unwrap_or_default()
}

impl Program {
    /// Runs it with `arguments`, and prints its output when it has ended.
    fn run(&self, libraries: &OsStr, arguments: &[&str]) -> Result<(), Failure> {
        let name = self.file.file_stem().unwrap_or_default().display();
        let began = Instant::now();
        let ended = self.command(libraries).args(arguments).output();
        let ended = ended.map_err(|error| format!("{name} could not be started: {error}"))?;
        let [told, errors] = [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        println!("{name} {}: {} s\n{told}{errors}", arguments.join(" "), began.elapsed().as_secs());
        if ended.status.success() { Ok(()) } else { Err(format!("{name} failed: {}", ended.status)) }
    }

    fn command(&self, libraries: &OsStr) -> Command {
        let mut command = Command::new(&self.file);
        command.env("LD_LIBRARY_PATH", libraries);
        command.current_dir(&self.package).env("CARGO_MANIFEST_DIR", &self.package);
        command.env("MODULES_DIR", modules::directory(Version::Eleven));
        command.env("AIOICE_PYTHON", "python3").env("PYTHONPATH", peer::packages());
        command
    }

    /// Has our ICE agent meet aioice, which comes with aiortc, if this is the program for it.
    fn meet_peers(&self, libraries: &OsStr) -> Result<(), Failure> {
        if is_called(&self.file, "interop_peers") { self.run(libraries, &["--ignored"]) } else { Ok(()) }
    }

    /// Runs its tests that need root, if it has any.
    fn run_as_root(&self, libraries: &OsStr) -> Result<(), Failure> {
        let tests = output(self.command(libraries).arg("--list").args(ONLY_AS_ROOT))?;
        if tests.contains(": test") { self.run(libraries, &ONLY_AS_ROOT) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn test_programs_run_in_their_package_and_the_long_ones_start_first() {
        let artifact = |file: Value, is_test: bool| json!({ "executable": file, "manifest_path": "/w/crates/ice/Cargo.toml", "profile": { "test": is_test } });
        let messages = [
            artifact(json!("/t/ice-0123"), true),
            artifact(json!("/t/webrtc-0123"), true),
            artifact(json!("/t/example"), false),
            artifact(Value::Null, true),
            json!({ "reason": "build-finished" }),
        ];
        let programs = programs(&messages);
        let files: Vec<_> = programs.iter().map(|program| program.file.to_str().unwrap()).collect();
        assert_eq!(files, ["/t/webrtc-0123", "/t/ice-0123"]);
        assert!(programs.iter().all(|program| program.package == Path::new("/w/crates/ice")));
    }
}
