//! The Debian packages that commands need, and their installation.

use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::debian;
use crate::run::{on_path, run, we_are_root};

/// A Debian package, and how to recognise that it (or an equivalent) is installed.
pub struct Package {
    name: &'static str,
    shown_by: Sign,
}

enum Sign {
    Program(&'static str),
    File(&'static str),
    /// A library in the machine's library directories, by the beginning of its file name.
    Library(&'static str),
    /// A Python module.
    PythonModule(&'static str),
}

const fn program(name: &'static str, program: &'static str) -> Package {
    Package { name, shown_by: Sign::Program(program) }
}

/// A package that has neither a program nor a library at a known place.
const fn documented(name: &'static str, directory: &'static str) -> Package {
    Package { name, shown_by: Sign::File(directory) }
}

/// Packages to build the modules: a C compiler for the shim and libsrtp, cmake for libopus, libclang for bindgen, perl and
/// make for OpenSSL. Every Debian has the program perl, but not the modules for OpenSSL's Configure;
/// `pod2man` comes with those.
pub const TO_BUILD: &[Package] = &[
    program("gcc", "cc"),
    program("cmake", "cmake"),
    program("make", "make"),
    program("perl", "pod2man"),
    program("clang", "clang"),
    Package { name: "libclang-dev", shown_by: Sign::Library("libclang") },
];

/// The package to verify Debian's packages. Debian has it by default, systems derived from it do not.
pub const TO_UNPACK: &[Package] = &[Package { name: "debian-archive-keyring", shown_by: Sign::File(debian::KEYS) }];

/// The package to download zig, which links for old systems.
pub const TO_LINK: &[Package] =
    &[program("python3", "python3"), Package { name: "python3-pip", shown_by: Sign::PythonModule("pip") }];

/// Packages for the tests: the peers of our modules.
pub const TO_TEST: &[Package] = &[
    program("chromium", "chromium"),
    program("coturn", "turnserver"),
    program("firefox-esr", "firefox-esr"),
    program("nodejs", "node"),
    program("npm", "npm"),
    program("openssl", "openssl"),
    program("prometheus", "promtool"),
    program("sip-tester", "sipp"),
    program("tshark", "tshark"),
    program("iproute2", "ip"),
    program("nftables", "nft"),
];

/// Packages for the laboratory of networks in `tests/e2e`: a STUN and TURN server, and routers.
pub const TO_ROUTE: &[Package] =
    &[program("coturn", "turnserver"), program("iproute2", "ip"), program("nftables", "nft")];

/// A phone with ICE, SDES and DTLS over SIP and UDP.
pub const TO_MEET_PHONES: &[Package] = &[program("baresip-core", "baresip")];

/// GStreamer's WebRTC stack with its Python binding, and linphone.
pub const TO_MEET_PEERS: &[Package] = &[
    documented("gir1.2-gst-plugins-bad-1.0", "/usr/share/doc/gir1.2-gst-plugins-bad-1.0"),
    documented("gstreamer1.0-nice", "/usr/share/doc/gstreamer1.0-nice"),
    documented("gstreamer1.0-plugins-bad", "/usr/share/doc/gstreamer1.0-plugins-bad"),
    documented("gstreamer1.0-plugins-good", "/usr/share/doc/gstreamer1.0-plugins-good"),
    program("linphone-cli", "linphonec"),
    documented("python3-gst-1.0", "/usr/share/doc/python3-gst-1.0"),
];

/// Makes Debian packages and archives.
pub const TO_PACKAGE: &[Package] = &[program("dpkg", "dpkg-deb"), program("git", "git"), program("xz-utils", "xz")];

/// Compiles libFuzzer.
pub const TO_FUZZ: &[Package] = &[program("g++", "c++")];

/// Checks how the modules use memory. Debian's valgrind brings the symbols of the C library along, without which it refuses
/// to run.
pub const TO_WATCH_MEMORY: &[Package] = &[program("valgrind", "valgrind")];

/// Packages to bundle the demo page with its libraries.
pub const TO_BUNDLE: &[Package] = &[program("nodejs", "node"), program("npm", "npm")];

/// coturn, and openssl for its certificate and credentials.
pub const TO_RELAY: &[Package] = &[program("coturn", "turnserver"), program("openssl", "openssl")];

/// The browser for `demo --check`.
pub const TO_DEMO: &[Package] = &[program("chromium", "chromium")];

/// Installs the missing packages if we are root; otherwise fails and names the command to install them.
pub fn ensure(lists: &[&[Package]]) -> Result<(), Failure> {
    let mut missing: Vec<&str> =
        lists.iter().copied().flatten().filter(|package| !package.is_here()).map(|package| package.name).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get update && apt-get install --no-install-recommends -y {}", missing.join(" "));
    if !on_path("apt-get") {
        return Err(format!("This needs the Debian packages {} or equivalents of them.", missing.join(" ")));
    }
    if !we_are_root() {
        return Err(format!("Some packages are missing. Run as root:\n\n  {install}\n"));
    }
    println!("Installing {}", missing.join(" "));
    run(Command::new("sh").args(["-c", &install]).env("DEBIAN_FRONTEND", "noninteractive"))
}

impl Package {
    fn is_here(&self) -> bool {
        match self.shown_by {
            Sign::Program(program) => on_path(program),
            Sign::File(path) => Path::new(path).exists(),
            Sign::Library(prefix) => library_directories().any(|directory| holds(&directory, prefix)),
            Sign::PythonModule(module) => Command::new("python3")
                .args(["-c", &format!("import {module}")])
                .output()
                .is_ok_and(|it| it.status.success()),
        }
    }
}

/// The directories with Debian's libraries: the multiarch one, and one for each version of LLVM.
fn library_directories() -> impl Iterator<Item = std::path::PathBuf> {
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let llvm = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let llvm = llvm.filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm-"));
    std::iter::once(multiarch.into()).chain(llvm.map(|entry| entry.path().join("lib")))
}

fn holds(directory: &Path, prefix: &str) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with(prefix) && name.contains(".so")
    })
}
