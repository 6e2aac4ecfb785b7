//! Our files, as `cargo xtask build` writes them into one directory.

use std::fs;
use std::io;
use std::path::Path;

use crate::elf::Elf;
use crate::machine::Machine;
use crate::refusal::Refusal;
use crate::sums::{Sum, Sums, write_sums};
use crate::version::Version;
use crate::{CODEC, MODULES};

/// The file beside the modules with the major version of Asterisk that they were built for. If they were linked for an
/// older C library than the build machine's, a second line has its version.
const MADE_FOR: &str = "made-for";

const GLIBC: &str = "glibc ";

/// The installer, if it was copied beside the modules.
const PROGRAM: &str = "install";

/// The modules for one host: three, and with Asterisk 11 the codec.
#[derive(Debug)]
pub struct Files {
    version: Version,
    glibc: Option<String>,
    modules: Vec<Module>,
}

/// One module, as read from its file.
#[derive(Debug)]
pub struct Module {
    /// The name of its file.
    pub name: &'static str,
    /// The content of the file.
    pub elf: Elf,
    /// The sum of its content.
    pub sum: Sum,
}

impl Files {
    /// Writes the version and the sums of the modules in `directory` beside them.
    pub fn seal(directory: &Path, version: &str, glibc: Option<&str>) -> io::Result<()> {
        let glibc = glibc.map(|glibc| format!("{GLIBC}{glibc}\n")).unwrap_or_default();
        fs::write(directory.join(MADE_FOR), format!("{version}\n{glibc}"))?;
        let optional = [CODEC, PROGRAM].into_iter().filter(|file| directory.join(file).exists());
        let all: Vec<&str> = MODULES.into_iter().chain([MADE_FOR]).chain(optional).collect();
        write_sums(directory, &all)
    }

    /// Reads the modules in `directory`; fails unless they are complete, intact and ours.
    pub fn in_directory(directory: &Path) -> Result<Self, Refusal> {
        let sums = Sums::of(directory)?;
        let note = String::from_utf8(sums.check(directory, MADE_FOR)?).unwrap_or_default();
        let bad = |file: &str, reason| Refusal::BadFile { file: directory.join(file), reason };
        let version = note.lines().next().and_then(|line| line.trim().parse().ok().map(Version));
        let version = version.ok_or_else(|| bad(MADE_FOR, "it names no version of Asterisk"))?;
        let glibc = note.lines().find_map(|line| line.strip_prefix(GLIBC)).map(str::to_owned);
        let module = |name| {
            let bytes = sums.check(directory, name)?;
            let sum = Sum::of(&bytes);
            let elf = Elf::parse(&directory.join(name), bytes)?;
            match elf.machine() {
                _ if !elf.is_ours() => Err(bad(name, "this is not one of our modules")),
                Machine::HERE => Ok(Module { name, elf, sum }),
                _ => Err(bad(name, "this is for another kind of machine")),
            }
        };
        let codec = Some(CODEC).filter(|codec| sums.name(codec));
        let modules = codec.into_iter().chain(MODULES).map(module).collect::<Result<_, _>>()?;
        Ok(Self { version, glibc, modules })
    }

    /// The major version of Asterisk that they are for.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The oldest C library that they run with; `None` if unknown.
    pub fn glibc(&self) -> Option<&str> {
        self.glibc.as_deref()
    }

    pub(crate) fn modules(&self) -> &[Module] {
        &self.modules
    }
}

/// Whether the file is one of our modules.
pub fn is_ours(file: &Path) -> bool {
    Elf::read(file).is_ok_and(|elf| elf.is_ours())
}
