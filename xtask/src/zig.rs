//! Modules that run on every glibc since 2.17, whatever they are built on.
//!
//! An Asterisk 11 often lives on a system as old as itself, and a file that was linked on a newer one asks for functions that
//! the older C library does not have. Zig brings the headers and the symbols of every glibc, compiles C and links like `cc`,
//! and comes as the Python package `ziglang`, which is unpacked into `target/zig` and nowhere else.
//!
//! `ZIG` may name another zig, or say `no`: then the machine's own compiler is used, and the files run where the C library is
//! at least as new as this machine's.

use std::env::consts::ARCH;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::modules::target_directory;
use crate::packages;
use crate::run::{output, run};

/// Names another zig, or `no`.
const ZIG: &str = "ZIG";

/// The version that this was tried with, and what its packages are, beside this crate's manifest.
const PACKAGE: &str = "zig.txt";

/// That of CentOS 7, and the oldest that Rust's standard library runs on.
pub const GLIBC: &str = "2.17";

/// What cargo and the build scripts of C libraries are given in place of `cc` and `ar`.
pub struct Zig {
    compiler: PathBuf,
    archiver: PathBuf,
}

impl Zig {
    /// Zig, downloaded if it is not there yet; `None` where it is not wanted.
    pub fn wanted() -> Result<Option<Self>, Failure> {
        let zig = match std::env::var_os(ZIG) {
            Some(no) if no == "no" => return Ok(None),
            Some(named) if !named.is_empty() => named.into(),
            _ => downloaded()?,
        };
        Self::wrap(&zig).map(Some)
    }

    /// What cargo calls this machine, as a target: only what is built for a target that was named is built with zig, and not
    /// the build scripts.
    pub fn target() -> String {
        format!("{ARCH}-unknown-linux-gnu")
    }

    /// Has `build`, a cargo, use it.
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

/// What zig does not take as `cc` does. It names targets otherwise; it has no `--exclude-libs`, which does nothing beside
/// rustc's own list of exports; and it would link an unwinder of its own in place of the process's, which a thread that the
/// host cancels unwinds with. This machine's, to link against, may itself need a newer C library.
fn filter(unwinder: &str) -> String {
    format!(
        "for word do\n    shift\n    case $word in\n        --target=* | -Wl,--exclude-libs,*) continue ;;\n        \
         -lgcc_s) set -- \"$@\" -Wl,--allow-shlib-undefined; word='{unwinder}' ;;\n    esac\n    set -- \"$@\" \"$word\"\ndone\n"
    )
}

/// Writes it only where it says something new: cargo builds everything again when the compiler changes.
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
            format!("There is no zig ({failure}). Name one in {ZIG}, or set {ZIG}=no for files that only run where the C library is as new as here.")
        })?;
    }
    Ok(directory.join("ziglang/zig"))
}

/// What was unpacked is what is wanted now: beside it lies what was wanted then.
fn is_unpacked(directory: &Path, wanted: &Path) -> bool {
    let content = |path: &Path| fs::read(path).ok();
    content(wanted).is_some_and(|wanted| content(&directory.join(PACKAGE)) == Some(wanted))
}

/// All of it beside `directory`, which then gets its name at once; unless another has been faster, with the same.
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
