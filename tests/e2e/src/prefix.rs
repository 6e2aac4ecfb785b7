//! An installed Asterisk: its location, its version, and how to start it.

use std::env::consts::ARCH;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The versions that our modules are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Asterisk 11.
    Eleven,
    /// Asterisk 16.
    Sixteen,
    /// Asterisk 22.
    TwentyTwo,
}

impl Version {
    /// All versions.
    pub const ALL: [Self; 3] = [Self::Eleven, Self::Sixteen, Self::TwentyTwo];

    /// The major version as a number.
    pub fn number(self) -> &'static str {
        match self {
            Self::Eleven => "11",
            Self::Sixteen => "16",
            Self::TwentyTwo => "22",
        }
    }

    /// The version with this number.
    pub fn from_number(number: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.number() == number)
    }

    /// Parses the output of `asterisk -V`: `Asterisk 16.28.0~dfsg-0+deb11u4`, `Asterisk certified/11.6-cert18`.
    fn from_banner(banner: &str) -> Option<Self> {
        let full = banner.strip_prefix("Asterisk ")?.trim_start_matches("certified/");
        Self::from_number(full.split_once('.')?.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asterisk {}", self.number())
    }
}

/// An Asterisk below one directory: installed by `make install` with `--prefix`, or unpacked from Debian's packages.
#[derive(Clone, Debug)]
pub struct Prefix {
    root: PathBuf,
    binary: PathBuf,
    modules: PathBuf,
    version: Version,
}

impl Prefix {
    /// The installation that `ASTERISK_PREFIX` names; `None` if it is not set. A relative path counts from the root of
    /// the workspace, wherever cargo runs the test.
    pub fn from_env() -> Option<io::Result<Self>> {
        let root = std::env::var_os("ASTERISK_PREFIX").filter(|root| !root.is_empty())?;
        Some(Self::find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(root)))
    }

    /// Finds the program and its modules below `root`, and runs the program for its version.
    pub fn find(root: &Path) -> io::Result<Self> {
        // Make the path absolute, because the program runs in other directories.
        let root = root
            .canonicalize()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", root.display())))?;
        let first = |candidates: &[&str], what: &str| {
            let found = candidates.iter().map(|candidate| root.join(candidate)).find(|path| path.exists());
            found.ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, format!("{} holds no {what} of an Asterisk", root.display()))
            })
        };
        let binary = first(&["sbin/asterisk", "usr/sbin/asterisk"], "sbin/asterisk")?;
        let modules = first(
            &[
                "lib/asterisk/modules",
                "lib64/asterisk/modules",
                "usr/lib/asterisk/modules",
                "usr/lib64/asterisk/modules",
                &format!("usr/lib/{ARCH}-linux-gnu/asterisk/modules"),
            ],
            "modules directory",
        )?;
        let version = version_of(command(&root, &binary))?;
        Ok(Self { root, binary, modules, version })
    }

    /// A command that starts the program.
    pub fn command(&self) -> Command {
        command(&self.root, &self.binary)
    }

    /// The path of a proxy: the one beside this Asterisk, or this machine's.
    pub fn proxy(&self, name: &str) -> Option<Command> {
        let [beside, here] = [&self.root, Path::new("/")].map(|root| root.join("usr/sbin").join(name));
        match beside.exists() {
            true => Some(command(&self.root, &beside)),
            false => here.exists().then(|| Command::new(here)),
        }
    }

    /// Whether both proxies with a configuration in `contrib` are available.
    pub fn has_proxies(&self) -> bool {
        ["nginx", "haproxy"].iter().all(|name| self.proxy(name).is_some())
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The directory below which it was found.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of its own modules.
    pub fn modules(&self) -> &Path {
        &self.modules
    }

    /// The directory of `asterisk.h`, if the C headers are installed.
    pub fn headers(&self) -> Option<PathBuf> {
        let places = ["include", "usr/include"];
        places.iter().map(|place| self.root.join(place)).find(|place| place.join("asterisk.h").exists())
    }

    /// The directory of its sounds, if it has any.
    pub fn sounds(&self) -> Option<PathBuf> {
        self.data("sounds")
    }

    /// The directory of its documentation, without which it warns of each application.
    pub fn documentation(&self) -> Option<PathBuf> {
        self.data("documentation")
    }

    fn data(&self, what: &str) -> Option<PathBuf> {
        let places = ["var/lib/asterisk", "share/asterisk", "usr/share/asterisk"];
        places.iter().map(|place| self.root.join(place).join(what)).find(|path| path.exists())
    }
}

/// A command that starts the program with the libraries below `root`.
///
/// A root with its own C library may need a newer one than this machine has. Then its own loader starts the program,
/// since C library and loader belong together. Otherwise the machine's loader does.
pub fn command(root: &Path, binary: &Path) -> Command {
    let libraries = libraries(root);
    match loader(root) {
        Some(loader) => {
            let mut command = Command::new(loader);
            command.arg("--library-path").arg(libraries).arg(binary);
            command
        }
        None => {
            let mut command = Command::new(binary);
            command.env("LD_LIBRARY_PATH", libraries);
            command
        }
    }
}

/// Library directories that the loader does not search by default: `make install` puts `libasteriskssl` into `lib`, and
/// Debian's packages are unpacked elsewhere than in `/`. Kamailio has a directory of its own.
fn libraries(root: &Path) -> OsString {
    let (debian, kamailio) = (format!("usr/lib/{ARCH}-linux-gnu"), format!("usr/lib/{ARCH}-linux-gnu/kamailio"));
    let places = ["lib".into(), "usr/lib".into(), format!("lib/{ARCH}-linux-gnu"), debian, kamailio];
    let places = places.iter().map(|place| root.join(place)).filter(|place| place.is_dir());
    // The loader's option cannot contain a path with a colon.
    std::env::join_paths(places).unwrap_or_default()
}

/// The loader in the library directory: the usual path `/lib64/…` is a link that leads out of the root.
fn loader(root: &Path) -> Option<PathBuf> {
    let name = match ARCH {
        "aarch64" => "ld-linux-aarch64.so.1",
        _ => "ld-linux-x86-64.so.2",
    };
    let places = ["lib", "usr/lib"].map(|place| root.join(format!("{place}/{ARCH}-linux-gnu")).join(name));
    places.into_iter().find(|loader| loader.exists())
}

fn version_of(mut command: Command) -> io::Result<Version> {
    let output = command.arg("-V").output()?;
    let banner = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Version::from_banner(&banner).ok_or_else(|| {
        let program = command.get_program().display();
        let said = if banner.is_empty() { String::from_utf8_lossy(&output.stderr).trim().to_owned() } else { banner };
        io::Error::other(format!("{program} -V says {said:?}, which is no Asterisk 11, 16 or 22"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_parsed_from_the_programs_output() {
        for (banner, version) in [
            ("Asterisk 11.25.3", Some(Version::Eleven)),
            ("Asterisk certified/11.6-cert18", Some(Version::Eleven)),
            ("Asterisk 16.28.0~dfsg-0+deb11u4", Some(Version::Sixteen)),
            ("Asterisk 22.10.1+dfsg+~cs6.17.60671434-1", Some(Version::TwentyTwo)),
            ("Asterisk 18.10.0", None),
            ("Asterisk GIT-master-1234567", None),
            ("", None),
        ] {
            assert_eq!(Version::from_banner(banner), version, "{banner}");
        }
    }
}
