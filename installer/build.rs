//! `cfg(built)`: `MODULES_DIR` names modules that `cargo xtask build` made. `cfg(source_tree)`: `ASTERISK_SOURCE` names the
//! source tree of an Asterisk 11 that was configured and built. `cfg(for_old_systems)`: the modules are there, and `ZIG` does
//! not say that they were linked for this machine only. Without them the tests of those are compiled but ignored.

fn main() {
    println!("cargo::rerun-if-env-changed=ZIG");
    println!("cargo::rustc-check-cfg=cfg(for_old_systems)");
    if is_set("MODULES_DIR") && std::env::var_os("ZIG").is_none_or(|zig| zig != "no") {
        println!("cargo::rustc-cfg=for_old_systems");
    }
    for (variable, name) in [("MODULES_DIR", "built"), ("ASTERISK_SOURCE", "source_tree")] {
        println!("cargo::rerun-if-env-changed={variable}");
        println!("cargo::rustc-check-cfg=cfg({name})");
        if is_set(variable) {
            println!("cargo::rustc-cfg={name}");
        }
    }
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}
