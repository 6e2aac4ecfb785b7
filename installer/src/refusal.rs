//! Why nothing was done, each in a sentence for the person at the keyboard.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::host::Version;
use crate::kept;
use crate::machine::Machine;
use crate::names::shown;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no Asterisk.
    #[error(
        "There is no Asterisk below {} (sbin/asterisk and lib/asterisk/modules, or usr/… of them). Name the directory that \
         holds those: --prefix DIR.",
        one_of(.0)
    )]
    NoAsterisk(Vec<PathBuf>),
    /// There is nothing of an Asterisk in the directory.
    #[error("{}: this is no modules directory of an Asterisk.", .0.display())]
    NoModules(PathBuf),
    /// The directory does not tell which Asterisk it belongs to.
    #[error("{}: which Asterisk these modules belong to cannot be told. Name its prefix instead: --prefix DIR.", .0.display())]
    UnknownVersion(PathBuf),
    /// Nor does the program, in a way that is understood here.
    #[error("{}: which Asterisk this is can be told neither from it nor from its modules.", .0.display())]
    SilentProgram(PathBuf),
    /// Another Asterisk than the files are for.
    #[error("{}: this is the modules directory of an Asterisk {found}, and the files are for Asterisk {wanted}.", .modules.display())]
    OtherVersion {
        /// The modules directory.
        modules: PathBuf,
        /// As the host says it.
        found: String,
        /// What the files are for.
        wanted: Version,
    },
    /// Several places where its modules may be.
    #[error("Asterisk's modules may be in {}. Name the directory: --modules DIR.", one_of(.0))]
    SeveralDirectories(Vec<PathBuf>),
    /// Several complete installations.
    #[error("There is an Asterisk below {}. Name one: --prefix DIR.", one_of(.0))]
    SeveralAsterisks(Vec<PathBuf>),
    /// Another kind of machine than the files are for.
    #[error("{}: this is for {found}, and the modules are for {ours}.", .file.display())]
    OtherMachine {
        /// What is not for ours.
        file: PathBuf,
        /// What it is for.
        found: Machine,
        /// What ours are for.
        ours: Machine,
    },
    /// The program is one version, the modules are another's.
    #[error("{}: these are not the modules of {}, which is an Asterisk {found}.", .modules.display(), .program.display())]
    OtherModules {
        /// The modules directory.
        modules: PathBuf,
        /// The program.
        program: PathBuf,
        /// Its version.
        found: String,
    },
    /// Built in a way that our files were never tried with.
    #[error("{}: this Asterisk was built with {option}, and the modules do not load into such a one.", .file.display())]
    BuildOption {
        /// The program, or the modules directory.
        file: PathBuf,
        /// As `menuselect` has it.
        option: String,
    },
    /// The host lacks what our files call.
    #[error("{}: this Asterisk has no {symbol}, which {module} calls: it was built with an option that is unknown here.", .program.display())]
    NoSymbol {
        /// The program.
        program: PathBuf,
        /// Of ours.
        module: &'static str,
        /// What is missing.
        symbol: String,
    },
    /// Somebody is talking.
    #[error(
        "Asterisk is running (process {process}) with {count} {} in calls: stop it, or wait until they have ended.",
        if *count == 1 { "channel" } else { "channels" }
    )]
    CallsUp {
        /// Its id.
        process: u32,
        /// How many.
        count: u32,
    },
    /// It runs, but gives no answer.
    #[error("Process {process} runs with these modules and does not say whether calls are up: stop it first.")]
    CallsUnknown {
        /// Its id.
        process: u32,
    },
    /// A process may be one that runs, and only root may look.
    #[error(
        "Process {process} is an Asterisk by its name, and you may not see whether it runs with these modules. Run this as \
         root, or stop it first."
    )]
    ProcessHidden {
        /// Its id.
        process: u32,
    },
    /// The same, and root may not look either.
    #[error(
        "Process {process} is an Asterisk by its name, and here not even root may see whether it runs with these modules: the \
         container has no CAP_SYS_PTRACE. Stop it first."
    )]
    ProcessDenied {
        /// Its id.
        process: u32,
    },
    /// `/proc` does not show them.
    #[error(
        "Whether Asterisk is running with calls cannot be seen: /proc is not there, or does not show the processes of others \
         (hidepid){}.",
        if we_are_root() { "" } else { ". Run this as root" }
    )]
    ProcessesHidden,
    /// These very files are there.
    #[error("{}: the modules are installed there already.", .0.display())]
    AlreadyInstalled(PathBuf),
    /// Ours are there, and nobody knows where the originals are.
    #[error(
        "{}: this is one of ours, and nothing tells what was there before: it was copied there by hand, or `originals` has been \
         removed. Put the original back first.",
        .file.display()
    )]
    CopiedByHand {
        /// The file.
        file: PathBuf,
    },
    /// Nothing to take out.
    #[error("{}: nothing of ours is installed there.", .0.display())]
    NotInstalled(PathBuf),
    /// Others have taken the place of ours.
    #[error(
        "{}: nothing of ours is installed there any more. Others have taken its place, by an upgrade of Asterisk perhaps; \
         remove {} if you do not want back what was there before.",
        .0.display(), kept::directory(.0).display()
    )]
    Replaced(PathBuf),
    /// A directory of that name, and nothing that says what is in it.
    #[error(
        "{}: this is in the way, and not of our making: there is no manifest in it. If it holds the originals, move them \
         back to the directory above; else give it another name.",
        .0.display()
    )]
    NotOurs(PathBuf),
    /// Another of us is at it.
    #[error(
        "{}: another process has this directory locked, most likely an installation that is under way. Try again when it has \
         ended.",
        .0.display()
    )]
    Busy(PathBuf),
    /// What was kept is not what it was.
    #[error(
        "{}: this is not as it was kept, so nothing was touched. To go on by hand, install Asterisk\u{2019}s own modules again \
         and give that directory another name.",
        .0.display()
    )]
    Damaged(PathBuf),
    /// Somebody else is at it.
    #[error("{}: this has just been changed by somebody else, so nothing was. Try again.", .0.display())]
    Changed(PathBuf),
    /// One of our files is missing or is none.
    #[error("{}: {reason}.", .file.display())]
    BadFile {
        /// The file.
        file: PathBuf,
        /// What it is not.
        reason: &'static str,
    },
    /// A directory, a FIFO, a socket or a device.
    #[error("{}: there should be a file, and this is none.", .0.display())]
    NoFile(PathBuf),
    /// Only root may.
    #[error("{}: you have no permission. Run this as root.", .0.display())]
    NoPermission(PathBuf),
    /// Not even root may.
    #[error(
        "{}: the system does not let even root change this. An attribute (lsattr shows it, chattr takes it away), SELinux, \
         a file server or a file system without hard links may be why.",
        .0.display()
    )]
    Denied(PathBuf),
    /// Mounted for reading.
    #[error("{}: the file system is mounted read-only.", .0.display())]
    ReadOnly(PathBuf),
    /// The file system is full, or the user's share of it is.
    #[error("{}: there is no room left on the file system.", .0.display())]
    NoRoom(PathBuf),
    /// There are no two names for one file.
    #[error(
        "{}: its file system has no second names for files (hard links), or the directory `originals` is of another one.",
        .0.display()
    )]
    NoLinks(PathBuf),
    /// The system refused.
    #[error("{}: {reason}.", .path.display())]
    System {
        /// What it was about.
        path: PathBuf,
        /// Its words.
        reason: io::Error,
    },
}

impl Refusal {
    /// Whether another file may well be better. Where the system cannot go on, none is.
    pub(crate) fn is_about_a_file(&self) -> bool {
        !matches!(self, Self::System { reason, .. } if reason.kind() != io::ErrorKind::NotFound)
    }

    /// For the person at the keyboard, who has to type `undo` to have the originals back.
    pub fn sentence(&self, undo: &str) -> String {
        match self {
            Self::AlreadyInstalled(_) => format!("{self} `{undo}` puts the originals back."),
            _ => self.to_string(),
        }
    }
}

/// Names the path that a failure was about.
pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Refusal {
    let path = shown(path);
    move |reason| match reason.kind() {
        io::ErrorKind::PermissionDenied if we_are_root() => Refusal::Denied(path),
        io::ErrorKind::PermissionDenied => Refusal::NoPermission(path),
        io::ErrorKind::ReadOnlyFilesystem => Refusal::ReadOnly(path),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Refusal::NoRoom(path),
        io::ErrorKind::CrossesDevices | io::ErrorKind::TooManyLinks | io::ErrorKind::Unsupported => {
            Refusal::NoLinks(path)
        }
        _ => Refusal::System { path, reason },
    }
}

/// Whether there is nobody to become that may do more.
pub fn we_are_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// `/a or /b`
fn one_of(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
}
