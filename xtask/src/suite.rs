//! Runs the programs of `tests/e2e` on one host.

use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use e2e::prefix::{Prefix, Version};

use crate::Failure;
use crate::modules;
use crate::repeat::Failed;
use crate::run::{output, target_directory};
use crate::test::{ONLY_AS_ROOT, is_called};

/// Returns how many tests of a program run at once on each host. Calls mostly wait: on two cores, the suites of two hosts at once
/// still leave enough time for the timing of calls to be meaningful. Where the tests themselves wait for minutes, more fit in.
fn at_a_time(program: &Path) -> usize {
    if MOSTLY_WAIT.iter().any(|name| is_called(program, name)) { 4 } else { 2 }
}

/// The programs in which most tests wait: for a browser to ring or to die, for a timer of the host.
const MOSTLY_WAIT: [&str; 3] = ["calls", "gone", "plain"];

/// The programs that need a feature which not all hosts have, the hosts that have it, and the message for others.
const NOT_EVERYWHERE: &[(&str, RangeInclusive<Version>, &str)] = &[
    ("baresip", Version::Eleven..=Version::Sixteen, "its phone's account is not encrypted"),
    ("cameras", Version::Eleven..=Version::Eleven, NOT_TRANSLATED),
    ("candidates", Version::Eleven..=Version::Eleven, NOT_TRANSLATED),
    ("captures", Version::Eleven..=Version::Sixteen, "its phone's account is not encrypted"),
    ("carriers", Version::Eleven..=Version::Eleven, NOT_TRANSLATED),
    ("clients", Version::Eleven..=Version::Eleven, NOT_TRANSLATED),
    ("defaults", Version::Eleven..=Version::Eleven, NOT_TRANSLATED),
    ("directions", Version::Eleven..=Version::Eleven, NOT_TRANSLATED),
    ("ari", Version::Sixteen..=Version::TwentyTwo, "it has no ARI"),
    ("contacts", Version::Eleven..=Version::Eleven, "its traffic with clients is its own"),
    ("demo", Version::Eleven..=Version::Sixteen, IN_A_FLEET),
    ("differential", Version::Eleven..=Version::Sixteen, "it has no chan_sip"),
    ("gone", Version::Eleven..=Version::Sixteen, "it has no chan_sip"),
    ("groups", Version::Eleven..=Version::Eleven, NOT_TRANSLATED),
    ("fleet", Version::Eleven..=Version::Sixteen, IN_A_FLEET),
    ("fleet_edges", Version::Eleven..=Version::Sixteen, IN_A_FLEET),
    ("fleet_faults", Version::Eleven..=Version::Sixteen, IN_A_FLEET),
    ("fleet_load", Version::Eleven..=Version::Sixteen, IN_A_FLEET),
    ("interop", Version::TwentyTwo..=Version::TwentyTwo, "its descriptions lack a=mid; peers tests 11"),
    ("linphone", Version::Eleven..=Version::Eleven, "it does not tell a hold from an end"),
    ("lossy", Version::Eleven..=Version::Eleven, NOT_TRANSLATED),
    ("operator", Version::Eleven..=Version::Sixteen, "its console has other columns"),
    ("opus", Version::Sixteen..=Version::TwentyTwo, "it does not support Opus"),
    ("originals_as_peers", Version::Eleven..=Version::Sixteen, "its phone's account is not encrypted"),
    ("page_camera", Version::Eleven..=Version::Eleven, "its SIP has other formats of video"),
    ("page_report", Version::Eleven..=Version::Eleven, "its calls are not told"),
    ("page_silence", Version::Eleven..=Version::Eleven, "its SIP need not answer keepalives"),
    ("paths", Version::TwentyTwo..=Version::TwentyTwo, "11 has restarts and strangers; restarts on 16 are slow"),
    ("peers", Version::Eleven..=Version::Eleven, "its descriptions are not mended"),
    ("phones", Version::Eleven..=Version::Sixteen, "it has no chan_sip"),
    ("picture_phones", Version::Eleven..=Version::Eleven, "its chan_sip refuses the video of guests"),
    ("restarts", Version::Eleven..=Version::Eleven, NOT_TRANSLATED),
    ("servers", Version::Eleven..=Version::Eleven, "its answers are not timed"),
    ("strangers", Version::Eleven..=Version::Eleven, "its log has more lines"),
    ("transcoded", Version::Eleven..=Version::Eleven, "it knows Opus"),
    ("text", Version::Eleven..=Version::Sixteen, "its SIP has no text"),
    ("verdicts", Version::Eleven..=Version::Eleven, "its descriptions are not told"),
    ("verdicts_of_endpoints", Version::TwentyTwo..=Version::TwentyTwo, "its accounts are in sip.conf"),
    ("verdicts_of_networks", Version::Eleven..=Version::Eleven, "its descriptions are not told"),
    ("video", Version::TwentyTwo..=Version::TwentyTwo, "its SIP does not support bundles"),
];

/// The nodes of `contrib/kamailio` have `chan_sip`.
const IN_A_FLEET: &str = "it has no chan_sip, as the nodes of a fleet of 11 have";

/// SIP between browsers and `chan_sip` is changed for Asterisk 11 alone.
const NOT_TRANSLATED: &str = "its SIP is passed on as it is";

/// Why `program` has nothing to test on a host; `None` if it has.
fn nothing_for(program: &Path, host: Version) -> Option<&'static str> {
    let wanting = NOT_EVERYWHERE.iter().find(|(name, ..)| is_called(program, name));
    wanting.filter(|(_, hosts, _)| !hosts.contains(&host)).map(|(.., why)| *why)
}

/// Why the proxy tests cannot run; `None` if they can. Debian's hosts come with proxies.
fn no_proxies_for(program: &Path, host: &Prefix) -> Option<&'static str> {
    (is_called(program, "proxies") && !host.has_proxies()).then_some("nginx and HAProxy are missing")
}

/// The tests of `tests/e2e` on one host.
pub struct Suite {
    host: Prefix,
    modules: PathBuf,
    /// Whether tests that need root are run.
    as_root: bool,
}

impl Suite {
    pub fn prepare(host: Prefix, as_root: bool) -> Result<Self, Failure> {
        let modules = modules::build(host.version())?;
        Ok(Self { host, modules, as_root })
    }

    /// Runs every program, even if another fails. Returns those that failed.
    pub fn run(&self, programs: &[PathBuf]) -> Vec<Failed<'_>> {
        programs.iter().flat_map(|program| self.run_all_of(program)).collect()
    }

    fn run_all_of(&self, program: &Path) -> Vec<Failed<'_>> {
        let host = &self.host;
        match nothing_for(program, host.version()).or_else(|| no_proxies_for(program, host)) {
            Some(why) => {
                println!("{}: {} is skipped: {why}", host.version(), program.file_stem().unwrap_or_default().display());
                Vec::new()
            }
            None => [self.run_program(program, &[]), self.run_as_root(program)].into_iter().flatten().collect(),
        }
    }

    /// Runs the tests of a program that need root, if it has any and this process may run them.
    fn run_as_root(&self, program: &Path) -> Option<Failed<'_>> {
        if !self.as_root {
            return None;
        }
        match output(Command::new(program).arg("--list").args(ONLY_AS_ROOT)) {
            Ok(tests) if tests.contains(": test") => self.run_program(program, &ONLY_AS_ROOT),
            Ok(_) => None,
            Err(why) => Some(Failed::to_run(why)),
        }
    }

    fn run_program(&self, program: &Path, arguments: &[&str]) -> Option<Failed<'_>> {
        let mut command = Command::new(program);
        command.arg(format!("--test-threads={}", at_a_time(program))).args(arguments);
        let (told, why) = self.run_command(&mut command).err()?;
        let program = program.to_owned();
        Some(Failed::new(&told, why, move |test| self.run_alone(&program, test)))
    }

    /// Runs one test of a program, with a directory of its own, so that what it left when it failed can be looked at.
    fn run_alone(&self, program: &Path, test: &str) -> Result<(), Failure> {
        let directory = target_directory().join("e2e-alone");
        let mut command = Command::new(program);
        command.args(["--include-ignored", "--exact", test]).env("E2E_DIR", directory);
        self.run_command(&mut command).map_err(|(_, why)| why)
    }

    /// Runs a program and prints its output with the host in front of each line. If it fails, returns its output and why.
    fn run_command(&self, command: &mut Command) -> Result<(), (Vec<String>, Failure)> {
        let version = self.host.version();
        let name = Path::new(command.get_program()).file_stem().unwrap_or_default().display().to_string();
        let arguments: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        let failed = |why: &dyn Display| format!("{version}: {name} failed: {why}");
        let began = Instant::now();
        let mut child = command
            .env("ASTERISK_PREFIX", self.host.root())
            .env("MODULES_DIR", &self.modules)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| (Vec::new(), failed(&error)))?;
        let lines = child.stdout.take().map(|output| BufReader::new(output).lines());
        let told: Vec<_> = lines
            .into_iter()
            .flatten()
            .map_while(Result::ok)
            .filter(|line| !line.is_empty())
            .inspect(|line| println!("{version}: {line}"))
            .collect();
        let status = child.wait();
        println!("{version}: {name} {}: {} s", arguments.join(" "), began.elapsed().as_secs());
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err((told, failed(&status))),
            Err(error) => Err((told, failed(&error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_of_missing_features_are_skipped() {
        let runs = |program: &str, host| nothing_for(Path::new(program), host).is_none();
        let on = |program: &str| Version::ALL.map(|host| runs(program, host));
        assert_eq!(on("deps/websocket-0123456789abcdef"), [true, true, true]);
        assert_eq!(on("deps/ari-0123456789abcdef"), [false, true, true]);
        assert_eq!(on("deps/contacts-0123456789abcdef"), [true, false, false]);
        assert_eq!(on("deps/gone-0123456789abcdef"), [true, true, false]);
        assert_eq!(on("deps/peers-0123456789abcdef"), [true, false, false]);
        assert_eq!(on("deps/video-0123456789abcdef"), [false, false, true]);
        assert_eq!(on("deps/clients-0123456789abcdef"), [true, false, false]);
        assert_eq!(on("deps/video_cost-0123456789abcdef"), [true, true, true]);
    }
}
