//! `cargo xtask fuzz`: runs every target of `tests/fuzz` for a limited time.
//!
//! The targets are built with the flags of cargo-fuzz, but without cargo-fuzz and with the stable toolchain (see
//! `sanitizer.rs`). New inputs go to `target/fuzz/<target>/corpus`; the seeds in the tree are only read.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::packages;
use crate::run::{at_once, compiler_messages, cores, target_directory, workspace};
use crate::sanitizer::{self, sanitized_cargo};
use crate::zig::Zig;

/// Adds the counters from which libFuzzer learns which branches an input takes. These are the flags of cargo-fuzz.
const FLAGS: [&str; 10] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=1",
    "--cfg",
    "fuzzing",
];

/// The options of `cargo xtask fuzz`.
#[derive(Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// How long each target runs.
    seconds: u32,
    /// The only target to run; all of them when there is none.
    target: Option<&'a str>,
}

impl<'a> Options<'a> {
    /// Reads `[--seconds N] [TARGET]`, in any order; `None` when the words are anything else.
    pub fn parse(mut words: &[&'a str]) -> Option<Self> {
        let mut options = Self { seconds: 30, target: None };
        loop {
            words = match words {
                [] => return Some(options),
                ["--seconds", seconds, rest @ ..] => {
                    options.seconds = seconds.parse().ok().filter(|seconds| *seconds > 0)?;
                    rest
                }
                [target, rest @ ..] if options.target.is_none() && !target.starts_with('-') => {
                    options.target = Some(target);
                    rest
                }
                _ => return None,
            };
        }
    }
}

/// Builds the targets and runs them, one per core at a time. A failure names the target and the input that broke it.
pub fn all(options: &Options<'_>) -> Result<(), Failure> {
    packages::ensure(&[packages::TO_BUILD, packages::TO_FUZZ])?;
    let targets = build(options.target)?;
    println!("Fuzzing {} targets, each for {} s", targets.len(), options.seconds);
    at_once(cores(), &targets, |target| target.run(options.seconds))
}

/// Compiles all targets that `tests/fuzz/Cargo.toml` lists, or the one named `target`.
fn build(target: Option<&str>) -> Result<Vec<Target>, Failure> {
    let mut build = sanitized_cargo(&FLAGS)?;
    build.args(["build", "--release", "--target", &Zig::target()]);
    build.arg("--manifest-path").arg(workspace().join("tests/fuzz/Cargo.toml"));
    match target {
        Some(target) => build.args(["--bin", target]),
        None => build.arg("--bins"),
    };
    let messages = compiler_messages(&mut build)?;
    let targets = messages.iter().filter_map(|message| {
        let program = message["executable"].as_str()?.into();
        Some(Target { name: message["target"]["name"].as_str()?.to_owned(), program })
    });
    let targets: Vec<Target> = targets.collect();
    if targets.is_empty() { Err("tests/fuzz has no targets.".to_owned()) } else { Ok(targets) }
}

struct Target {
    name: String,
    program: PathBuf,
}

impl Target {
    /// Fuzzes for `seconds` and prints how many inputs were tried.
    fn run(&self, seconds: u32) -> Result<(), Failure> {
        let directory = target_directory().join("fuzz").join(&self.name);
        let (corpus, log) = (directory.join("corpus"), directory.join("log"));
        let failed = |error: io::Error| format!("{}: {error}", directory.display());
        fs::create_dir_all(&corpus).map_err(failed)?;
        let output = File::create(&log).map_err(failed)?;
        let status = Command::new(&self.program)
            // libFuzzer adds new inputs to the first directory only.
            .args([&corpus, &self.seeds()?])
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", directory.display()))
            // Seconds that one input may take. It is generous, so that a busy machine causes no failure.
            .arg("-timeout=60")
            .env(sanitizer::OPTIONS.0, sanitizer::OPTIONS.1)
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output)
            .status()
            .map_err(failed)?;
        let told = fs::read(&log).map_err(failed)?;
        let told = String::from_utf8_lossy(&told);
        match done(&told) {
            Some(done) if status.success() => {
                println!("{}: {done}", self.name);
                Ok(())
            }
            _ => Err(self.failure(&told, &log)),
        }
    }

    /// Returns the directory of this target's seeds. An empty one is an error, because libFuzzer would start without
    /// any and say nothing.
    fn seeds(&self) -> Result<PathBuf, Failure> {
        let seeds = workspace().join("tests/fuzz/seeds").join(&self.name);
        let has_some = fs::read_dir(&seeds).is_ok_and(|mut entries| entries.next().is_some());
        if has_some { Ok(seeds) } else { Err(format!("{}: there is no seed in {}", self.name, seeds.display())) }
    }

    /// Describes a failure: the end of the log, the input and how to run it again.
    fn failure(&self, told: &str, log: &Path) -> Failure {
        let again = broken_by(told).map_or_else(String::new, |input| {
            format!("\nThe input is {input}. To run it again: {} {input}", self.program.display())
        });
        let from = told.lines().count().saturating_sub(LINES_OF_LOG);
        let end: Vec<&str> = told.lines().skip(from).collect();
        format!("{}\n\nThe fuzz target {} failed.{again}\nThe whole log: {}", end.join("\n"), self.name, log.display())
    }
}

/// Returns libFuzzer's closing line: `Done 4711 runs in 31 second(s)`.
fn done(log: &str) -> Option<&str> {
    log.lines().rev().find(|line| line.starts_with("Done "))
}

/// Returns the path of the file into which libFuzzer wrote the input that broke the target.
fn broken_by(log: &str) -> Option<&str> {
    log.lines().find_map(|line| line.split_once("Test unit written to ").map(|(_, input)| input.trim()))
}

/// How much of a log a failure prints: enough for a backtrace and a report of AddressSanitizer.
const LINES_OF_LOG: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_a_target_may_stand_in_any_order() {
        let both = Some(Options { seconds: 5, target: Some("rtp_packet") });
        assert_eq!(Options::parse(&["--seconds", "5", "rtp_packet"]), both);
        assert_eq!(Options::parse(&["rtp_packet", "--seconds", "5"]), both);
        assert_eq!(Options::parse(&[]), Some(Options { seconds: 30, target: None }));
        for words in [&["--seconds"][..], &["--seconds", "0"], &["--seconds", "x"], &["a", "b"], &["--check"]] {
            assert_eq!(Options::parse(words), None, "{words:?}");
        }
    }

    #[test]
    fn a_log_tells_how_it_ended() {
        let good = "#2\tINITED cov: 3\nDone 4711 runs in 31 second(s)\n";
        assert_eq!((done(good), broken_by(good)), (Some("Done 4711 runs in 31 second(s)"), None));
        let bad = "thread panicked\nartifact_prefix='x/'; Test unit written to x/crash-0123\nBase64: AA==\n";
        assert_eq!((done(bad), broken_by(bad)), (None, Some("x/crash-0123")));
    }
}
