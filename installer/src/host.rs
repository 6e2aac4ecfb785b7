//! An installed Asterisk: its modules directory, its version, and whether our files load into it.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::elf::Elf;
use crate::files::{self, Files, Module};
use crate::location::{Location, Which};
use crate::machine::Machine;
use crate::options;
use crate::read::read;
use crate::refusal::{Refusal, at};
use crate::version::Version;

/// An installed Asterisk.
#[derive(Debug)]
pub struct Host {
    location: Location,
    version: Version,
    release: Option<String>,
}

impl Host {
    /// Finds the Asterisk that `which` names.
    pub fn find(which: &Which) -> Result<Self, Refusal> {
        let location = Location::of_asterisk(which)?;
        for_this_machine(&location)?;
        let release = location.program().and_then(release_of);
        let version = match release.as_deref().and_then(Version::from_release) {
            Some(version) => version,
            None => version_of_modules(&imports_of_modules(location.modules())?)
                .ok_or_else(|| unknown_version(&location))?,
        };
        Ok(Self { location, version, release })
    }

    /// Its location.
    pub fn location(&self) -> &Location {
        &self.location
    }

    pub(crate) fn modules(&self) -> &Path {
        self.location.modules()
    }

    /// Its major version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Its release if it is known, otherwise its major version.
    pub fn told(&self) -> String {
        self.release.clone().unwrap_or_else(|| self.version.to_string())
    }

    /// Checks that the directory contains the modules of this very host.
    pub(crate) fn check_modules(&self) -> Result<(), Refusal> {
        let imports = imports_of_modules(self.modules())?;
        let is_eleven = version_of_modules(&imports) == Some(ELEVEN);
        match self.location.program() {
            Some(program) if is_eleven != (self.version == ELEVEN) => Err(Refusal::OtherModules {
                modules: self.modules().into(),
                program: program.into(),
                found: self.told(),
            }),
            _ => Ok(()),
        }
    }

    /// Checks that it was built without options that our files do not support.
    pub(crate) fn check_options(&self) -> Result<(), Refusal> {
        let (file, option) = match self.location.program() {
            Some(program) => (program, options::unknown(&Elf::read(program)?, self.version == ELEVEN)),
            None => (self.modules(), options::unknown_of_eleven(&imports_of_modules(self.modules())?)),
        };
        option.map_or(Ok(()), |option| Err(Refusal::BuildOption { file: file.into(), option }))
    }

    /// Checks that it has the functions that our files call. If there is no program, uses the imports of
    /// the other modules.
    pub(crate) fn check_symbols(&self, ours: &Files) -> Result<Symbols, Refusal> {
        let missing = |there: &HashSet<String>, module: &Module| {
            module.elf.imports().into_iter().find(|name| is_of_the_host(name) && !there.contains(name))
        };
        let Some(program) = self.location.program() else {
            let there = imports_of_modules(self.modules())?;
            let is_known = ours.modules().iter().all(|module| missing(&there, module).is_none());
            return Ok(if is_known { Symbols::AllThere } else { Symbols::Unknown });
        };
        let there = Elf::read(program)?.exports();
        for module in ours.modules() {
            if let Some(symbol) = missing(&there, module) {
                return Err(Refusal::NoSymbol { program: program.into(), module: module.name, symbol });
            }
        }
        Ok(Symbols::AllThere)
    }
}

/// Whether a host has all functions that our files call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbols {
    /// It has all of them.
    AllThere,
    /// Unknown: there is no program to read, and the other modules do not import all of them.
    Unknown,
}

fn unknown_version(location: &Location) -> Refusal {
    match location.program() {
        Some(program) => Refusal::SilentProgram(program.into()),
        None => Refusal::UnknownVersion(location.modules().into()),
    }
}

const ELEVEN: Version = Version(11);

fn is_of_the_host(symbol: &str) -> bool {
    ["ast_", "ao2_"].iter().any(|prefix| symbol.trim_start_matches('_').starts_with(prefix))
}

/// Checks that the program, or else a module, is for the kind of machine that ours are for.
fn for_this_machine(location: &Location) -> Result<(), Refusal> {
    let modules = fs::read_dir(location.modules()).map_err(at(location.modules()))?.flatten().map(|entry| entry.path());
    let files = location.program().map(Path::to_path_buf).into_iter().chain(modules);
    let told = files.into_iter().find_map(|file| Some((Machine::of(&read(&file).ok()?)?, file)));
    match told {
        Some((found, file)) if found != Machine::HERE => {
            Err(Refusal::OtherMachine { file, found, ours: Machine::HERE })
        }
        _ => Ok(()),
    }
}

/// Reads the release from the program's file. We do not run it: below a prefix it may be anybody's, and we may be root.
fn release_of(program: &Path) -> Option<String> {
    let elf = Elf::read(program).ok()?;
    elf.text_returned_by("ast_get_version").filter(|text| Version::from_release(text).is_some()).map(str::to_owned)
}

/// The imports of all modules in a directory, except ours and files that are not ELF.
fn imports_of_modules(modules: &Path) -> Result<HashSet<String>, Refusal> {
    let mut imports = HashSet::new();
    for entry in fs::read_dir(modules).map_err(at(modules))? {
        let path = entry.map_err(at(modules))?.path();
        if path.extension().is_some_and(|extension| extension == "so") && !files::is_ours(&path) {
            match Elf::read(&path) {
                Ok(elf) => imports.extend(elf.imports()),
                Err(refusal) if refusal.is_about_a_file() => {}
                Err(refusal) => return Err(refusal),
            }
        }
    }
    if imports.iter().any(|name| is_of_the_host(name)) { Ok(imports) } else { Err(Refusal::NoModules(modules.into())) }
}

/// Recognises Asterisk 11 by its modules' imports: it has accessor functions for `struct ast_channel`, unlike 10; it
/// has no message bus, unlike 12; its formats are structures, unlike those of 13. Later versions cannot be
/// distinguished.
fn version_of_modules(imports: &HashSet<String>) -> Option<Version> {
    let has = |name: &str| imports.contains(name);
    let is_eleven =
        has("ast_channel_name") && has("ast_format_set") && !imports.iter().any(|name| name.starts_with("stasis_"));
    is_eleven.then_some(ELEVEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_follows_from_the_release() {
        for (release, version) in [
            ("11.25.3", Some(11)),
            ("11.0.0-beta1", Some(11)),
            ("certified/11.6-cert18", Some(11)),
            ("GIT-11-0a1b2c3", Some(11)),
            ("SVN-branch-11-r400000", Some(11)),
            ("16.28.0~dfsg-0+deb11u4", Some(16)),
            ("UNKNOWN__and_probably_unsupported", None),
            ("", None),
        ] {
            assert_eq!(Version::from_release(release), version.map(Version), "{release}");
        }
    }
}
