//! Binds `asterisk-headers/` and compiles the shim for the host's variadic functions.

use bindgen::callbacks::{DeriveTrait, ImplementsTrait, ParseCallbacks};
use std::{env, path::PathBuf};

/// Where the C declarations of the host live, seen from this crate.
const HEADERS: &str = "../../asterisk-headers";

/// C types that the `libc` crate has already.
const OF_LIBC: &[&str] =
    &["FILE", "_IO_FILE", "pthread_key_t", "pthread_once_t", "sockaddr_in", "sockaddr_storage", "socklen_t", "timeval"];

/// What bindgen cannot know by itself.
#[derive(Debug)]
struct Habits;

impl ParseCallbacks for Habits {
    /// A comment behind a member starts with `<` in C.
    fn process_comment(&self, comment: &str) -> Option<String> {
        Some(comment.trim_start_matches('<').trim().to_owned())
    }

    fn blocklisted_type_implements_trait(&self, name: &str, derive: DeriveTrait) -> Option<ImplementsTrait> {
        let of_libc = OF_LIBC.iter().any(|known| name == *known || name == format!("struct {known}"));
        (of_libc && derive == DeriveTrait::Copy).then_some(ImplementsTrait::Yes)
    }
}

fn main() {
    for place in [HEADERS, "wrapper.h", "shim.c", "shim.h"] {
        println!("cargo::rerun-if-changed={place}");
    }
    compile_shim();
    bind();
}

fn compile_shim() {
    cc::Build::new()
        .file("shim.c")
        .include(HEADERS)
        .flag("-std=gnu11")
        .flag("-fvisibility=hidden")
        .extra_warnings(true)
        .compile("asterisk_sys_shim");
}

fn bind() {
    let bindings = OF_LIBC
        .iter()
        .fold(builder(), |builder, name| builder.blocklist_type(name))
        .generate()
        .expect("the headers are part of this repository and libclang is installed");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    bindings.write_to_file(out.join("bindings.rs")).expect("OUT_DIR is writable");
}

fn builder() -> bindgen::Builder {
    bindgen::builder()
        .header("wrapper.h")
        .header("shim.h")
        .clang_arg(format!("-I{HEADERS}"))
        .clang_arg("-std=gnu11")
        .allowlist_file(".*asterisk-headers/.*")
        .allowlist_file(".*shim\\.h")
        .allowlist_recursively(true)
        .blocklist_item("ASTERISK_HEADERS_.*|ASTERISK_SYS_.*")
        // Enums are numbers: a value that we never heard of is no undefined behaviour.
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .default_macro_constant_type(bindgen::MacroTypeVariation::Signed)
        .generate_cstr(true)
        .derive_debug(false)
        .layout_tests(true)
        .derive_default(true)
        .use_core()
        .parse_callbacks(Box::new(Habits))
        .ctypes_prefix("libc")
        .sort_semantically(false)
        .formatter(bindgen::Formatter::None)
}
