//! Puts the three modules in the place of an Asterisk's own, and takes them out again.
//!
//! Everything is looked at before anything is touched: which Asterisk it is, how it was built, whether it is one that the
//! files load into, and whether it runs with calls up. The program is read, not run, where its version can be read. Then the
//! change is made by renames that take effect at once, and one that fails takes back those before it.
//!
//! The originals stay what they are: each gets a second name in `originals/` below the modules directory, where the host
//! does not look for modules, and gets its first name back when ours go. That directory's `manifest` says what belongs where,
//! so that also a change that was cut off can be undone.

mod configuration;
mod console;
mod elf;
mod files;
mod host;
mod kept;
mod location;
mod mapped;
mod options;
mod read;
mod refusal;
mod running;
mod swap;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

pub use files::{Files, MADE_FOR};
pub use host::{Host, Version};
pub use location::{Location, Which};
pub use refusal::Refusal;

use kept::{Entry, Kept, Sum};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Now {
    /// Ours.
    Ours,
    /// The host's own.
    Originals,
}

impl Done {
    /// For the person at the keyboard.
    pub fn sentence(&self) -> String {
        let modules = self.modules.display();
        let done = match self.now {
            Now::Ours => {
                format!("The modules are in {modules}, the originals in {}.", kept::directory(&self.modules).display())
            }
            Now::Originals => format!("The originals are back in {modules}."),
        };
        if self.is_running { format!("{done} Asterisk is running: restart it.") } else { done }
    }
}

/// Puts `files` in the place of `host`'s own modules.
pub fn install(files: &Files, host: &Host) -> Result<Done, Refusal> {
    if files.version() != host.version() {
        return Err(Refusal::OtherVersion {
            modules: host.modules().into(),
            found: host.told(),
            wanted: files.version(),
        });
    }
    let _alone = Alone::in_directory(host.modules())?;
    host.check_modules()?;
    not_ours_already(host.modules())?;
    host.check_options()?;
    host.check_symbols(files)?;
    let is_running = running::without_calls(host.location())?;
    let mut swap = Swap::stage(host.modules(), files)?;
    let entries = MODULES.map(|module| entry(host, files, module)).into_iter().collect::<Result<Vec<_>, _>>()?;
    let kept = Kept::begin(host.modules(), entries)?;
    swap.carry_out(&kept).inspect_err(|_| kept.forget())?;
    Ok(Done { modules: host.modules().into(), now: Now::Ours, is_running })
}

/// Puts back what was in the modules directory before [`install`]. Which Asterisk it belongs to does not matter.
pub fn uninstall(location: &Location) -> Result<Done, Refusal> {
    let modules = location.modules();
    let _alone = Alone::in_directory(modules)?;
    let kept = Kept::read(modules)?;
    let back = kept.check()?;
    let is_running = running::without_calls(location)?;
    swap::put_back(modules, &kept, &back)?;
    Ok(Done { modules: modules.into(), now: Now::Originals, is_running })
}

/// Two at a time would take each other's files for their own.
struct Alone(File);

impl Alone {
    fn in_directory(modules: &Path) -> Result<Self, Refusal> {
        let directory = File::open(modules).map_err(at(modules))?;
        match directory.try_lock() {
            Ok(()) => Ok(Self(directory)),
            Err(TryLockError::WouldBlock) => Err(Refusal::Busy(modules.into())),
            Err(TryLockError::Error(error)) => Err(at(modules)(error)),
        }
    }
}

/// Closing is not enough: a process that is just being started holds the file as well.
impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

fn entry(host: &Host, files: &Files, module: &'static str) -> Result<Entry, Refusal> {
    Ok(Entry { module, original: Sum::of(&host.modules().join(module))?, ours: files.sum(module)? })
}

fn not_ours_already(modules: &Path) -> Result<(), Refusal> {
    if kept::directory(modules).exists() {
        return Err(Refusal::AlreadyInstalled(modules.into()));
    }
    let by_hand = MODULES.into_iter().find(|module| files::is_ours(&modules.join(module)));
    by_hand.map_or(Ok(()), |module| Err(Refusal::CopiedByHand { file: modules.join(module) }))
}
