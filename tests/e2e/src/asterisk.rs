//! A running Asterisk in its own directory.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::nat::Namespace;
use crate::prefix::{Prefix, Version};

/// The file names of our modules, which are those of the originals.
pub const OUR_MODULES: [&str; 3] = ["res_http_websocket.so", "res_srtp.so", "res_rtp_asterisk.so"];

/// The file name of our module that replaces none.
const CODEC: &str = "codec_opus_g719.so";

/// The longest time to wait for the start. An idle machine takes a third of a second, a busy one may take this long.
const START: Duration = Duration::from_secs(60);

/// The directory that an Asterisk runs in: configuration, modules, logs, recordings.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Creates an empty home at `root`; removes what an earlier run left there.
    pub fn create(root: &Path) -> io::Result<Self> {
        if root.exists() {
            fs::remove_dir_all(root)?;
        }
        for part in ["etc/keys", "modules", "data/static-http", "run", "log", "spool"] {
            fs::create_dir_all(root.join(part))?;
        }
        let home = Self { root: root.canonicalize()? };
        home.configure("asterisk.conf", &home.asterisk_conf())?;
        home.configure("logger.conf", LOGGER_CONF)?;
        Ok(home)
    }

    /// Fills the modules directory with links: to files in `ours` if they exist, otherwise to the host's. The codec of `ours` comes
    /// to them.
    pub fn link_modules(&self, prefix: &Prefix, ours: &Path) -> io::Result<()> {
        for entry in fs::read_dir(prefix.modules())? {
            let name = entry?.file_name();
            let replaced = OUR_MODULES.iter().any(|module| name == *module) && ours.join(&name).exists();
            let source = if replaced { ours.join(&name) } else { prefix.modules().join(&name) };
            symlink(source.canonicalize()?, self.root.join("modules").join(&name))?;
        }
        if ours.join(CODEC).exists() && !self.root.join("modules").join(CODEC).exists() {
            symlink(ours.join(CODEC).canonicalize()?, self.root.join("modules").join(CODEC))?;
        }
        if let Some(documentation) = prefix.documentation() {
            symlink(documentation.canonicalize()?, self.root.join("data/documentation"))?;
        }
        if let Some(sounds) = prefix.sounds() {
            symlink(sounds.canonicalize()?, self.root.join("data/sounds"))?;
        }
        Ok(())
    }

    /// Writes one configuration file.
    pub fn configure(&self, file: &str, content: &str) -> io::Result<()> {
        fs::write(self.etc().join(file), content)
    }

    /// Gives it a name, `systemname` of `asterisk.conf`.
    pub fn name(&self, name: &str) -> io::Result<()> {
        self.configure("asterisk.conf", &format!("{}[options]\nsystemname = {name}\n", self.asterisk_conf()))
    }

    /// Makes a certificate for localhost and its key, `keys/asterisk.pem` and `keys/asterisk.key`.
    pub fn make_certificate(&self) -> io::Result<()> {
        let keys = self.etc().join("keys");
        let status = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .arg("-keyout")
            .arg(keys.join("asterisk.key"))
            .arg("-out")
            .arg(keys.join("asterisk.pem"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("openssl req: {status}"))) }
    }

    /// The path of the directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration directory.
    pub fn etc(&self) -> PathBuf {
        self.root.join("etc")
    }

    /// The directory that its HTTP server serves below `/static`.
    pub fn served(&self) -> PathBuf {
        self.root.join("data/static-http")
    }

    /// The log file with all levels.
    pub fn log(&self) -> PathBuf {
        self.root.join("log/full")
    }

    fn asterisk_conf(&self) -> String {
        let root = self.root.display();
        format!(
            "[directories]\n\
             astetcdir => {root}/etc\nastmoddir => {root}/modules\nastvarlibdir => {root}/data\nastdbdir => {root}/data\n\
             astkeydir => {root}/data\nastdatadir => {root}/data\nastagidir => {root}/data\nastspooldir => {root}/spool\n\
             astrundir => {root}/run\nastlogdir => {root}/log\n"
        )
    }
}

const LOGGER_CONF: &str = "[general]\n[logfiles]\nfull => notice,warning,error,verbose,debug,dtmf\n";

/// A running Asterisk, ended on drop.
#[derive(Debug)]
pub struct Asterisk {
    child: Child,
    home: Home,
    prefix: Prefix,
}

impl Asterisk {
    /// Starts the Asterisk of `prefix` in `home` and waits until it has booted.
    pub fn start(prefix: &Prefix, home: Home) -> io::Result<Self> {
        Self::run(command(prefix, &home).args(["-f", "-g", "-vvv"]), prefix, home)
    }

    /// Starts it in a network namespace.
    pub fn start_in(namespace: &Namespace, prefix: &Prefix, home: Home) -> io::Result<Self> {
        let inside = namespace.enter(command(prefix, &home).args(["-f", "-g", "-vvv"]));
        Self::run(&mut { inside }, prefix, home)
    }

    fn run(command: &mut Command, prefix: &Prefix, home: Home) -> io::Result<Self> {
        let child = spawn(command, &home)?;
        let mut asterisk = Self { child, home, prefix: prefix.clone() };
        asterisk.wait_until_booted()?;
        Ok(asterisk)
    }

    /// Starts it anew after its end, and waits until it has booted.
    pub fn start_again(&mut self) -> io::Result<()> {
        self.child = spawn(command(&self.prefix, &self.home).args(["-f", "-g", "-vvv"]), &self.home)?;
        self.wait_until_booted()
    }

    /// A command that reaches its console with `-r` or `-rx`.
    pub fn console(&self) -> Command {
        command(&self.prefix, &self.home)
    }

    /// Runs a console command and returns its output.
    pub fn cli(&self, command: &str) -> io::Result<String> {
        let output = self.console().args(["-rx", command]).stdin(Stdio::null()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The directory in which it runs.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Its installation.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.prefix.version()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still running: distinguishes a crash from a missing answer.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends.
    pub fn wait(&mut self) -> io::Result<()> {
        self.child.wait().map(drop)
    }

    /// Ends it without a word, as a crash or the loss of the machine does.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.wait()
    }

    fn wait_until_booted(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!(
                    "Asterisk ended during its start ({status}): see {}",
                    self.home.log().display()
                )));
            }
            if self.cli("core waitfullybooted")?.contains("fully booted") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("Asterisk did not boot: see {}", self.home.log().display()),
        ))
    }
}

fn command(prefix: &Prefix, home: &Home) -> Command {
    let mut command = prefix.command();
    command.arg("-C").arg(home.etc().join("asterisk.conf"));
    command
}

fn spawn(command: &mut Command, home: &Home) -> io::Result<Child> {
    let output = fs::File::options().create(true).append(true).open(home.root.join("log/output"))?;
    command.current_dir(&home.root).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        let _ = self.cli("core stop now");
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.is_running() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
        // Harmless if it has ended: std does not signal a child that was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
