//! Links modules that run with every glibc since 2.17, on any build machine.
//!
//! An Asterisk 11 often runs on a system as old as itself, and a file linked on a newer system uses functions that the
//! older C library lacks. Zig includes the headers and symbols of every glibc, and compiles and links C like `cc`. It
//! comes as the Python package `ziglang`, which is unpacked into `target/zig` only.
//!
//! `ZIG` may name another zig, or be `no`: then the machine's own compiler is used, and the files need a C library at
//! least as new as this machine's.

use std::env::consts::ARCH;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::packages;
use crate::run::{output, run, target_directory};

/// The variable that names another zig, or is `no`.
const ZIG: &str = "ZIG";

/// The file beside this crate's manifest with the tested version and its packages.
const PACKAGE: &str = "zig.txt";

/// The C library of CentOS 7, which is also the oldest for Rust's standard library.
pub const GLIBC: &str = "2.17";

/// The replacements of `cc` and `ar` for cargo and the build scripts of C libraries.
pub struct Zig {
    compiler: PathBuf,
    archiver: PathBuf,
}

impl Zig {
    /// Finds or downloads zig; `None` if it is not wanted.
    pub fn wanted() -> Result<Option<Self>, Failure> {
        let zig = match std::env::var_os(ZIG) {
            Some(no) if no == "no" => return Ok(None),
            Some(named) if !named.is_empty() => named.into(),
            _ => downloaded()?,
        };
        Self::wrap(&zig).map(Some)
    }

    /// The target triple of this machine. If the target is named explicitly, cargo uses zig for the target only, not
    /// for build scripts.
    pub fn target() -> String {
        format!("{ARCH}-unknown-linux-gnu")
    }

    /// Makes the cargo command `build` use zig.
    pub fn take_part(&self, build: &mut Command) {
        let target = Self::target();
        let linker = format!("target.{target}.rustflags = ['-Clinker={}']", self.compiler.display());
        let of_target = |what| format!("{what}_{}", target.replace('-', "_"));
        build
            .args(["--target", &target, "--config", &linker])
            .env(of_target("CC"), &self.compiler)
            .env(of_target("AR"), &self.archiver);
    }

    fn wrap(zig: &Path) -> Result<Self, Failure> {
        let unwinder = output(Command::new("cc").arg("-print-file-name=libgcc_s.so.1"))?;
        let directory = target_directory().join("zig-as");
        let failed = |error: io::Error| format!("{}: {error}", directory.display());
        fs::create_dir_all(&directory).map_err(failed)?;
        let (zig, cache) = (zig.display(), directory.join("cache"));
        let head = format!("#!/bin/sh\nexport ZIG_GLOBAL_CACHE_DIR='{}'\n", cache.display());
        let cc = format!("{head}{}exec '{zig}' cc -target {ARCH}-linux-gnu.{GLIBC} \"$@\"\n", filter(unwinder.trim()));
        let ar = format!("{head}exec '{zig}' ar \"$@\"\n");
        let write = |name, text| script(&directory.join(name), text).map_err(failed);
        Ok(Self { compiler: write("cc", &cc)?, archiver: write("ar", &ar)? })
    }
}

/// Translates options of `cc` that zig does not support. Zig has other target names, and no `--exclude-libs`, which is
/// not needed with rustc's list of exports. It would also link its own unwinder instead of the process's, which
/// unwinds threads that the host cancels. So we link this machine's unwinder, which may itself need a newer C library.
fn filter(unwinder: &str) -> String {
    format!(
        "for word do\n    shift\n    case $word in\n        --target=* | -Wl,--exclude-libs,*) continue ;;\n        \
         -lgcc_s) set -- \"$@\" -Wl,--allow-shlib-undefined; word='{unwinder}' ;;\n    esac\n    set -- \"$@\" \"$word\"\ndone\n"
    )
}

/// Writes the script only if it has changed: cargo rebuilds everything when the compiler changes.
fn script(path: &Path, text: &str) -> io::Result<PathBuf> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(path.into());
    }
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(path.into())
}

fn downloaded() -> Result<PathBuf, Failure> {
    let directory = target_directory().join("zig");
    let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join(PACKAGE);
    if !is_unpacked(&directory, &wanted) {
        packages::ensure(&[packages::TO_LINK])?;
        println!("Unpacking zig into {}", directory.display());
        download(&directory, &wanted).map_err(|failure| {
            format!("Zig is missing ({failure}). Set {ZIG} to a zig, or to `no` for modules that need a C library as new as this machine's.")
        })?;
    }
    Ok(directory.join("ziglang/zig"))
}

/// Whether the unpacked zig is the wanted version: a copy of the version file lies beside it.
fn is_unpacked(directory: &Path, wanted: &Path) -> bool {
    let content = |path: &Path| fs::read(path).ok();
    content(wanted).is_some_and(|wanted| content(&directory.join(PACKAGE)) == Some(wanted))
}

/// Unpacks beside `directory` and renames the complete result, unless another process was faster with the same version.
fn download(directory: &Path, wanted: &Path) -> Result<(), Failure> {
    let partial = directory.with_extension(format!("partial-{}", std::process::id()));
    let told = |error: io::Error| error.to_string();
    let outcome = install_package(&partial, wanted).and_then(|()| {
        fs::copy(wanted, partial.join(PACKAGE)).map_err(told)?;
        if directory.exists() && !is_unpacked(directory, wanted) {
            fs::remove_dir_all(directory).map_err(told)?;
        }
        match fs::rename(&partial, directory) {
            Err(error) if !is_unpacked(directory, wanted) => Err(told(error)),
            _ => Ok(()),
        }
    });
    let _ = fs::remove_dir_all(partial);
    outcome
}

fn install_package(into: &Path, wanted: &Path) -> Result<(), Failure> {
    run(Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"])
        .args(["--no-deps", "--only-binary=:all:", "--require-hashes", "--target"])
        .arg(into)
        .arg("--requirement")
        .arg(wanted))
}
