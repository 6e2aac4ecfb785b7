//! `cargo xtask test`: runs all tests that this machine can run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use e2e::page;
use e2e::prefix::{Prefix, Version};

use crate::Failure;
use crate::debian;
use crate::host;
use crate::modules;
use crate::packages;
use crate::peers;
use crate::repeat::{self, Failed};
use crate::run::{cargo, compiler_messages, run, we_are_root, workspace};
use crate::suite::Suite;
use crate::without_calls;

/// Runs the unit tests of all crates, the tests of the built modules in a small host, and those with real browsers and
/// real Asterisks: Debian's 16 and 22, and the 11 that `ASTERISK_PREFIX` may name.
pub fn all() -> Result<(), Failure> {
    packages::ensure(&[packages::TO_BUILD, packages::TO_TEST])?;
    modules::build(Version::Eleven)?;
    let as_root = may_do_what_root_does();
    if as_root {
        packages::ensure(&[packages::TO_ROUTE])?;
    } else {
        println!(
            "The tests that need root, calls through NAT among them, are not run: this user may not create namespaces."
        );
    }

    let hosts = hosts()?;
    if hosts.iter().any(|host| host.version() == Version::Eleven) { peers::install_all() } else { peers::install() }?;
    without_calls::all(as_root)?;

    install_libraries(&drivers())?;
    install_libraries(&page::sources())?;
    debian::kamailio()?;
    let suites = hosts.into_iter().map(|host| Suite::prepare(host, as_root)).collect::<Result<Vec<_>, _>>()?;
    let (alone, calls): (Vec<_>, Vec<_>) = programs()?.into_iter().partition(|program| wants_the_machine(program));
    let mut failed = side_by_side(&suites, &calls)?;
    failed.extend(suites.iter().flat_map(|suite| suite.run(&alone)));
    repeat::alone(&failed)
}

/// Arguments that make a test program run its tests that need root, and no others. Those tests are ignored and are in a module
/// named `as_root`. Ignored tests outside of such a module take too long, or need something that nothing installs.
pub const ONLY_AS_ROOT: [&str; 2] = ["--ignored", "as_root::"];

/// Whether this process may mount, become another user, and create a network namespace with interfaces and a firewall. Root in a
/// container often may not.
pub fn may_do_what_root_does() -> bool {
    let mut unshare = Command::new("unshare");
    let probe = "ip link add type veth && nft add table inet probe";
    let outcome = unshare.args(["--mount", "--pid", "--net", "--fork", "sh", "-c", probe]).output();
    we_are_root() && outcome.is_ok_and(|outcome| outcome.status.success())
}

/// The directory of the programs that drive browsers.
pub fn drivers() -> PathBuf {
    workspace().join("tests/e2e/browser")
}

/// Installs the libraries of the lock file in this directory, unless they are installed: npm needs the network and
/// first empties `node_modules`, which another process may be using.
pub fn install_libraries(directory: &Path) -> Result<(), Failure> {
    if has_libraries(directory) {
        return Ok(());
    }
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(directory))
}

/// Whether npm has installed everything: it writes the list at the end.
fn has_libraries(directory: &Path) -> bool {
    let written = |file: &str| fs::metadata(directory.join(file)).and_then(|file| file.modified()).ok();
    written("node_modules/.package-lock.json") > written("package-lock.json")
}

fn hosts() -> Result<Vec<Prefix>, Failure> {
    let eleven = host::installed()?.filter(|prefix| prefix.version() == Version::Eleven);
    let debian = [Version::Sixteen, Version::TwentyTwo].map(host::of);
    eleven.map(Ok).into_iter().chain(debian).collect()
}

/// Runs the suites of all hosts at once. Returns what failed.
fn side_by_side<'a>(suites: &'a [Suite], programs: &[PathBuf]) -> Result<Vec<Failed<'a>>, Failure> {
    thread::scope(|scope| {
        let runs: Vec<_> = suites.iter().map(|suite| scope.spawn(|| suite.run(programs))).collect();
        let outcomes = runs.into_iter().map(|run| run.join().map_err(|_| "A test suite panicked.".to_owned()));
        outcomes.collect::<Result<Vec<_>, _>>().map(|failed| failed.into_iter().flatten().collect())
    })
}

/// Whether the program must run alone: `websocket` measures the latency of 50 clients and `restarts` gaps in audio, which others
/// would distort, and the floods of `strangers` would distort what others measure.
fn wants_the_machine(program: &Path) -> bool {
    ["websocket", "restarts", "strangers"].iter().any(|name| is_called(program, name))
}

/// Whether the program is that of test `name`; cargo appends a hash to the name.
pub fn is_called(program: &Path, name: &str) -> bool {
    let stem = program.file_stem().unwrap_or_default().to_string_lossy();
    stem.rsplit_once('-').is_some_and(|(program, _)| program == name)
}

/// Compiles `tests/e2e` once for all hosts and returns the test programs.
fn programs() -> Result<Vec<PathBuf>, Failure> {
    let mut build = cargo();
    build.args(["test", "--package", "e2e", "--no-run"]);
    // The tests read the actual prefix when they run; that the variable is set decides whether they are ignored.
    build.env("ASTERISK_PREFIX", "named later");
    let messages = compiler_messages(&mut build)?;
    Ok(messages.iter().filter_map(|message| message["executable"].as_str().map(PathBuf::from)).collect())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn libraries_are_there_until_the_lock_file_changes() {
        let directory = std::env::temp_dir().join(format!("xtask-libraries-{}", std::process::id()));
        fs::create_dir_all(directory.join("node_modules")).unwrap();
        let write = |file: &str, age: u64| {
            let file = fs::File::create(directory.join(file)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        };
        write("package-lock.json", 20);
        assert!(!has_libraries(&directory), "none");
        write("node_modules/.package-lock.json", 10);
        assert!(has_libraries(&directory));
        write("package-lock.json", 0);
        assert!(!has_libraries(&directory), "others");
        fs::remove_dir_all(directory).unwrap();
    }
}
