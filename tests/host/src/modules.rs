//! Finds the modules under test.

use crate::raw;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The three modules, in the order of loading.
pub const ALL: &[&str] = &["res_http_websocket", "res_srtp", "res_rtp_asterisk"];

/// The module with the translators of Opus, which replaces none of the host's.
pub const CODEC: &str = "codec_opus_g719";

/// All modules.
pub fn all_and_codec() -> impl Iterator<Item = &'static str> {
    ALL.iter().copied().chain([CODEC])
}

/// The result of loading a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loading {
    /// It is registered and running.
    Loaded,
    /// dlopen failed; the log has the reason.
    NotOpened,
    /// The constructor did not register.
    NotRegistered,
    /// It was still mapped after the first close.
    StayedMapped,
    /// Its key or its build options did not match the host's.
    KeyRefused,
    /// `load` declined.
    Declined,
    /// It was already running.
    AlreadyLoaded,
}

impl Loading {
    pub(crate) fn from_core(result: raw::host_load) -> Self {
        match result {
            raw::HOST_LOADED => Self::Loaded,
            raw::HOST_NOT_OPENED => Self::NotOpened,
            raw::HOST_NOT_REGISTERED => Self::NotRegistered,
            raw::HOST_STAYED_MAPPED => Self::StayedMapped,
            raw::HOST_KEY_REFUSED => Self::KeyRefused,
            raw::HOST_ALREADY_LOADED => Self::AlreadyLoaded,
            _ => Self::Declined,
        }
    }
}

/// The path of a module's file.
pub fn path(module: &str) -> PathBuf {
    let named_by_us = directory().join(format!("{module}.so"));
    if named_by_us.exists() { named_by_us } else { directory().join(format!("lib{module}.so")) }
}

/// `MODULES_DIR`, or the directory where cargo has just built them.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory = env::var_os("MODULES_DIR").map_or_else(build, PathBuf::from);
        // The core searches this path in /proc/self/maps, which contains canonical paths.
        fs::canonicalize(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
    })
}

fn build() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(&workspace).args(["build", "--quiet", "--release"]);
    for module in all_and_codec() {
        command.args(["-p", module]);
    }
    assert!(command.status().expect("cargo runs").success(), "the modules do not build");
    workspace.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into())).join("release")
}
