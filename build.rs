//! Shared by the three module crates: how the `.so` is linked.
//!
//! The export list is what each crate marks `no_mangle`; rustc hides everything else, the vendored OpenSSL and libsrtp
//! included, because the host process may hold another OpenSSL of another age.
#![allow(clippy::disallowed_macros, reason = "cargo reads what a build script prints")]

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=../../build.rs");
    let module = env::var("CARGO_PKG_NAME").expect("cargo names the package that it builds");
    // The name the host loads it under. Without one, the linker records the path of the build machine.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{module}.so");
    // The constructor must run on a host of another version, to decline it in one clear line. Binding every symbol at
    // once would fail before that.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,lazy");
    // Symbols of static libraries stay inside even where they ask to be seen.
    println!("cargo::rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
}
