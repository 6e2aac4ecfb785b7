//! Compiles the core to a shared library that the test programs link, and the parts of newer cores to a second one.

use std::{
    env,
    path::{Path, PathBuf},
};

const HEADERS: &str = "../../asterisk-headers";
const CORE: &[&str] =
    &["ao2.c", "channels.c", "config.c", "http.c", "loader.c", "media.c", "rtp.c", "texts.c", "translate.c"];

fn main() {
    println!("cargo::rerun-if-changed=core");
    println!("cargo::rerun-if-changed={HEADERS}");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    link(CORE, &out.join("libhost_core.so"));
    link(&["newer.c"], &out.join("libhost_core_newer.so"));
    bind(&out.join("host.rs"));
    println!("cargo::rustc-link-search=native={}", out.display());
    println!("cargo::rustc-link-lib=dylib=host_core");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", out.display());
    println!("cargo::rustc-env=HOST_CORE_NEWER={}", out.join("libhost_core_newer.so").display());
}

fn link(sources: &[&str], library: &Path) {
    let compiler = cc::Build::new().include(HEADERS).pic(true).flag("-std=gnu11").extra_warnings(true).get_compiler();
    let sources = sources.iter().map(|source| Path::new("core").join(source));
    let status = compiler
        .to_command()
        .args(["-shared", "-g", "-pthread", "-o"])
        .arg(library)
        .args(sources)
        .arg("-ldl")
        .status()
        .expect("a C compiler");
    assert!(status.success(), "{} was not linked", library.display());
}

fn bind(file: &Path) {
    bindgen::builder()
        .header("core/host.h")
        .clang_arg(format!("-I{HEADERS}"))
        .clang_arg("-std=gnu11")
        .allowlist_file(".*/host\\.h")
        .blocklist_type("(ast|ao2)_.*")
        .raw_line("use asterisk_sys::*;")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .ctypes_prefix("libc")
        .formatter(bindgen::Formatter::None)
        .generate()
        .expect("host.h is part of this crate")
        .write_to_file(file)
        .expect("OUT_DIR is writable");
}
