//! Builds with AddressSanitizer: `cargo xtask asan` tests the crates that share memory with C, and `fuzz.rs` builds its
//! targets this way.
//!
//! Only a nightly rustc accepts the flag that adds a sanitizer, but the stable toolchain contains the sanitizer's runtime
//! library, and `RUSTC_BOOTSTRAP=1` makes the stable rustc accept the flag. So no second toolchain is needed.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::Failure;
use crate::packages;
use crate::run::{cargo, run, target_directory};
use crate::without_calls::built;
use crate::zig::Zig;

/// The crates that call C or are called by it, and have unit tests that need no host.
const PACKAGES: [&str; 3] = ["asterisk", "dtls-srtp", "media-srtp"];

/// Adds AddressSanitizer to all compiled code, and the assertions of a debug build also with `--release`.
const FLAGS: [&str; 2] = ["-Zsanitizer=address", "-Cdebug-assertions"];

/// An environment variable with which AddressSanitizer names functions in its reports also where there is no llvm-symbolizer.
pub const OPTIONS: (&str, &str) = ("ASAN_OPTIONS", "allow_addr2line=1");

/// Runs the tests of [`PACKAGES`] with AddressSanitizer and its leak detector.
pub fn test() -> Result<(), Failure> {
    packages::ensure(&[packages::TO_BUILD])?;
    let mut test = sanitized_cargo(&[])?;
    test.args(["test", "--target", &Zig::target(), "--lib", "--tests"]);
    for package in PACKAGES {
        test.args(["--package", package]);
    }
    // It counts the pages of a stack, where AddressSanitizer does not keep the locals of functions.
    test.args(["--", "--skip", "stack::tests::a_call_that_has_returned"]);
    run(&mut test)
}

/// Returns a cargo that compiles with AddressSanitizer and with `flags`, into [`sanitized_directory`].
///
/// It links the OpenSSL that was compiled for the workspace's tests, because compiling OpenSSL again takes minutes. That
/// OpenSSL is not instrumented, but its allocations are tracked.
pub fn sanitized_cargo(flags: &[&str]) -> Result<Command, Failure> {
    let openssl = openssl()?;
    let flags: Vec<&str> = FLAGS.iter().chain(flags).copied().collect();
    let mut cargo = cargo();
    cargo
        .env(OPTIONS.0, OPTIONS.1)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_TARGET_DIR", sanitized_directory())
        .env("OPENSSL_NO_VENDOR", "1")
        .env("OPENSSL_STATIC", "1")
        .env("OPENSSL_DIR", openssl);
    Ok(cargo)
}

/// The target directory of sanitized builds: other flags than those of `target/` would compile everything there again.
pub fn sanitized_directory() -> PathBuf {
    target_directory().join("sanitized")
}

/// Returns the installation directory, with `include` and `lib`, of the OpenSSL that the workspace's tests link.
fn openssl() -> Result<PathBuf, Failure> {
    let messages = built()?;
    let of_openssl = |message: &&Value| {
        let package = message["package_id"].as_str().unwrap_or_default();
        message["reason"] == "build-script-executed" && package.contains("openssl-sys@")
    };
    let out = messages.iter().find(of_openssl).and_then(|message| message["out_dir"].as_str());
    let installed = out.map(|out| PathBuf::from(out).join("openssl-build/install"));
    installed
        .filter(|installed| installed.is_dir())
        .ok_or_else(|| "Cargo built no OpenSSL for the tests of the workspace.".to_owned())
}
