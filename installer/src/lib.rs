//! Puts the three modules in the place of an Asterisk's own, and takes them out again.
//!
//! Everything is looked at before anything is touched: which Asterisk it is, how it was built, whether it is one that the
//! files load into, and whether it runs with calls up. Nothing is run for that: what is below a prefix, or has loaded from it,
//! may be anybody's, and root is who installs. Then the change is made by renames that take effect at once, and one that fails
//! takes back those before it.
//!
//! The originals stay what they are: each gets a second name in `originals/` below the modules directory, where the host
//! does not look for modules, and gets its first name back when ours go. That directory's `manifest` says what belongs where,
//! so that also a change that was cut off can be undone. A module that has since been replaced by somebody else, by an upgrade
//! of the host most likely, is the original from then on.

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
mod read;
mod refusal;
mod running;
mod sums;
mod swap;

use std::fs::TryLockError;
use std::path::{Path, PathBuf};

pub use files::Files;
pub use host::{Host, Symbols, Version};
pub use location::{Location, Which};
pub use refusal::Refusal;
pub use running::Processes;

use kept::{Back, Content, Entry, Kept};
use names::{Directory, shown};
use refusal::at;
use swap::Swap;

/// The modules, by the names of the originals.
pub const MODULES: [&str; 3] = ["res_http_websocket.so", "res_srtp.so", "res_rtp_asterisk.so"];

/// What was done.
#[derive(Debug)]
pub struct Done {
    /// The modules directory.
    pub modules: PathBuf,
    /// What is in it now.
    pub now: Now,
    /// An Asterisk runs and has the files of before in its memory.
    pub is_running: bool,
}

/// Whose modules a directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Now {
    /// Ours.
    Ours {
        /// Whether the host is known to have all that they call.
        symbols: Symbols,
    },
    /// The host's own.
    Originals {
        /// Those that are not the ones of before ours, which are kept still.
        replaced: Vec<&'static str>,
    },
}

impl Done {
    /// For the person at the keyboard.
    pub fn sentence(&self) -> String {
        let (modules, kept) = (self.modules.display(), kept::directory(&self.modules));
        let mut told = match &self.now {
            Now::Ours { .. } => format!("The modules are in {modules}, the originals in {}.", kept.display()),
            Now::Originals { .. } => format!("The originals are back in {modules}."),
        };
        match &self.now {
            Now::Ours { symbols: Symbols::Unknown } => told.push_str(
                " No program was found that goes with them, so whether it has all that they call could not be looked at.",
            ),
            Now::Originals { replaced } if !replaced.is_empty() => {
                let left = if replaced.len() == 1 { "was left as it is" } else { "were left as they are" };
                let replaced_names = replaced.join(" and ");
                told.push_str(&format!(" {replaced_names} came after ours, by an upgrade of Asterisk perhaps, and {left}"));
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

/// Looks whether anything about `host` keeps the modules out, and touches nothing: for who has yet to build them.
pub fn check(host: &Host, processes: &Processes) -> Result<(), Refusal> {
    let Alone(modules) = &Alone::in_directory(host.modules())?;
    Standing::of(host, modules, processes)?;
    swap::may_write(modules)
}

/// Puts `files` in the place of `host`'s own modules. Ours of another release give way, and where the host was upgraded over
/// ours, what came with that is what is kept.
pub fn install(files: &Files, host: &Host, processes: &Processes) -> Result<Done, Refusal> {
    let path = host.modules();
    if files.version() != host.version() {
        return Err(Refusal::OtherVersion { modules: path.into(), found: host.told(), wanted: files.version() });
    }
    let Alone(modules) = &Alone::in_directory(path)?;
    let Standing { kept, is_running } = Standing::of(host, modules, processes)?;
    if kept.is_some() && are_in(modules, files)? {
        return Err(Refusal::AlreadyInstalled(path.into()));
    }
    let symbols = host.check_symbols(files)?;
    sweep(modules);
    let swap = Swap::stage(modules, files)?;
    let originals: Vec<Option<Content>> = kept.map_or(vec![None; MODULES.len()], |(kept, back)| kept.originals(&back));
    let entries = files.modules().iter().zip(&originals).map(|(ours, original)| {
        let original = original.clone().map_or_else(|| Content::of(&modules.at(ours.name)), Ok)?;
        Ok(Entry { module: ours.name, original, ours: ours.sum.clone() })
    });
    let kept = Kept::begin(modules, entries.collect::<Result<_, _>>()?)?;
    let is_kept: Vec<bool> = originals.iter().map(Option::is_some).collect();
    swap.carry_out(&kept, &is_kept)?;
    Ok(Done { modules: path.into(), now: Now::Ours { symbols }, is_running })
}

/// Puts back what was in the modules directory before [`install`]. Which Asterisk it belongs to does not matter.
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

/// How `install` finds a host that lets it in.
struct Standing<'a> {
    /// What an earlier one has kept, and what it takes to put that back.
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

/// Two at a time would take each other's files for their own. The directory that is locked is the one that is changed, whatever
/// becomes of its name: those above it may be somebody else's.
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

/// Closing is not enough: a process that is just being started holds the file as well.
impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.0.file().unlock();
    }
}

/// What one that was killed has left, under names that are nobody's but ours.
fn sweep(modules: &Directory) {
    swap::sweep(modules);
    kept::sweep(modules);
}

/// Whether these very files are where they belong.
fn are_in(modules: &Directory, files: &Files) -> Result<bool, Refusal> {
    for ours in files.modules() {
        if Content::of(&modules.at(ours.name))? != Content::File(ours.sum.clone()) {
            return Ok(false);
        }
    }
    Ok(true)
}
