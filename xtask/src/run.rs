//! Runs other programs, with error messages that name them.

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::ending;
use serde_json::Value;

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

/// Runs `command` as [`run`] does, and ends it and fails once the end is `asked` for.
pub fn run_unless(asked: &AtomicBool, command: &mut Command) -> Result<(), Failure> {
    let status = command.spawn().and_then(|child| wait_unless(asked, child));
    ending::unless(asked).map_err(|failure| failure.to_string())?;
    check(command, status.as_ref())
}

fn wait_unless(asked: &AtomicBool, mut child: Child) -> io::Result<ExitStatus> {
    let mut killed_at = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        match killed_at {
            // A child that was not waited for keeps its id.
            None if asked.load(Ordering::Relaxed) => {
                // Without a `kill` it is killed later.
                let _ = Command::new("kill").arg(child.id().to_string()).status();
                killed_at = Some(Instant::now() + TO_END);
            }
            Some(at) if Instant::now() >= at => child.kill()?,
            _ => {}
        }
        thread::sleep(LOOK);
    }
}

/// The interval between two looks at a child.
const LOOK: Duration = Duration::from_millis(100);

/// How long a child may take to end when it is told to, before it is killed.
const TO_END: Duration = Duration::from_secs(5);

/// Runs `command` and returns its output; fails if it fails.
pub fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command.stderr(Stdio::inherit()).output();
    check(command, output.as_ref().map(|output| &output.status))?;
    Ok(output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default())
}

/// Runs `build`, a cargo that compiles, and returns its messages: a JSON object for each artifact and build script. Compiler
/// errors and warnings are printed.
pub fn compiler_messages(build: &mut Command) -> Result<Vec<Value>, Failure> {
    let messages = output(build.arg("--message-format=json-render-diagnostics"))?;
    Ok(messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Returns the number of cores.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Calls `work` for each of `items`, on `threads` threads. A failure does not stop the others; all failures are returned
/// together.
pub fn at_once<T: Sync>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let taken = std::iter::from_fn(|| items.get(next.fetch_add(1, Ordering::Relaxed)));
        all_or_what_failed(taken.map(&work))
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|_| Err("A worker panicked.".to_owned()))
        };
        all_or_what_failed(workers.into_iter().map(join))
    })
}

/// Returns success when all `outcomes` are successes, and otherwise all the failures, one per line.
pub fn all_or_what_failed(outcomes: impl IntoIterator<Item = Result<(), Failure>>) -> Result<(), Failure> {
    let failures: Vec<Failure> = outcomes.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Cargo's target directory. A relative path counts from the root of the workspace, where cargo runs.
pub fn target_directory() -> PathBuf {
    workspace().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_ends_when_the_end_is_asked_for_and_not_before() {
        let asked = AtomicBool::new(false);
        assert_eq!(run_unless(&asked, Command::new("sh").args(["-c", "sleep 0.3"])), Ok(()));
        assert!(run_unless(&asked, Command::new("sh").args(["-c", "exit 3"])).is_err());
        let id = std::env::temp_dir().join(format!("xtask-child-{}", std::process::id()));
        for (before, least) in [("", Duration::ZERO), ("trap '' TERM; ", TO_END)] {
            let mut child = Command::new("sh");
            child.args(["-c", &format!("{before}echo $$ > '{}'; exec sleep 60", id.display())]);
            let told = || std::fs::read_to_string(&id).ok().filter(|id| id.ends_with('\n'));
            let began = Instant::now();
            let outcome = thread::scope(|scope| {
                scope.spawn(|| {
                    while told().is_none() && began.elapsed() < Duration::from_secs(50) {
                        thread::sleep(LOOK);
                    }
                    asked.store(true, Ordering::Relaxed);
                });
                run_unless(&asked, &mut child)
            });
            assert_eq!(outcome, Err(ending::ENDED.to_owned()), "{before}");
            assert!(began.elapsed() >= least, "{before} {:?}", began.elapsed());
            assert!(!Path::new("/proc").join(told().unwrap().trim()).exists(), "{before}");
            asked.store(false, Ordering::Relaxed);
            std::fs::remove_file(&id).unwrap();
        }
    }

    #[test]
    fn every_item_is_worked_on_and_every_failure_is_told() {
        let items: Vec<u32> = (0..20).collect();
        let worked = AtomicUsize::new(0);
        let outcome = at_once(2, &items, |item| {
            worked.fetch_add(1, Ordering::Relaxed);
            if item % 8 == 7 { Err(format!("{item} failed")) } else { Ok(()) }
        });
        assert_eq!(worked.into_inner(), 20);
        let failure = outcome.unwrap_err();
        assert!(
            failure.contains("7 failed") && failure.contains("15 failed") && failure.lines().count() == 2,
            "{failure}"
        );
        assert_eq!(at_once(2, &items, |_| Ok(())), Ok(()));
    }
}
