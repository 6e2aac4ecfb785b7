//! Links the `.so` of a module; shared by the three module crates.
//!
//! Each crate exports the symbols that it marks `no_mangle`; rustc hides all others, those of the vendored OpenSSL and
//! libsrtp included, because the host process may contain another version of OpenSSL.
#![allow(clippy::disallowed_macros, reason = "cargo reads what a build script prints")]

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=../../build.rs");
    let module = env::var("CARGO_PKG_NAME").expect("cargo names the package that it builds");
    // Sets the soname to the file name. Without one, the linker records the path on the build machine.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{module}.so");
    // Bind symbols lazily: the constructor must run even on a host of another version, to report that clearly. With
    // immediate binding, loading would fail before that.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,lazy");
    // Hide the symbols of static libraries even if their object files export them.
    println!("cargo::rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
}
