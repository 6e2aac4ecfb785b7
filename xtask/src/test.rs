//! `cargo xtask test`: everything that the machine can run.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use e2e::prefix::{Prefix, Version};
use serde_json::Value;

use crate::Failure;
use crate::host;
use crate::modules;
use crate::packages;
use crate::run::{cargo, output, run, workspace};

/// Unit tests of all crates, the built modules in the small host, and real browsers against real Asterisks: Debian's 16 and
/// 22, and the 11 that `ASTERISK_PREFIX` may name.
pub fn all() -> Result<(), Failure> {
    packages::ensure(&[packages::TO_BUILD, packages::TO_TEST])?;
    let modules = modules::build(Version::Eleven)?;
    run(cargo().args(["test", "--workspace", "--exclude", "e2e"]).env("MODULES_DIR", &modules))?;

    install_page_libraries()?;
    let suites = hosts()?.into_iter().map(Suite::prepare).collect::<Result<Vec<_>, _>>()?;
    side_by_side(&suites)
}

/// JsSIP and the drivers of the browsers, as the lock file names them.
pub fn install_page_libraries() -> Result<(), Failure> {
    run(Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(workspace().join("tests/e2e/browser")))
}

fn hosts() -> Result<Vec<Prefix>, Failure> {
    let eleven = host::installed()?.filter(|prefix| prefix.version() == Version::Eleven);
    let debian = [Version::Sixteen, Version::TwentyTwo].map(host::of);
    eleven.map(Ok).into_iter().chain(debian).collect()
}

/// Calls mostly wait: on two cores so many tests at a time, each with an Asterisk and a browser or two, leave the machine half
/// idle, and the timings of a call still mean something.
const AT_A_TIME: usize = 4;

/// All suites at the same time, each with its share of the tests that run at a time.
fn side_by_side(suites: &[Suite]) -> Result<(), Failure> {
    let [first, ..] = suites else { return Ok(()) };
    let programs = programs(first)?;
    let threads = (AT_A_TIME / suites.len()).max(1);
    let failed: Vec<Failure> = thread::scope(|scope| {
        let runs: Vec<_> = suites.iter().map(|suite| scope.spawn(|| suite.run(&programs, threads))).collect();
        runs.into_iter()
            .filter_map(|run| run.join().unwrap_or_else(|_| Err("a suite panicked".to_owned())).err())
            .collect()
    });
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// Compiles `tests/e2e`, once for all hosts, and returns its programs.
fn programs(suite: &Suite) -> Result<Vec<PathBuf>, Failure> {
    let messages = output(
        cargo()
            .args(["test", "--package", "e2e", "--no-run", "--message-format=json-render-diagnostics"])
            .env("ASTERISK_PREFIX", suite.host.root()),
    )?;
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).collect())
}

/// `tests/e2e` on one host.
struct Suite {
    host: Prefix,
    modules: PathBuf,
}

impl Suite {
    fn prepare(host: Prefix) -> Result<Self, Failure> {
        let modules = modules::build(host.version())?;
        Ok(Self { host, modules })
    }

    /// Runs every program to its end, and then says which of them failed.
    fn run(&self, programs: &[PathBuf], threads: usize) -> Result<(), Failure> {
        let failed: Vec<Failure> =
            programs.iter().filter_map(|program| self.run_program(program, threads).err()).collect();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
    }

    /// Passes its lines on with the host in front.
    fn run_program(&self, program: &Path, threads: usize) -> Result<(), Failure> {
        let failed = |error| format!("{} could not be run: {error}", program.display());
        let mut child = Command::new(program)
            .arg(format!("--test-threads={threads}"))
            .env("ASTERISK_PREFIX", self.host.root())
            .env("MODULES_DIR", &self.modules)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let lines = child.stdout.take().map(|output| BufReader::new(output).lines());
        for line in lines.into_iter().flatten().map_while(Result::ok).filter(|line| !line.is_empty()) {
            println!("{}: {line}", self.host.version());
        }
        let status = child.wait().map_err(failed)?;
        let name = program.file_stem().unwrap_or_default().display();
        if status.success() { Ok(()) } else { Err(format!("{}: `{name}` failed: {status}", self.host.version())) }
    }
}
