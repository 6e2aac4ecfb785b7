//! Our files, as `cargo xtask build` leaves them in one directory.

use std::fs;
use std::io;
use std::path::Path;

use crate::MODULES;
use crate::elf::Elf;
use crate::host::Version;
use crate::machine::Machine;
use crate::refusal::Refusal;
use crate::sums::{Sum, Sums, write_sums};

/// Beside the modules: the major version of the Asterisk that they were built for, and on a line of its own the oldest C library
/// that they were linked for, if that is not the one of the machine that did it.
const MADE_FOR: &str = "made-for";

const GLIBC: &str = "glibc ";

/// The program that installs them, where it has been put beside them.
const PROGRAM: &str = "install";

/// The three modules for one host.
#[derive(Debug)]
pub struct Files {
    version: Version,
    glibc: Option<String>,
    modules: Vec<Module>,
}

/// One of them, as it was when it was looked at.
#[derive(Debug)]
pub struct Module {
    /// The name of its file.
    pub name: &'static str,
    /// What it is.
    pub elf: Elf,
    /// To know it again by.
    pub sum: Sum,
}

impl Files {
    /// Says beside the modules what they are for, and what they are.
    pub fn seal(directory: &Path, version: &str, glibc: Option<&str>) -> io::Result<()> {
        let glibc = glibc.map(|glibc| format!("{GLIBC}{glibc}\n")).unwrap_or_default();
        fs::write(directory.join(MADE_FOR), format!("{version}\n{glibc}"))?;
        let program = Some(PROGRAM).filter(|program| directory.join(program).exists());
        let all: Vec<&str> = MODULES.into_iter().chain([MADE_FOR]).chain(program).collect();
        write_sums(directory, &all)
    }

    /// Those in `directory`; they are complete, whole and ours.
    pub fn in_directory(directory: &Path) -> Result<Self, Refusal> {
        let sums = Sums::of(directory)?;
        let note = String::from_utf8(sums.check(directory, MADE_FOR)?).unwrap_or_default();
        let bad = |file: &str, reason| Refusal::BadFile { file: directory.join(file), reason };
        let version = note.lines().next().and_then(|line| line.trim().parse().ok().map(Version));
        let version = version.ok_or_else(|| bad(MADE_FOR, "it names no version"))?;
        let glibc = note.lines().find_map(|line| line.strip_prefix(GLIBC)).map(str::to_owned);
        let module = |name| {
            let bytes = sums.check(directory, name)?;
            let sum = Sum::of(&bytes);
            let elf = Elf::parse(&directory.join(name), bytes)?;
            match elf.machine() {
                _ if !elf.is_ours() => Err(bad(name, "this is not one of ours")),
                Machine::HERE => Ok(Module { name, elf, sum }),
                _ => Err(bad(name, "this is for another kind of machine")),
            }
        };
        let modules = MODULES.into_iter().map(module).collect::<Result<_, _>>()?;
        Ok(Self { version, glibc, modules })
    }

    /// What they are for.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The oldest C library that they run on; `None` if that is not known.
    pub fn glibc(&self) -> Option<&str> {
        self.glibc.as_deref()
    }

    pub(crate) fn modules(&self) -> &[Module] {
        &self.modules
    }
}

/// Whether the file is a module of ours.
pub fn is_ours(file: &Path) -> bool {
    Elf::read(file).is_ok_and(|elf| elf.is_ours())
}
