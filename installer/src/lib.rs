//! Replaces three modules of an Asterisk by ours, adds one that replaces none, and restores what was there before.
//!
//! Everything is checked before anything is changed: the version of Asterisk, its build options, whether our files
//! load into it, and whether it has calls. The checks run no program: files below a prefix, and processes that have
//! loaded them, may belong to anybody, while the user who installs is often root. The change itself consists of atomic
//! renames; if one fails, the previous ones are undone.
//!
//! The originals are not copied: each gets a hard link in `originals/` below the modules directory, where the host
//! does not look for modules, and gets its first name back when our modules are removed. The `manifest` in that
//! directory records which file belongs where, so that even an interrupted change can be undone. If somebody replaces
//! one of our modules later, most likely by an upgrade of the host, the new file counts as the original.
mod configuration;
mod console;
mod elf;
mod files;
mod host;
mod kept;
mod location;
mod machine;
mod mapped;
mod names;
mod options;
mod originals;
mod read;
mod refusal;
mod running;
mod sums;
mod swap;
mod version;

use std::fs::TryLockError;
use std::path::{Path, PathBuf};

pub use files::Files;
pub use host::{Host, Symbols};
pub use location::{Location, Which};
pub use refusal::Refusal;
pub use running::Processes;
pub use version::Version;

use files::Module;
use kept::{Back, Content, Entry, Kept};
use names::{Directory, shown};
use refusal::at;
use swap::Swap;

/// The file names of the modules, which are those of the originals.
pub const MODULES: [&str; 3] = ["res_http_websocket.so", "res_srtp.so", "res_rtp_asterisk.so"];

/// The file name of the module that replaces none of the host's. The files for Asterisk 11 alone have it.
pub const CODEC: &str = "codec_opus_g719.so";

/// The names that any of our files may have, in the order of the record. The codec is the first, so that a record that has lost its last
/// lines is not mistaken for one without the codec.
fn all() -> impl Iterator<Item = &'static str> {
    std::iter::once(CODEC).chain(MODULES)
}

/// The result of a change.
#[derive(Debug)]
pub struct Done {
    /// The modules directory.
    pub modules: PathBuf,
    /// Its current content.
    pub now: Now,
    /// Whether an Asterisk is running that has the previous files loaded.
    pub is_running: bool,
}

/// The modules that a directory contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Now {
    /// Ours.
    Ours {
        /// Whether the host is known to have all functions that they call.
        symbols: Symbols,
    },
    /// The host's originals.
    Originals {
        /// The modules that somebody replaced after our installation; the earlier originals are still kept.
        replaced: Vec<&'static str>,
    },
}

impl Done {
    /// Describes the result to the user.
    pub fn sentence(&self) -> String {
        let (modules, kept) = (self.modules.display(), originals::directory(&self.modules));
        let mut told = match &self.now {
            Now::Ours { .. } => format!("The modules are in {modules}, the originals in {}.", kept.display()),
            Now::Originals { .. } => format!("The originals are back in {modules}."),
        };
        match &self.now {
            Now::Ours { symbols: Symbols::Unknown } => told.push_str(
                " No program was found that belongs to them, so it is unknown whether it has all functions that they call.",
            ),
            Now::Originals { replaced } if !replaced.is_empty() => {
                let left = if replaced.len() == 1 { "was left as it is" } else { "were left as they are" };
                let replaced_names = replaced.join(" and ");
                told.push_str(&format!(" {replaced_names} came after ours, perhaps by an upgrade of Asterisk, and {left}"));
                if MODULES.iter().any(|module| kept.join(module).symlink_metadata().is_ok()) {
                    told.push_str(&format!("; what was there before ours is in {}", kept.display()));
                }
                told.push('.');
            }
            _ => {}
        }
        if self.is_running {
            told.push_str(" Asterisk is running: restart it.");
        }
        told
    }
}

/// Checks whether the modules could be installed, without changing anything: for use before they are built.
pub fn check(host: &Host, processes: &Processes) -> Result<(), Refusal> {
    let Alone(modules) = &Alone::in_directory(host.modules())?;
    Standing::of(host, modules, processes)?;
    swap::may_write(modules)
}

/// Installs `files` in place of the modules of `host`. Replaces an earlier release of ours. If the host was upgraded
/// since, keeps the modules of the upgrade as originals.
pub fn install(files: &Files, host: &Host, processes: &Processes) -> Result<Done, Refusal> {
    let path = host.modules();
    if files.version() != host.version() {
        return Err(Refusal::OtherVersion { modules: path.into(), found: host.told(), wanted: files.version() });
    }
    let Alone(modules) = &Alone::in_directory(path)?;
    let Standing { kept, is_running } = Standing::of(host, modules, processes)?;
    if kept.as_ref().is_some_and(|(kept, _)| kept.has_the_modules_of(files)) && are_in(modules, files)? {
        return Err(Refusal::AlreadyInstalled(path.into()));
    }
    let symbols = host.check_symbols(files)?;
    sweep(modules);
    let swap = Swap::stage(modules, files)?;
    let earlier = kept.map_or_else(Vec::new, |(kept, back)| kept.originals(&back));
    let original_of =
        |ours: &Module| earlier.iter().find(|(module, _)| *module == ours.name).map(|(_, kept)| kept.clone());
    let originals = files.modules().iter().map(|ours| original_of(ours).or_else(|| added_by_hand(modules, ours)));
    let originals: Vec<Option<Content>> = originals.collect();
    let entries = files.modules().iter().zip(&originals).map(|(ours, original)| {
        let original = original.clone().map_or_else(|| Content::of(&modules.at(ours.name)), Ok)?;
        Ok(Entry { module: ours.name, original, ours: ours.sum.clone() })
    });
    let kept = Kept::begin(modules, entries.collect::<Result<_, _>>()?)?;
    let is_kept: Vec<bool> = originals.iter().map(Option::is_some).collect();
    swap.carry_out(&kept, &is_kept)?;
    if earlier.iter().any(|(module, _)| *module == CODEC) {
        take_out_earlier_codec(modules, files, &kept);
    }
    Ok(Done { modules: path.into(), now: Now::Ours { symbols }, is_running })
}

/// Restores the modules from before [`install`], for any version of Asterisk.
pub fn uninstall(location: &Location, processes: &Processes) -> Result<Done, Refusal> {
    let path = location.modules();
    let Alone(modules) = &Alone::in_directory(path)?;
    let Some(kept) = Kept::find(modules)? else {
        sweep(modules);
        let ours = MODULES.into_iter().find(|module| files::is_ours(&modules.at(module)));
        let by_hand = |module| Refusal::CopiedByHand { file: path.join(module) };
        return Err(ours.map_or(Refusal::NotInstalled(path.into()), by_hand));
    };
    let back = kept.check()?;
    let left = kept.entries().iter().zip(&back).filter(|(_, back)| **back == Back::Leave);
    let replaced: Vec<_> = left.map(|(entry, _)| entry.module).filter(|module| modules.at(module).exists()).collect();
    if !replaced.is_empty() && back.iter().all(|back| matches!(back, Back::Leave | Back::Nothing)) {
        return Err(Refusal::Replaced(path.into()));
    }
    let is_running = running::without_calls(path, processes)?;
    sweep(modules);
    swap::put_back(modules, &kept, &back)?;
    kept.forget();
    Ok(Done { modules: path.into(), now: Now::Originals { replaced }, is_running })
}

/// The state of a host that has passed all checks.
struct Standing<'a> {
    /// The originals kept by an earlier installation, with the steps that restore them.
    kept: Option<(Kept<'a>, Vec<Back>)>,
    is_running: bool,
}

impl<'a> Standing<'a> {
    fn of(host: &Host, modules: &'a Directory, processes: &Processes) -> Result<Self, Refusal> {
        host.check_modules()?;
        let kept = Kept::find(modules)?.map(|kept| kept.check().map(|back| (kept, back))).transpose()?;
        for file in MODULES.map(|module| modules.at(module)) {
            Content::of(&file)?;
            if kept.is_none() && files::is_ours(&file) {
                return Err(Refusal::CopiedByHand { file: shown(&file) });
            }
        }
        host.check_options()?;
        Ok(Self { kept, is_running: running::without_calls(host.modules(), processes)? })
    }
}

/// The original of a module of ours that replaces none, and that somebody has copied there: there was nothing before.
fn added_by_hand(modules: &Directory, ours: &Module) -> Option<Content> {
    (ours.name == CODEC && files::is_ours(&modules.at(CODEC))).then_some(Content::Nothing)
}

/// Takes out the codec of files for another host, if the new ones have none. A failure does no harm: the new host declines it.
fn take_out_earlier_codec(modules: &Directory, files: &Files, kept: &Kept) {
    let file = modules.at(CODEC);
    if files.modules().iter().all(|ours| ours.name != CODEC) && files::is_ours(&file) {
        let _ = names::restore(&kept.path(CODEC), &file);
    }
}

/// A lock against a second installer in this modules directory, which would mistake our files for its own.
/// All changes go through the locked directory, even if its path leads elsewhere meanwhile: directories
/// above it may be somebody else's.
struct Alone(Directory);

impl Alone {
    fn in_directory(modules: &Path) -> Result<Self, Refusal> {
        let directory = Directory::open(modules).map_err(at(modules))?;
        match directory.file().try_lock() {
            Ok(()) => Ok(Self(directory)),
            Err(TryLockError::WouldBlock) => Err(Refusal::Busy(modules.into())),
            Err(TryLockError::Error(error)) => Err(at(modules)(error)),
        }
    }
}

/// Unlocks explicitly. Closing the file is not enough: a process that is just being started has it open, too.
impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.0.file().unlock();
    }
}

/// Removes the leftovers of an interrupted installer, which have names that only we use.
fn sweep(modules: &Directory) {
    swap::sweep(modules);
    kept::sweep(modules);
}

/// Whether exactly these files are installed.
fn are_in(modules: &Directory, files: &Files) -> Result<bool, Refusal> {
    for ours in files.modules() {
        if Content::of(&modules.at(ours.name))? != Content::File(ours.sum.clone()) {
            return Ok(false);
        }
    }
    Ok(true)
}
