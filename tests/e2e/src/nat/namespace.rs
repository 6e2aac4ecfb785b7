//! A network namespace: interfaces, addresses, routes and a firewall of its own.
//!
//! It has no name. A process in it keeps it alive, and ends with the test, however that ends; the kernel then removes the
//! namespace with its interfaces.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use crate::failure::{Failure, Result, ensure};

/// A network namespace, removed on drop.
#[derive(Debug)]
pub struct Namespace {
    /// Ends at the end of its input.
    keeper: Child,
}

impl Namespace {
    /// Creates a namespace with a loopback interface that is up, and with forwarding between its interfaces.
    pub fn create() -> Result<Self> {
        let mut keeper = Command::new("unshare");
        keeper.args(["--net", "sh", "-c", "echo; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.spawn()?;
        // `sh` runs inside.
        let mut line = [0; 1];
        let output = keeper.stdout.as_mut().ok_or_else(|| Failure::new("unshare has no output"))?;
        output.read_exact(&mut line).map_err(|_| Failure::new("unshare --net: this user may not create namespaces"))?;
        let namespace = Self { keeper };
        namespace.ip("link set lo up\n")?;
        namespace.set("ipv4/ip_forward", "1")?;
        namespace.set("ipv6/conf/all/forwarding", "1")?;
        Ok(namespace)
    }

    /// `command`, to run inside.
    pub fn enter(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net=/proc/{}/ns/net", self.keeper.id())).arg(command.get_program());
        inside.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            inside.current_dir(directory);
        }
        inside
    }

    /// Connects two namespaces by a cable: an interface in each, with these names.
    pub fn connect(ends: [(&Self, &str); 2]) -> Result {
        let [(one, its), (other, others)] = ends;
        let [one, other] = [one, other].map(|namespace| namespace.keeper.id().to_string());
        let mut link = Command::new("ip");
        link.args(["link", "add", its, "netns", &one, "type", "veth", "peer", "name", others, "netns", &other]);
        let output = link.output()?;
        ensure(output.status.success(), || format!("ip link: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Runs lines of `ip`.
    pub fn ip(&self, lines: &str) -> Result {
        self.feed(Command::new("ip").args(["-batch", "-"]), lines)
    }

    /// Replaces all rules of nftables by these.
    pub fn filter(&self, rules: &str) -> Result {
        self.feed(Command::new("nft").args(["-f", "-"]), &format!("flush ruleset\n{rules}"))
    }

    /// Adds rules to nftables, or removes some.
    pub fn add_rules(&self, rules: &str) -> Result {
        self.feed(Command::new("nft").args(["-f", "-"]), rules)
    }

    /// Sets a kernel parameter below `/proc/sys/net`.
    pub fn set(&self, parameter: &str, value: &str) -> Result {
        let script = format!("cat > /proc/sys/net/{parameter}");
        self.feed(Command::new("sh").args(["-c", &script]), value)
    }

    /// Runs a command inside that reads `input`, and fails if it fails.
    fn feed(&self, command: &mut Command, input: &str) -> Result {
        let mut inside = self.enter(command);
        let mut child = inside.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        // Closes the pipe at the end of the statement. A program that refuses its first line reads no further.
        let written = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output()?;
        let holds = output.status.success() && written.is_some_and(|written| written.is_ok());
        let program = command.get_program().display();
        ensure(holds, || format!("{program}: {}in\n{input}", String::from_utf8_lossy(&output.stderr)))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
