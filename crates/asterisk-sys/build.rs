//! Generates bindings to the host's C declarations and compiles the shim for its variadic functions.
//!
//! For Asterisk 11 the declarations come from `asterisk-headers/`, for later hosts from the host's own headers in the
//! directory named by `ASTERISK_INCLUDE`.
#![allow(clippy::disallowed_macros, reason = "cargo reads what a build script prints")]

use bindgen::callbacks::{DeriveTrait, ImplementsTrait, ParseCallbacks};
use std::env;
use std::path::{Path, PathBuf};

/// The directory of our own declarations of Asterisk 11, relative to this crate.
const HEADERS_OF_11: &str = "../../asterisk-headers";

/// The variable that names the directory with `asterisk.h` of a later host: from Debian's `asterisk-dev`, or the
/// `include` directory of an installation.
const INCLUDE: &str = "ASTERISK_INCLUDE";

/// The headers of a later host from which declarations are bound; they include most of the others.
const WANTED: &str = "astmm|astobj2|causes|cli|codec|config|format|format_cache|frame|http|http_websocket|iostream|json|logger|module|\
    netsock2|optional_api|options|res_srtp|rtp_engine|sdp_srtp|smoother|strings|tcptls|utils|ast_version|manager|channel";

/// The C types for which the `libc` crate has bindings already.
const OF_LIBC: &[&str] =
    &["FILE", "_IO_FILE", "pthread_key_t", "pthread_once_t", "sockaddr_in", "sockaddr_storage", "socklen_t", "timeval"];

/// The decisions that bindgen leaves to us.
#[derive(Debug)]
struct Habits;

impl ParseCallbacks for Habits {
    /// Removes the `<` with which C comments after a member start.
    fn process_comment(&self, comment: &str) -> Option<String> {
        Some(comment.trim_start_matches('<').trim().to_owned())
    }

    fn blocklisted_type_implements_trait(&self, name: &str, derive: DeriveTrait) -> Option<ImplementsTrait> {
        let of_libc = OF_LIBC.iter().any(|known| name == *known || name == format!("struct {known}"));
        (of_libc && derive == DeriveTrait::Copy).then_some(ImplementsTrait::Yes)
    }
}

/// The host that the modules are built for.
enum Host {
    Eleven,
    /// Asterisk 16 or 22, with the directory of its headers.
    Later(String),
}

impl Host {
    fn chosen() -> Self {
        println!("cargo::rerun-if-env-changed={INCLUDE}");
        let is_on = |feature| env::var_os(feature).is_some();
        let version = match (is_on("CARGO_FEATURE_HOST_16"), is_on("CARGO_FEATURE_HOST_22")) {
            (false, false) => return Self::Eleven,
            (true, false) => 16,
            (false, true) => 22,
            (true, true) => {
                panic!("the features host-16 and host-22 exclude each other: enable the one of your Asterisk")
            }
        };
        match env::var(INCLUDE) {
            Ok(directory) if Path::new(&directory).join("asterisk.h").is_file() => Self::Later(directory),
            Ok(directory) => panic!("{INCLUDE} is {directory}, but there is no asterisk.h in it"),
            Err(_) => {
                panic!("set {INCLUDE} to the headers of Asterisk {version}, or use `cargo xtask build`, which sets it")
            }
        }
    }

    fn include(&self) -> &str {
        match self {
            Self::Eleven => HEADERS_OF_11,
            Self::Later(directory) => directory,
        }
    }

    fn wrapper(&self) -> &str {
        match self {
            Self::Eleven => "wrapper.h",
            Self::Later(_) => "wrapper-16.h",
        }
    }

    /// A pattern of the files whose declarations are bound, together with the declarations that they use.
    fn wanted(&self) -> String {
        match self {
            Self::Eleven => ".*asterisk-headers/.*".to_owned(),
            Self::Later(_) => format!(".*/asterisk/({WANTED})\\.h|.*/asterisk\\.h"),
        }
    }
}

fn main() {
    let host = Host::chosen();
    for place in [host.include(), host.wrapper(), "key.c", "shim.c", "shim.h"] {
        println!("cargo::rerun-if-changed={place}");
    }
    compile_shim(&host);
    bind(&host);
}

fn compile_shim(host: &Host) {
    cc::Build::new()
        .files(["key.c", "shim.c"])
        .include(host.include())
        // The headers of later hosts require the name of the module that includes them.
        .define("AST_MODULE", "\"res_webrtc\"")
        .define("AST_MODULE_SELF_SYM", "__internal_res_webrtc_self")
        .flag("-std=gnu11")
        .flag("-fvisibility=hidden")
        // Clang implements a macro of later hosts with blocks. GCC needs no flag for it and has none.
        .flag_if_supported("-fblocks")
        .extra_warnings(matches!(host, Host::Eleven))
        .compile("asterisk_sys_shim");
}

fn bind(host: &Host) {
    let bindings = OF_LIBC
        .iter()
        .fold(builder(host), |builder, name| builder.blocklist_type(name))
        .generate()
        .expect("the headers are complete and libclang is installed");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    bindings.write_to_file(out.join("bindings.rs")).expect("OUT_DIR is writable");
}

fn builder(host: &Host) -> bindgen::Builder {
    bindgen::builder()
        .header(host.wrapper())
        .header("shim.h")
        .clang_arg(format!("-I{}", host.include()))
        .clang_arg("-std=gnu11")
        // Clang implements a macro of later hosts with blocks.
        .clang_arg("-fblocks")
        .allowlist_file(host.wanted())
        .allowlist_file(".*shim\\.h")
        .allowlist_recursively(true)
        .blocklist_item("ASTERISK_HEADERS_.*|ASTERISK_SYS_.*")
        // Enums become plain numbers, so that an unknown value from the host is not undefined behaviour.
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
