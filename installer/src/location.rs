//! The location of an Asterisk: its modules directory and its program.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::configuration;
use crate::originals;
use crate::refusal::{Refusal, at};

/// The Asterisk selected on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one of this machine.
    Usual,
    /// The one installed below this prefix, by `make install` or a package.
    Below(PathBuf),
    /// The one with this modules directory.
    WithModules(PathBuf),
}

impl Which {
    /// Parses no words, `--prefix DIR` or `--modules DIR`; `None` for anything else.
    pub fn meant_by<W: AsRef<OsStr>>(words: &[W]) -> Option<Self> {
        let words: Vec<&OsStr> = words.iter().map(AsRef::as_ref).collect();
        match words.as_slice() {
            [] => Some(Self::Usual),
            [option, prefix] if *option == "--prefix" => Some(Self::Below(prefix.into())),
            [option, modules] if *option == "--modules" => Some(Self::WithModules(modules.into())),
            _ => None,
        }
    }

    fn prefixes(&self) -> Vec<&Path> {
        match self {
            Self::Usual => ["/", "/usr/local"].map(Path::new).into(),
            Self::Below(prefix) => vec![prefix],
            Self::WithModules(_) => Vec::new(),
        }
    }
}

/// A modules directory, and the program that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    modules: PathBuf,
    program: Option<PathBuf>,
}

impl Location {
    /// Finds an Asterisk.
    pub fn of_asterisk(which: &Which) -> Result<Self, Refusal> {
        if let Which::WithModules(modules) = which {
            return Self::with_modules(modules);
        }
        let prefixes = which.prefixes();
        let is_complete = |prefix: &&Path| program_below(prefix).is_some() && !places_below(prefix).is_empty();
        let complete: Vec<&Path> = prefixes.iter().copied().filter(is_complete).collect();
        match complete.as_slice() {
            [] => Err(no_asterisk(&prefixes)),
            [prefix] => Ok(Self { modules: modules_below(prefix)?, program: program_below(prefix) }),
            several => Err(Refusal::SeveralAsterisks(several.iter().map(PathBuf::from).collect())),
        }
    }

    /// Finds an Asterisk that has our modules. Other parts of it may be missing.
    pub fn of_ours(which: &Which) -> Result<Self, Refusal> {
        if let Which::WithModules(modules) = which {
            return Self::with_modules(modules);
        }
        let prefixes = which.prefixes();
        let places: BTreeSet<PathBuf> = prefixes.iter().flat_map(|prefix| places_below(prefix)).collect();
        let ours: Vec<&PathBuf> =
            places.iter().filter(|modules| originals::directory(modules).symlink_metadata().is_ok()).collect();
        match (ours.as_slice(), Vec::from_iter(&places).as_slice()) {
            ([modules], _) | ([], [modules]) => Self::with_modules(modules),
            ([], []) => Err(no_asterisk(&prefixes)),
            ([], [first, ..]) => Err(Refusal::NotInstalled(first.to_path_buf())),
            (several, _) => Err(Refusal::SeveralDirectories(several.iter().map(PathBuf::from).collect())),
        }
    }

    fn with_modules(modules: &Path) -> Result<Self, Refusal> {
        let modules = modules.canonicalize().map_err(at(modules))?;
        if !modules.is_dir() {
            return Err(Refusal::NoModules(modules));
        }
        // A program further up that has its modules elsewhere does not belong to these.
        let mut prefixes = modules.ancestors().skip(1);
        let prefix = prefixes.find(|prefix| program_below(prefix).is_some() && places_below(prefix).contains(&modules));
        Ok(Self { program: prefix.and_then(program_below), modules })
    }

    /// The modules directory.
    pub fn modules(&self) -> &Path {
        &self.modules
    }

    /// The program, if there is one.
    pub fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }
}

fn no_asterisk(prefixes: &[&Path]) -> Refusal {
    Refusal::NoAsterisk(prefixes.iter().map(PathBuf::from).collect())
}

fn program_below(prefix: &Path) -> Option<PathBuf> {
    let places = ["sbin/asterisk", "usr/sbin/asterisk"].map(|place| prefix.join(place));
    places.into_iter().find(|place| place.is_file())?.canonicalize().ok()
}

/// The modules directory below a prefix: the one that its configuration names, or the only one.
fn modules_below(prefix: &Path) -> Result<PathBuf, Refusal> {
    let usual = usual_places_below(prefix);
    match (configuration::modules_of(prefix), usual.as_slice()) {
        (Some(configured), usual) if is_its_own(prefix, usual, &configured) => Ok(configured),
        (None, [only]) if !configuration::has_other_parts(prefix) => Ok(only.clone()),
        (configured, usual) => Err(Refusal::SeveralDirectories(usual.iter().cloned().chain(configured).collect())),
    }
}

fn places_below(prefix: &Path) -> Vec<PathBuf> {
    let mut places = usual_places_below(prefix);
    let configured = configuration::modules_of(prefix).filter(|configured| is_its_own(prefix, &places, configured));
    places.extend(configured.filter(|configured| !places.contains(configured)));
    places
}

/// Whether the configuration is valid for this prefix: in a copy of an installation, it names the original's directory.
fn is_its_own(prefix: &Path, usual: &[PathBuf], configured: &PathBuf) -> bool {
    let is_below = || prefix.canonicalize().is_ok_and(|prefix| configured.starts_with(prefix));
    is_the_machine(prefix) || usual.is_empty() || usual.contains(configured) || is_below()
}

/// Whether the prefix is that of the machine itself, with its configuration in `/etc`.
pub fn is_the_machine(prefix: &Path) -> bool {
    [Path::new("/"), Path::new("/usr")].contains(&prefix)
}

/// The default modules directories below a prefix, each by its canonical path.
fn usual_places_below(prefix: &Path) -> Vec<PathBuf> {
    let multiarch = format!("lib/{}-linux-gnu", std::env::consts::ARCH);
    let mut found = Vec::new();
    for root in [prefix.to_path_buf(), prefix.join("usr")] {
        for place in ["lib", "lib64", &multiarch] {
            let Ok(place) = root.join(place).join("asterisk/modules").canonicalize() else { continue };
            if !found.contains(&place) && has_modules(&place) {
                found.push(place);
            }
        }
    }
    found
}

fn has_modules(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|extension| extension == "so"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_says_which() {
        let meant = |line: &str| Which::meant_by(&line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(meant(""), Some(Which::Usual));
        assert_eq!(meant("--prefix /a"), Some(Which::Below("/a".into())));
        assert_eq!(meant("--modules /a"), Some(Which::WithModules("/a".into())));
        assert_eq!(meant("--prefix"), None);
        assert_eq!(meant("--prefix /a --modules /b"), None);
        assert_eq!(meant("/a"), None);
    }
}
