//! The part of `cargo xtask test` without real Asterisks: the unit tests of all crates, and the built modules in the small host of
//! `tests/host`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use e2e::peer;
use e2e::prefix::Version;
use serde_json::Value;

use crate::Failure;
use crate::modules;
use crate::repeat::{self, Failed};
use crate::run::{all_or_what_failed, at_once, cargo, compiler_messages, output, run};
use crate::test::{ONLY_AS_ROOT, is_called};

/// Programs that run at once. Those that take longest wait for timers of the protocols most of their time.
const AT_ONCE: usize = 3;

/// Runs all tests, those that need root only if `as_root`. A failure does not stop the others.
pub fn all(as_root: bool) -> Result<(), Failure> {
    let messages = built()?;
    let (programs, libraries) = (programs(&messages), libraries(&messages));
    let failed = Mutex::new(Vec::new());
    let note = |outcome: Option<Failed<'static>>| {
        failed.lock().unwrap_or_else(PoisonError::into_inner).extend(outcome);
        Ok(())
    };
    let outcomes = [
        at_once(AT_ONCE, &programs, |program| note(program.run(&libraries, &[]))),
        at_once(AT_ONCE, &programs, |program| note(program.meet_peers(&libraries))),
        if as_root { at_once(1, &programs, |program| note(program.run_as_root(&libraries))) } else { Ok(()) },
        run(tests().arg("--doc")),
        repeat::alone(&failed.into_inner().unwrap_or_else(PoisonError::into_inner)),
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
#[derive(Clone)]
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
    fn run(&self, libraries: &OsStr, arguments: &[&str]) -> Option<Failed<'static>> {
        let (told, why) = self.try_run(libraries, arguments).err()?;
        let (program, libraries) = (self.clone(), libraries.to_owned());
        let alone = move |test: &str| {
            program.try_run(&libraries, &["--include-ignored", "--exact", test]).map_err(|(_, why)| why)
        };
        Some(Failed::new(&told, why, alone))
    }

    /// If it fails, returns the lines that it printed and why.
    fn try_run(&self, libraries: &OsStr, arguments: &[&str]) -> Result<(), (Vec<String>, Failure)> {
        let name = self.file.file_stem().unwrap_or_default().display();
        let began = Instant::now();
        let ended = self.command(libraries).args(arguments).output();
        let ended = ended.map_err(|error| (Vec::new(), format!("{name} could not be started: {error}")))?;
        let [told, errors] = [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        println!("{name} {}: {} s\n{told}{errors}", arguments.join(" "), began.elapsed().as_secs());
        let lines = || told.lines().map(str::to_owned).collect();
        if ended.status.success() { Ok(()) } else { Err((lines(), format!("{name} failed: {}", ended.status))) }
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
    fn meet_peers(&self, libraries: &OsStr) -> Option<Failed<'static>> {
        if is_called(&self.file, "interop_peers") { self.run(libraries, &["--ignored"]) } else { None }
    }

    /// Runs its tests that need root, if it has any.
    fn run_as_root(&self, libraries: &OsStr) -> Option<Failed<'static>> {
        match output(self.command(libraries).arg("--list").args(ONLY_AS_ROOT)) {
            Ok(tests) if tests.contains(": test") => self.run(libraries, &ONLY_AS_ROOT),
            Ok(_) => None,
            Err(why) => Some(Failed::to_run(why)),
        }
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
