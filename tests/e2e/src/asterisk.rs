//! One running Asterisk in a directory of its own.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::prefix::{Prefix, Version};

/// Ours, by the names of the originals that they stand in for.
pub const OUR_MODULES: [&str; 3] = ["res_http_websocket.so", "res_srtp.so", "res_rtp_asterisk.so"];

/// A machine with nothing else to do takes a third of a second; a busy one may take this long.
const START: Duration = Duration::from_secs(60);

/// The directory that an Asterisk runs in: configuration, modules, logs, recordings.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Lays out an empty home at `root`. What an earlier run left there goes.
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

    /// Fills the modules directory with links: `ours` where it has a file of that name, else what the host came with.
    pub fn link_modules(&self, prefix: &Prefix, ours: &Path) -> io::Result<()> {
        for entry in fs::read_dir(prefix.modules())? {
            let name = entry?.file_name();
            let replaced = OUR_MODULES.iter().any(|module| name == *module) && ours.join(&name).exists();
            let source = if replaced { ours.join(&name) } else { prefix.modules().join(&name) };
            symlink(source.canonicalize()?, self.root.join("modules").join(&name))?;
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

    /// Where it all is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration directory.
    pub fn etc(&self) -> PathBuf {
        self.root.join("etc")
    }

    /// What its HTTP server serves below `/static`.
    pub fn served(&self) -> PathBuf {
        self.root.join("data/static-http")
    }

    /// The log with everything in it.
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

/// A running Asterisk; it ends with the value.
#[derive(Debug)]
pub struct Asterisk {
    child: Child,
    home: Home,
    prefix: Prefix,
}

impl Asterisk {
    /// Starts `prefix`'s Asterisk in `home` and waits until it has booted.
    pub fn start(prefix: &Prefix, home: Home) -> io::Result<Self> {
        let output = fs::File::create(home.root.join("log/output"))?;
        let child = command(prefix, &home)
            .args(["-f", "-g", "-vvv"])
            .current_dir(&home.root)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let mut asterisk = Self { child, home, prefix: prefix.clone() };
        asterisk.wait_until_booted()?;
        Ok(asterisk)
    }

    /// Runs one command of the host's CLI and returns what it printed.
    pub fn cli(&self, command: &str) -> io::Result<String> {
        let output = self::command(&self.prefix, &self.home).args(["-rx", command]).stdin(Stdio::null()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The directory that it runs in.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Where it is installed.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Which one it is.
    pub fn version(&self) -> Version {
        self.prefix.version()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs. A crash is told apart from an answer that never came by this.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self) -> io::Result<()> {
        self.child.wait().map(drop)
    }

    fn wait_until_booted(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!(
                    "Asterisk ended at once ({status}): see {}",
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

impl Drop for Asterisk {
    fn drop(&mut self) {
        let _ = self.cli("core stop now");
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.is_running() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
        // Harmless when it has ended: std does not signal a child that was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
