//! Kamailio with the configuration of `contrib/kamailio`, in front of the nodes of a test.

use std::env::consts::ARCH;
use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::callers::{DOMAIN, password};
use crate::failure::{Failure, Result, ensure};
use crate::lab::Lab;
use crate::nat::Namespace;
use crate::ports::Ports;
use crate::prefix;
use crate::process;

/// The directory into which xtask unpacks Debian's packages of Kamailio.
const UNPACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/debian/kamailio");

/// The configuration that users install.
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contrib/kamailio");

/// The longest time to wait for the start.
const START: Duration = Duration::from_secs(20);

/// Seconds between two probes of a node.
const PROBE: u64 = 1;

/// The settings that differ between tests.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The number of users, whose names begin with 1001.
    pub users: u32,
    /// The address that browsers connect to.
    pub address: IpAddr,
    /// Adds an address with TLS, with the certificate of the first node.
    pub tls: bool,
    /// More lines for `site.cfg`.
    pub site: String,
    /// The most calls of a node, if not those of the sample.
    pub maxload: Option<u32>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { users: 20, address: Ipv4Addr::LOCALHOST.into(), tls: false, site: String::new(), maxload: None }
    }
}

/// A Kamailio in its own directory, ended on drop.
#[derive(Debug)]
pub struct Kamailio {
    child: Child,
    directory: PathBuf,
    ports: Ports,
    plan: Plan,
}

impl Kamailio {
    /// Prepares `directory` for a Kamailio, and starts it in front of `nodes`, in their network namespace if they have one. The UDP
    /// port that nodes call is `ports.sip`.
    pub fn start(
        directory: &Path,
        ports: Ports,
        nodes: &[&Lab; 2],
        plan: &Plan,
        namespace: Option<&Namespace>,
    ) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let directory = directory.canonicalize()?;
        fs::copy(Path::new(SAMPLES).join("kamailio.cfg"), directory.join("kamailio.cfg"))?;
        fs::write(directory.join("site.cfg"), site(&directory, &ports, plan))?;
        fs::write(directory.join("tls.cfg"), tls(nodes))?;
        fs::write(directory.join("dispatcher.list"), list(nodes, plan)?)?;
        make_database(&directory, plan.users)?;
        let child = run(&directory, plan, namespace)?;
        let mut kamailio = Self { child, directory, ports, plan: plan.clone() };
        kamailio.wait_until_it_probes()?;
        Ok(kamailio)
    }

    /// The URL at which browsers register.
    pub fn server(&self) -> String {
        format!("ws://localhost:{}/", self.ports.ws)
    }

    /// The URL over TLS, if the plan has it.
    pub fn tls_server(&self) -> String {
        format!("wss://localhost:{}/", self.ports.wss)
    }

    /// The port of [`Kamailio::server`].
    pub fn port(&self) -> u16 {
        self.ports.ws
    }

    /// The file of users and registrations.
    pub fn database(&self) -> PathBuf {
        self.directory.join("kamailio.sqlite")
    }

    /// The processor time of all its processes.
    pub fn cpu(&self) -> Result<Duration> {
        let mut sum = Duration::ZERO;
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // SAFETY: asks for the group of a process, which may have ended.
            let group = unsafe { libc::getpgid(pid as libc::pid_t) };
            if u32::try_from(group) == Ok(self.child.id()) {
                sum += process::cpu(pid)?;
            }
        }
        Ok(sum)
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
            let registered = self.registered()?;
            if registered == count {
                return Ok(());
            }
            ensure(Instant::now() < end, || format!("{registered} browsers are registered, not {count}"))?;
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The number of users who are registered.
    fn registered(&self) -> Result<usize> {
        let dump = self.ask(&["ul.dump"])?;
        if !dump.starts_with("error") {
            return Ok(dump.matches("AoR:").count());
        }
        // The list of thousands is too long for the console.
        let statistics = self.ask(&["stats.get_statistics", "registered_users"])?;
        let number = statistics.trim().rsplit("= ").next().and_then(|number| number.parse().ok());
        number.ok_or_else(|| Failure::new(format!("Kamailio does not tell who is registered: {statistics}")))
    }

    /// Ends all its processes without a word.
    pub fn kill(&mut self) -> Result {
        let group = -(self.child.id() as libc::pid_t);
        // SAFETY: `run` has made the group, whose leader has not been waited for.
        ensure(unsafe { libc::kill(group, libc::SIGKILL) } == 0, || "Kamailio could not be killed".to_owned())?;
        Ok(self.child.wait().map(drop)?)
    }

    /// Starts it again with what is left in its database, where the test itself is.
    pub fn start_again(&mut self) -> Result {
        self.child = run(&self.directory, &self.plan, None)?;
        self.wait_until_it_probes()
    }

    /// Waits until both nodes have answered.
    fn wait_until_it_probes(&mut self) -> Result {
        let end = Instant::now() + START;
        loop {
            let is_running = matches!(self.child.try_wait(), Ok(None));
            let list = self.ask(&["dispatcher.list"]).unwrap_or_default();
            if list.matches("FLAGS: AP").count() == 2 {
                return Ok(());
            }
            ensure(is_running && Instant::now() < end, || {
                format!("Kamailio does not see both nodes: {list}\n{}", self.directory.display())
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

fn run(directory: &Path, plan: &Plan, namespace: Option<&Namespace>) -> Result<Child> {
    let root = unpacked()?;
    let mut server = prefix::command(&root, &root.join("usr/sbin/kamailio"));
    server.arg("-L").arg(root.join(format!("usr/lib/{ARCH}-linux-gnu/kamailio/modules")));
    server.arg("-f").arg(directory.join("kamailio.cfg")).arg("-Y").arg(directory).arg("-w").arg(directory);
    // A connection has 130 KiB of the shared memory, whose size is in MiB.
    server.args(["-DD", "-E", "-m", &(64 + plan.users / 6).to_string(), "-M", "8"]);
    if let Some(namespace) = namespace {
        server = namespace.enter(&server);
    }
    let log = File::options().create(true).append(true).open(directory.join("log"))?;
    server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(server.process_group(0).spawn()?)
}

/// `site.cfg`.
fn site(directory: &Path, ports: &Ports, plan: &Plan) -> String {
    let (directory, address) = (directory.display(), plan.address);
    let tls = format!(
        "#!define WITH_TLS\n#!define TLS_CONFIG \"{directory}/tls.cfg\"\n#!substdef \"!WSS_ADDRESS!tls:{address}:{}!g\"\n",
        ports.wss
    );
    let tls = if plan.tls { tls.as_str() } else { "" };
    format!(
        "#!define REALM \"localhost\"\n\
         #!substdef \"!INSIDE_ADDRESS!udp:127.0.0.1:{}!g\"\n#!substdef \"!WS_ADDRESS!tcp:{address}:{}!g\"\n\
         #!substdef \"!DATABASE_FILE!{directory}/kamailio.sqlite!g\"\n#!define NODES \"{directory}/dispatcher.list\"\n\
         #!define CONTROL \"{}\"\n#!define PROBE {PROBE}\n{tls}{}",
        ports.sip,
        ports.ws,
        control(Path::new(&directory.to_string())),
        plan.site
    )
}

/// `tls.cfg`.
fn tls(nodes: &[&Lab]) -> String {
    let keys = nodes.first().map(|node| node.asterisk().home().etc().join("keys")).unwrap_or_default();
    let keys = keys.display();
    format!(
        "[server:default]\nmethod = TLSv1.2+\nprivate_key = {keys}/asterisk.key\ncertificate = {keys}/asterisk.pem\n"
    )
}

/// The socket of its console.
fn control(directory: &Path) -> String {
    format!("unix:{}", directory.join("control").display())
}

/// The sample of `dispatcher.list` with the addresses of the nodes.
fn list(nodes: &[&Lab; 2], plan: &Plan) -> Result<String> {
    let address = |node: &Lab| format!("sip:127.0.0.1:{} ", node.ports().sip);
    let mut replaced = vec![("sip:127.0.0.1:5160 ", address(nodes[0])), ("sip:127.0.0.1:5260 ", address(nodes[1]))];
    replaced.extend(plan.maxload.map(|most| (";maxload=170\n", format!(";maxload={most}\n"))));
    let sample = fs::read_to_string(Path::new(SAMPLES).join("dispatcher.list"))?;
    replaced.iter().try_fold(sample, |text, (old, new)| {
        ensure(text.contains(old), || format!("contrib/kamailio/dispatcher.list has no {old:?}"))?;
        Ok(text.replace(old, new))
    })
}

/// Makes the database as README.md says, with the password `demo-<user>` for each user.
fn make_database(directory: &Path, users: u32) -> Result {
    let root = unpacked()?;
    let mut statements = "PRAGMA journal_mode=WAL;\n".to_owned();
    for part in ["standard", "usrloc", "auth_db"] {
        statements += &fs::read_to_string(root.join(format!("usr/share/kamailio/db_sqlite/{part}-create.sql")))?;
    }
    statements += "BEGIN;\n";
    for user in 1001..1001 + users {
        let ha1 = md5::compute(format!("{user}:{DOMAIN}:{}", password(user)));
        statements +=
            &format!("INSERT INTO subscriber (username, domain, ha1) VALUES ('{user}', '{DOMAIN}', '{ha1:x}');\n");
    }
    statements += "COMMIT;\n";
    let file = directory.join("kamailio.sqlite");
    let mut program = prefix::command(&root, &root.join("usr/bin/sqlite3"));
    let mut program = program.arg(&file).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    if let Some(mut input) = program.stdin.take() {
        io::Write::write_all(&mut input, statements.as_bytes())?;
    }
    let status = program.wait()?;
    ensure(status.success(), || format!("{} could not be made: {status}", file.display()))
}
