//! Tests the files made by `cargo xtask build`: they run on old systems and contain no debugging information.

use std::path::{Path, PathBuf};
use std::process::Command;

use installer::{CODEC, Files, MODULES};

/// The C library of CentOS 7, which is also the oldest for Rust's standard library.
const OLDEST_GLIBC: (u32, u32) = (2, 17);

/// The libraries of every system: parts of the C library, and the compiler's unwinder.
const EVERYWHERE: [&str; 9] = [
    "libc.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "libm.so.6",
    "librt.so.1",
    "libutil.so.1",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

fn built() -> PathBuf {
    let directory = std::env::var_os("MODULES_DIR").expect("`cargo xtask test` sets it");
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(directory)
}

/// The modules that were built: the codec for Asterisk 11 alone.
fn modules() -> impl Iterator<Item = &'static str> {
    MODULES.into_iter().chain(Some(CODEC).filter(|codec| built().join(codec).exists()))
}

/// The output of a binutils program for each module and for the installer.
fn told(tool: &str, option: &str) -> impl Iterator<Item = (&'static str, String)> {
    modules().chain(["install"]).map(move |file| {
        let output = Command::new(tool).arg(option).arg(built().join(file)).output().expect("binutils");
        assert!(output.status.success(), "{tool} {file}: {}", String::from_utf8_lossy(&output.stderr));
        (file, String::from_utf8(output.stdout).expect("plain text"))
    })
}

#[test]
#[cfg_attr(not(built), ignore = "MODULES_DIR names no modules")]
fn they_are_complete_and_ours() {
    Files::in_directory(&built()).unwrap();
}

#[test]
#[cfg_attr(not(for_old_systems), ignore = "MODULES_DIR names no modules, or ZIG=no linked them for this machine")]
fn they_ask_for_no_symbol_that_is_newer_than_the_glibc_they_were_linked_for() {
    let files = Files::in_directory(&built()).unwrap();
    let oldest = files.glibc().map(version).expect("`cargo xtask build` wrote down the C library");
    assert!(oldest <= OLDEST_GLIBC, "{oldest:?} is not on every system");
    for (module, symbols) in told("objdump", "-T") {
        let versions =
            symbols.split("(GLIBC_").skip(1).filter_map(|rest| rest.split_once(')')).map(|(version, _)| version);
        let versions: Vec<(u32, u32)> = versions.map(version).collect();
        assert!(versions.len() > 10, "{module} asks for {versions:?}: that is not all");
        let newest = versions.into_iter().max().expect("not empty");
        assert!(newest <= oldest, "{module} asks for GLIBC_{}.{}", newest.0, newest.1);
    }
}

/// Parses a version such as `2.17` or `2.2.5`.
fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split('.').map(|number| number.parse().expect("a number"));
    (numbers.next().expect("a major version"), numbers.next().unwrap_or(0))
}

#[test]
#[cfg_attr(not(built), ignore = "MODULES_DIR names no modules")]
fn they_need_no_library_but_those_that_are_everywhere() {
    for (module, section) in told("readelf", "-d") {
        let needed = section.lines().filter(|line| line.contains("(NEEDED)"));
        let needed: Vec<_> = needed.filter_map(|line| line.split_once('[')?.1.strip_suffix(']')).collect();
        assert!(needed.contains(&"libc.so.6"), "{module} needs {needed:?}: that is not all");
        for library in needed {
            assert!(EVERYWHERE.contains(&library), "{module} needs {library}");
        }
    }
}

#[test]
#[cfg_attr(not(built), ignore = "MODULES_DIR names no modules")]
fn a_debugger_finds_what_was_stripped() {
    for (module, sections) in told("readelf", "-SW").filter(|(file, _)| modules().any(|module| module == *file)) {
        assert!(!sections.contains(".debug_info") && !sections.contains(".symtab"), "{module} is not stripped");
        assert!(sections.contains(".gnu_debuglink"), "{module} names no file for debuggers");
        assert!(built().join(".debug").join(format!("{module}.debug")).is_file(), "{module} has none");
    }
}
