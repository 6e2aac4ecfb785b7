//! `cfg(built)`: `MODULES_DIR` names modules that `cargo xtask build` made. `cfg(source_tree)`: `ASTERISK_SOURCE` names the
//! source tree of an Asterisk 11 that was configured and built. Without them the tests of those are compiled but ignored.

fn main() {
    for (variable, name) in [("MODULES_DIR", "built"), ("ASTERISK_SOURCE", "source_tree")] {
        println!("cargo::rerun-if-env-changed={variable}");
        println!("cargo::rustc-check-cfg=cfg({name})");
        if std::env::var_os(variable).is_some_and(|value| !value.is_empty()) {
            println!("cargo::rustc-cfg={name}");
        }
    }
}
