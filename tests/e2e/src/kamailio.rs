//! Kamailio with the configuration of `contrib/kamailio`, in front of the nodes of a test.

use std::env::consts::ARCH;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result, ensure};
use crate::lab::Lab;
use crate::ports::Ports;
use crate::prefix;

/// The directory into which xtask unpacks Debian's packages of Kamailio.
const UNPACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/debian/kamailio");

/// The configuration that users install.
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contrib/kamailio");

/// The longest time to wait for the start.
const START: Duration = Duration::from_secs(20);

/// Seconds between two probes of a node.
const PROBE: u64 = 1;

/// A Kamailio in its own directory, ended on drop.
#[derive(Debug)]
pub struct Kamailio {
    child: Child,
    directory: PathBuf,
    ports: Ports,
}

impl Kamailio {
    /// Prepares `directory` for a Kamailio with the users 1001 to `1001 + users`, and starts it in front of `nodes`. The UDP port that
    /// nodes call is `ports.sip`.
    pub fn start(directory: &Path, ports: Ports, nodes: &[&Lab], users: u32) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let directory = directory.canonicalize()?;
        fs::copy(Path::new(SAMPLES).join("kamailio.cfg"), directory.join("kamailio.cfg"))?;
        fs::write(directory.join("site.cfg"), site(&directory, &ports))?;
        fs::write(directory.join("dispatcher.list"), list(nodes))?;
        make_database(&directory, users)?;
        let child = run(&directory)?;
        let mut kamailio = Self { child, directory, ports };
        kamailio.wait_until_it_probes(nodes.len())?;
        Ok(kamailio)
    }

    /// The URL at which browsers register.
    pub fn server(&self) -> String {
        format!("ws://localhost:{}/", self.ports.ws)
    }

    /// Runs a command of its console (kamcmd) and returns the output.
    pub fn ask(&self, command: &[&str]) -> Result<String> {
        let output = self.console()?.args(command).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    }

    /// Its console (kamcmd), which takes a command.
    pub fn console(&self) -> Result<Command> {
        let root = unpacked()?;
        let mut console = prefix::command(&root, &root.join("usr/sbin/kamcmd"));
        console.arg("-s").arg(control(&self.directory));
        Ok(console)
    }

    /// Its process group, whose leader is the first of its processes.
    pub fn group(&self) -> u32 {
        self.child.id()
    }

    /// Whether its first process is running. One that has ended is not waited for, so that its group keeps its number for
    /// [`Self::kill`].
    pub fn is_running(&self) -> bool {
        // SAFETY: it writes to a local.
        let outcome = unsafe {
            let mut information: libc::siginfo_t = std::mem::zeroed();
            let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            match libc::waitid(libc::P_PID, self.child.id(), &raw mut information, options) {
                0 => Some(information.si_pid()),
                _ => None,
            }
        };
        outcome == Some(0)
    }

    /// The log so far.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.directory.join("log"))?).into_owned())
    }

    /// Waits until the log contains `text`.
    pub fn until_logged(&self, text: &str, patience: Duration) -> Result {
        let end = Instant::now() + patience;
        while !self.log()?.contains(text) {
            ensure(Instant::now() < end, || format!("the log lacks {text:?}: {}", self.directory.display()))?;
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Waits until `count` browsers are registered.
    pub fn until_registered(&self, count: usize, patience: Duration) -> Result {
        let end = Instant::now() + patience;
        loop {
            let dump = self.ask(&["ul.dump"])?;
            if dump.matches("AoR:").count() == count {
                return Ok(());
            }
            ensure(Instant::now() < end, || format!("{count} browsers are not registered: {dump}"))?;
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends all its processes without a word.
    pub fn kill(&mut self) -> Result {
        let group = -(self.child.id() as libc::pid_t);
        // SAFETY: `run` has made the group, whose leader has not been waited for.
        ensure(unsafe { libc::kill(group, libc::SIGKILL) } == 0, || "Kamailio could not be killed".to_owned())?;
        Ok(self.child.wait().map(drop)?)
    }

    /// Starts it again, with what is left in its database.
    pub fn start_again(&mut self) -> Result {
        let nodes = fs::read_to_string(self.directory.join("dispatcher.list"))?.lines().count();
        self.child = run(&self.directory)?;
        self.wait_until_it_probes(nodes)
    }

    /// Waits until all nodes have answered.
    fn wait_until_it_probes(&mut self, nodes: usize) -> Result {
        let end = Instant::now() + START;
        loop {
            let is_running = matches!(self.child.try_wait(), Ok(None));
            let list = self.ask(&["dispatcher.list"]).unwrap_or_default();
            if list.matches("FLAGS: AP").count() == nodes {
                return Ok(());
            }
            ensure(is_running && Instant::now() < end, || {
                format!("Kamailio sees no {nodes} nodes: {list}\n{}", self.directory.display())
            })?;
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.kill();
    }
}

/// The directory with Debian's packages.
fn unpacked() -> Result<PathBuf> {
    Path::new(UNPACKED).canonicalize().map_err(|error| Failure::new(format!("{UNPACKED}: {error}")))
}

fn run(directory: &Path) -> Result<Child> {
    let root = unpacked()?;
    let mut server = prefix::command(&root, &root.join("usr/sbin/kamailio"));
    server.arg("-L").arg(root.join(format!("usr/lib/{ARCH}-linux-gnu/kamailio/modules")));
    server.arg("-f").arg(directory.join("kamailio.cfg")).arg("-Y").arg(directory).arg("-w").arg(directory);
    server.args(["-DD", "-E", "-m", "64", "-M", "8"]);
    let log = File::options().create(true).append(true).open(directory.join("log"))?;
    server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(server.process_group(0).spawn()?)
}

/// `site.cfg`.
fn site(directory: &Path, ports: &Ports) -> String {
    let directory = directory.display();
    format!(
        "#!define REALM \"localhost\"\n\
         #!substdef \"!INSIDE_ADDRESS!udp:127.0.0.1:{}!g\"\n#!substdef \"!WS_ADDRESS!tcp:127.0.0.1:{}!g\"\n\
         #!substdef \"!DATABASE_FILE!{directory}/kamailio.sqlite!g\"\n#!define NODES \"{directory}/dispatcher.list\"\n\
         #!define CONTROL \"{}\"\n#!define PROBE {PROBE}\n",
        ports.sip,
        ports.ws,
        control(Path::new(&directory.to_string()))
    )
}

/// The socket of its console.
fn control(directory: &Path) -> String {
    format!("unix:{}", directory.join("control").display())
}

/// `dispatcher.list`.
fn list(nodes: &[&Lab]) -> String {
    let line = |(number, node): (usize, &&Lab)| {
        format!("1 sip:127.0.0.1:{} 0 0 duid=node{number};weight=50\n", node.ports().sip)
    };
    nodes.iter().enumerate().map(line).collect()
}

/// Makes the database as README.md says, with the password `demo-<user>` for each user.
fn make_database(directory: &Path, users: u32) -> Result {
    let root = unpacked()?;
    let mut statements = String::new();
    for part in ["standard", "usrloc", "auth_db"] {
        statements += &fs::read_to_string(root.join(format!("usr/share/kamailio/db_sqlite/{part}-create.sql")))?;
    }
    for user in 1001..1001 + users {
        let ha1 = md5::compute(format!("{user}:localhost:demo-{user}"));
        statements +=
            &format!("INSERT INTO subscriber (username, domain, ha1) VALUES ('{user}', 'localhost', '{ha1:x}');\n");
    }
    let file = directory.join("kamailio.sqlite");
    let mut program = prefix::command(&root, &root.join("usr/bin/sqlite3"));
    let mut program = program.arg(&file).stdin(Stdio::piped()).spawn()?;
    if let Some(mut input) = program.stdin.take() {
        io::Write::write_all(&mut input, statements.as_bytes())?;
    }
    let status = program.wait()?;
    ensure(status.success(), || format!("{} could not be made: {status}", file.display()))
}
