//! The share of a server's time that its media modules use, by sampling (perf(1)).

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::failure::{Failure, Result, ensure};

/// The modules of media, and the libraries that those of the original may be linked with for SRTP. Functions of the C library are
/// nobody's.
const MODULES: [&str; 9] = [
    "/res_rtp_asterisk.so",
    "/res_srtp.so",
    "/libsrtp",
    "/libcrypto",
    "/libsoftokn",
    "/libfreebl",
    "/libnss3",
    "/libnssutil",
    "/libnspr",
];

/// Functions of the kernel for the system calls that the core makes none of while calls are up: sockets, and the worker's waiting.
const SYSTEM_CALLS: [&str; 8] = [
    "__sys_sendmsg",
    "__sys_recvmsg",
    "__sys_sendto",
    "__sys_recvfrom",
    "__sys_sendmmsg",
    "__sys_recvmmsg",
    "do_epoll_wait",
    "ep_poll",
];

/// Samples per second.
const RATE: &str = "1997";

/// Samples a process that runs for this long from now on. [`Sampling::finish`] has the outcome.
pub struct Sampling {
    child: std::process::Child,
    file: std::path::PathBuf,
}

impl Sampling {
    /// Begins; `directory` receives the samples.
    pub fn start(pid: u32, length: Duration, directory: &Path) -> Result<Self> {
        let file = directory.join("perf.data");
        let mut perf = Command::new("perf");
        perf.args(["record", "--quiet", "-g", "-F", RATE, "-p", &pid.to_string(), "-o"]).arg(&file);
        perf.args(["--", "sleep", &length.as_secs_f64().to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let child = perf.spawn().map_err(|error| Failure::new(format!("perf could not be started: {error}")))?;
        Ok(Self { child, file })
    }

    /// The share of the modules and of their system calls.
    pub fn finish(mut self) -> Result<f64> {
        self.child.wait()?;
        let output = Command::new("perf").args(["script", "-F", "ip,sym,dso", "-i"]).arg(&self.file).output()?;
        let [own, all] = count(&String::from_utf8_lossy(&output.stdout));
        ensure(all > 0, || "perf has taken no samples".to_owned())?;
        Ok(own as f64 / all as f64)
    }
}

/// The samples that are the modules' own, and all. A sample is a stack, its leaf first; an empty line ends it.
fn count(script: &str) -> [usize; 2] {
    let stacks = script.split("\n\n").filter(|stack| !stack.trim().is_empty());
    stacks.fold([0, 0], |[own, all], stack| [own + usize::from(is_own(stack)), all + 1])
}

fn is_own(stack: &str) -> bool {
    let leaf = stack.trim_start().lines().next().unwrap_or_default();
    let calls = |line: &str| line.split_whitespace().nth(1).is_some_and(|name| SYSTEM_CALLS.contains(&name));
    MODULES.iter().any(|module| leaf.contains(module)) || stack.lines().any(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_their_system_calls_count() {
        let script = "\n    7f00 srtp_protect (/m/res_srtp.so)\n    7f01 [unknown] (/sbin/asterisk)\n\n\
                      ffff01 udp_sendmsg ([kernel.kallsyms])\n ffff02 __sys_sendmsg ([kernel.kallsyms])\n 7f02 x (/libc.so.6)\n\n\
                      ffff03 schedule ([kernel.kallsyms])\n ffff04 do_sys_poll ([kernel.kallsyms])\n\n\
                      7f03 ast_read (/sbin/asterisk)\n 7f04 read (/m/res_rtp_asterisk.so)\n\n";
        assert_eq!(count(script), [2, 4]);
    }
}
