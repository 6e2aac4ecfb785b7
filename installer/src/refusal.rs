//! The reasons for doing nothing, each as a sentence for the user.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::machine::Machine;
use crate::names::shown;
use crate::originals;
use crate::version::Version;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no Asterisk.
    #[error(
        "No Asterisk was found below {} (looked for sbin/asterisk and lib/asterisk/modules, also below usr). Name the \
         directory that contains them: --prefix DIR.",
        one_of(.0)
    )]
    NoAsterisk(Vec<PathBuf>),
    /// The directory contains nothing of an Asterisk.
    #[error("{}: this is not a modules directory of an Asterisk.", .0.display())]
    NoModules(PathBuf),
    /// The directory does not show the version of its Asterisk.
    #[error("{}: these modules do not show the version of their Asterisk. Name its prefix instead: --prefix DIR.", .0.display())]
    UnknownVersion(PathBuf),
    /// The program does not show its version in a way that we understand.
    #[error("{}: neither this program nor its modules show the version of Asterisk.", .0.display())]
    SilentProgram(PathBuf),
    /// The Asterisk has another version than the files are for.
    #[error("{}: this is the modules directory of an Asterisk {found}, but the files are for Asterisk {wanted}.", .modules.display())]
    OtherVersion {
        /// The modules directory.
        modules: PathBuf,
        /// The version of the host.
        found: String,
        /// The version that the files are for.
        wanted: Version,
    },
    /// There are several possible modules directories.
    #[error("Asterisk's modules may be in {}. Name the directory: --modules DIR.", one_of(.0))]
    SeveralDirectories(Vec<PathBuf>),
    /// There are several complete installations.
    #[error("There is an Asterisk below {}. Name one: --prefix DIR.", one_of(.0))]
    SeveralAsterisks(Vec<PathBuf>),
    /// The Asterisk is for another kind of machine than the files.
    #[error("{}: this is for {found}, but the modules are for {ours}.", .file.display())]
    OtherMachine {
        /// The file that is for another machine.
        file: PathBuf,
        /// The machine that it is for.
        found: Machine,
        /// The machine that our modules are for.
        ours: Machine,
    },
    /// Program and modules have different versions.
    #[error("{}: these are not the modules of {}, which is an Asterisk {found}.", .modules.display(), .program.display())]
    OtherModules {
        /// The modules directory.
        modules: PathBuf,
        /// The program.
        program: PathBuf,
        /// The version of the program.
        found: String,
    },
    /// The Asterisk was built with an option that our files do not support.
    #[error("{}: this Asterisk was built with {option}, which the modules do not support.", .file.display())]
    BuildOption {
        /// The program, or the modules directory.
        file: PathBuf,
        /// The name of the option in `menuselect`.
        option: String,
    },
    /// The host lacks a function that our files call.
    #[error("{}: this Asterisk has no {symbol}, which {module} calls: it was built with an unknown option.", .program.display())]
    NoSymbol {
        /// The program.
        program: PathBuf,
        /// Our module that calls it.
        module: &'static str,
        /// The missing function.
        symbol: String,
    },
    /// Asterisk is running with calls.
    #[error(
        "Asterisk is running (process {process}) with {count} {} in calls: stop it, or wait until the calls have ended.",
        if *count == 1 { "channel" } else { "channels" }
    )]
    CallsUp {
        /// The id of the process.
        process: u32,
        /// The number of channels.
        count: u32,
    },
    /// Asterisk is running, but does not answer whether it has calls.
    #[error("Process {process} has loaded these modules and does not say whether calls are up: stop it first.")]
    CallsUnknown {
        /// The id of the process.
        process: u32,
    },
    /// A process may have loaded the modules, but only root may check.
    #[error(
        "Process {process} is an Asterisk by its name, and you may not see whether it has loaded these modules. Run this as \
         root, or stop it first."
    )]
    ProcessHidden {
        /// The id of the process.
        process: u32,
    },
    /// A process may have loaded the modules, but even root may not check.
    #[error(
        "Process {process} is an Asterisk by its name, and here not even root may see whether it has loaded these modules, \
         because the container has no CAP_SYS_PTRACE. Stop it first."
    )]
    ProcessDenied {
        /// The id of the process.
        process: u32,
    },
    /// `/proc` does not show the processes.
    #[error(
        "It cannot be checked whether Asterisk is running with calls: /proc is missing, or does not show the processes of \
         other users (hidepid){}.",
        if we_are_root() { "" } else { ". Run this as root" }
    )]
    ProcessesHidden,
    /// Exactly these files are installed.
    #[error("{}: these modules are installed there already.", .0.display())]
    AlreadyInstalled(PathBuf),
    /// Our modules are there, but there is no record of the originals.
    #[error(
        "{}: this is one of our modules, but there is no record of the original: it was copied there by hand, or `originals` \
         has been removed. Put the original back first.",
        .file.display()
    )]
    CopiedByHand {
        /// The file.
        file: PathBuf,
    },
    /// There is nothing to remove.
    #[error("{}: our modules are not installed there.", .0.display())]
    NotInstalled(PathBuf),
    /// Others have replaced our modules.
    #[error(
        "{}: our modules are not installed there any more. Others have replaced them, perhaps by an upgrade of Asterisk; \
         remove {} unless you still need the modules from before ours.",
        .0.display(), originals::directory(.0).display()
    )]
    Replaced(PathBuf),
    /// There is a directory `originals`, but it has no manifest.
    #[error(
        "{}: this is in the way. It has no manifest, so this program did not create it. If it contains the originals, move \
         them back to the directory above; otherwise rename it.",
        .0.display()
    )]
    NotOurs(PathBuf),
    /// Another installer is running.
    #[error(
        "{}: another process has locked this directory, most likely another installation. Try again when it has ended.",
        .0.display()
    )]
    Busy(PathBuf),
    /// A kept file has changed.
    #[error(
        "{}: this has changed since it was kept, so nothing was done. To continue by hand, reinstall Asterisk\u{2019}s own \
         modules and rename that directory.",
        .0.display()
    )]
    Damaged(PathBuf),
    /// Somebody else has just changed a file.
    #[error("{}: somebody else has just changed this, so nothing was done. Try again.", .0.display())]
    Changed(PathBuf),
    /// One of our files is missing or invalid.
    #[error("{}: {reason}.", .file.display())]
    BadFile {
        /// The file.
        file: PathBuf,
        /// The reason, as the end of a sentence about the file.
        reason: &'static str,
    },
    /// There is a directory, FIFO, socket or device in place of a file.
    #[error("{}: this should be a file, but it is not.", .0.display())]
    NoFile(PathBuf),
    /// Only root has permission.
    #[error("{}: you have no permission. Run this as root.", .0.display())]
    NoPermission(PathBuf),
    /// Not even root has permission.
    #[error(
        "{}: the system does not let even root change this. The reason may be an attribute (lsattr shows it, chattr removes \
         it), SELinux, a file server, or a file system without hard links.",
        .0.display()
    )]
    Denied(PathBuf),
    /// The file system is mounted read-only.
    #[error("{}: the file system is mounted read-only.", .0.display())]
    ReadOnly(PathBuf),
    /// The file system is full, or the user's quota is used up.
    #[error("{}: there is no room left on the file system.", .0.display())]
    NoRoom(PathBuf),
    /// Hard links are not possible.
    #[error(
        "{}: its file system does not support hard links, or `originals` is on another file system.",
        .0.display()
    )]
    NoLinks(PathBuf),
    /// The system reported another error.
    #[error("{}: {reason}.", .path.display())]
    System {
        /// The path that it is about.
        path: PathBuf,
        /// The error of the system.
        reason: io::Error,
    },
}

impl Refusal {
    /// Whether the problem is this one file, so that another file may do. An error of the system concerns all files.
    pub(crate) fn is_about_a_file(&self) -> bool {
        !matches!(self, Self::System { reason, .. } if reason.kind() != io::ErrorKind::NotFound)
    }

    /// The reason as a sentence for the user; `undo` is the command that puts the originals back.
    pub fn sentence(&self, undo: &str) -> String {
        match self {
            Self::AlreadyInstalled(_) => format!("{self} `{undo}` puts the originals back."),
            _ => self.to_string(),
        }
    }
}

/// Converts an I/O error about `path` into a refusal.
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

/// Whether this process runs as root.
pub fn we_are_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Joins paths to `/a or /b`.
fn one_of(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
}
