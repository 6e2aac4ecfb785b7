//! The environment of one test: an Asterisk with its configuration, and a directory with logs of everything
//! that happened.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::asterisk::{Asterisk, Home, OUR_MODULES};
use crate::driver::Driver;
use crate::failure::{Failure, Result, ensure};
use crate::links::Links;
use crate::nat::Namespace;
use crate::ports::Ports;
use crate::prefix::{Prefix, Version};
use crate::site::Site;
use crate::tone::Audio;

/// A running Asterisk with its ports and directory.
#[derive(Debug)]
pub struct Lab {
    asterisk: Asterisk,
    ports: Ports,
    links: Option<Links>,
}

impl Lab {
    /// Starts the Asterisk that `ASTERISK_PREFIX` names, with the modules of `MODULES_DIR` in place of its own.
    pub fn start(name: &str, site: &Site) -> Result<Self> {
        let prefix = installed()?;
        let modules = std::env::var_os("MODULES_DIR").map(PathBuf::from);
        Self::with_modules(name, site, &prefix, modules.as_deref().unwrap_or(prefix.modules()))
    }

    /// Starts it on the host's machine of `links`. Browsers run on the page's machine.
    pub fn joined_by(mut links: Links, name: &str, site: &Site) -> Result<Self> {
        let prefix = installed()?;
        let modules = std::env::var_os("MODULES_DIR").map_or_else(|| prefix.modules().to_owned(), PathBuf::from);
        let (home, ports) = Self::prepare(name, site, &prefix, &modules)?;
        links.tunnel(ports.ws, home.root())?;
        let asterisk = Asterisk::start_in(links.host(), &prefix, home)?;
        Ok(Self { asterisk, ports, links: Some(links) })
    }

    /// Starts it with the host's own modules.
    pub fn with_originals(name: &str, site: &Site) -> Result<Self> {
        let prefix = installed()?;
        Self::with_modules(name, site, &prefix, prefix.modules())
    }

    /// Starts it with our modules for another host, from the directory beside `MODULES_DIR`.
    pub fn with_modules_of(version: Version, name: &str, site: &Site) -> Result<Self> {
        let ours = std::env::var_os("MODULES_DIR").map(PathBuf::from).unwrap_or_default();
        let theirs = ours.with_file_name(format!("asterisk-{}", version.number()));
        ensure(theirs.is_dir(), || {
            format!("there are no modules for {version} beside MODULES_DIR: {}", theirs.display())
        })?;
        Self::with_modules(name, site, &installed()?, &theirs)
    }

    /// Starts it with our modules of `MODULES_DIR`, but with the host's own `original`.
    pub fn with_original(original: &str, name: &str, site: &Site) -> Result<Self> {
        let (prefix, ours) = (installed()?, std::env::var_os("MODULES_DIR").map(PathBuf::from).unwrap_or_default());
        let mixed = home(&prefix, &format!("{name}-modules"))?;
        for module in OUR_MODULES {
            let from = if module == original { prefix.modules() } else { &ours };
            symlink(from.join(module).canonicalize()?, mixed.root().join(module))?;
        }
        Self::with_modules(name, site, &prefix, mixed.root())
    }

    /// Starts the Asterisk of `prefix` with the modules of this directory in place of its own.
    pub fn with_modules(name: &str, site: &Site, prefix: &Prefix, modules: &Path) -> Result<Self> {
        let (home, ports) = Self::prepare(name, site, prefix, modules)?;
        let asterisk = Asterisk::start(prefix, home)?;
        Ok(Self { asterisk, ports, links: None })
    }

    fn prepare(name: &str, site: &Site, prefix: &Prefix, modules: &Path) -> Result<(Home, Ports)> {
        let home = home(prefix, name)?;
        let ports = Self::furnish(&home, site, prefix, modules)?;
        Ok((home, ports))
    }

    fn furnish(home: &Home, site: &Site, prefix: &Prefix, modules: &Path) -> Result<Ports> {
        let ports = Ports::claim_blocks(site.port_blocks.max(1))?;
        home.link_modules(prefix, modules)?;
        site.write(Driver::of(prefix.version()), home, &ports)?;
        Ok(ports)
    }

    /// Starts the Asterisk of `prefix` in `home`, with the modules of this directory in place of its own.
    pub fn in_home(home: Home, site: &Site, prefix: &Prefix, modules: &Path) -> Result<Self> {
        let ports = Self::furnish(&home, site, prefix, modules)?;
        let asterisk = Asterisk::start(prefix, home)?;
        Ok(Self { asterisk, ports, links: None })
    }

    /// The links between the host's machine and the page's, if they are two.
    pub fn links(&self) -> Option<&Links> {
        self.links.as_ref()
    }

    /// Starts it in `home` in a network namespace, with these ports. `site` has to say which addresses it listens on.
    pub fn in_namespace(namespace: &Namespace, ports: Ports, home: Home, site: &Site) -> Result<Self> {
        let prefix = installed()?;
        let modules = std::env::var_os("MODULES_DIR").map(PathBuf::from);
        home.link_modules(&prefix, modules.as_deref().unwrap_or(prefix.modules()))?;
        site.write(Driver::of(prefix.version()), &home, &ports)?;
        let asterisk = Asterisk::start_in(namespace, &prefix, home)?;
        Ok(Self { asterisk, ports, links: None })
    }

    /// The host.
    pub fn asterisk(&self) -> &Asterisk {
        &self.asterisk
    }

    /// Ends the host without a word.
    pub fn kill(&mut self) -> Result {
        Ok(self.asterisk.kill()?)
    }

    /// Whether the host is running.
    pub fn is_running(&mut self) -> bool {
        self.asterisk.is_running()
    }

    /// Starts the host anew after its end, with its configuration and ports.
    pub fn start_again(&mut self) -> Result {
        Ok(self.asterisk.start_again()?)
    }

    /// Its SIP channel driver.
    pub fn driver(&self) -> Driver {
        Driver::of(self.asterisk.version())
    }

    /// Its ports.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The directory of logs, recordings and configuration.
    pub fn directory(&self) -> &Path {
        self.asterisk.home().root()
    }

    /// The complete log so far.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.asterisk.home().log())?).into_owned())
    }

    /// Waits until the log contains `text`.
    pub fn until_logged(&self, text: &str, patience: Duration) -> Result {
        self.until_logged_more(text, 0, patience)
    }

    /// Waits until the log contains `text` more than `times` times.
    pub fn until_logged_more(&self, text: &str, times: usize, patience: Duration) -> Result {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if self.log()?.matches(text).count() > times {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err(Failure::new(format!("the log does not contain {text:?}: {}", self.asterisk.home().log().display())))
    }

    /// Waits until the history of calls that have ended contains `text`, and returns the history.
    pub fn until_told(&self, text: &str) -> Result<String> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let history = self.asterisk().cli("rtp show history")?;
            if history.contains(text) {
                return Ok(history);
            }
            ensure(Instant::now() < end, || {
                format!("'{text}' is missing in: {history}: {}", self.directory().display())
            })?;
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Makes Asterisk call `account` and connect it to `number`, by a call file, because the console command would
    /// wait for the answer.
    pub fn originate(&self, account: &str, number: &str) -> Result {
        let technology = self.driver().technology();
        let call = format!(
            "Channel: {technology}/{account}\nWaitTime: 60\nContext: calls\nExtension: {number}\nPriority: 1\n"
        );
        let (written, placed) = (self.directory().join("spool/call"), self.directory().join("spool/outgoing/call"));
        fs::write(&written, call)?;
        Ok(fs::rename(written, placed)?)
    }

    /// Waits until there are no calls.
    pub fn until_idle(&self, patience: Duration) -> Result {
        let end = Instant::now() + patience;
        loop {
            let channels = self.asterisk.cli("core show channels count")?;
            if channels.lines().any(|line| line.starts_with("0 active channels")) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Failure::new(format!("calls are still up: {channels}")));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The audio that Asterisk received in the latest recorded call.
    pub fn recorded(&self) -> Result<Audio> {
        let mut recordings: Vec<_> = fs::read_dir(self.directory().join("spool/monitor"))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with("-in.wav"))
            .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
            .collect();
        recordings.sort();
        let (_, latest) = recordings.pop().ok_or_else(|| Failure::new("no call was recorded"))?;
        Ok(Audio::read_wav(&latest)?)
    }
}

/// The host to be tested.
pub fn installed() -> Result<Prefix> {
    let prefix = Prefix::from_env().ok_or_else(|| Failure::new("ASTERISK_PREFIX names no Asterisk"))?;
    Ok(prefix?)
}

/// An empty home for a test, separate for each host: the suites of two hosts run at the same time.
pub fn home(prefix: &Prefix, name: &str) -> Result<Home> {
    Ok(Home::create(&directory().join(prefix.version().number()).join(name))?)
}

/// An empty home for a test on the host that `ASTERISK_PREFIX` names.
pub fn home_of(name: &str) -> Result<Home> {
    home(&installed()?, name)
}

/// The directory for all tests; a caller may choose another one to keep two runs apart.
fn directory() -> PathBuf {
    std::env::var_os("E2E_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/e2e"), PathBuf::from)
}
