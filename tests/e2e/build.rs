//! `cfg(asterisk)`: there is an Asterisk to test on. Without it the tests that need one are compiled but ignored, so that
//! they are counted as what they are, and not as passed.

fn main() {
    println!("cargo::rerun-if-env-changed=ASTERISK_PREFIX");
    println!("cargo::rustc-check-cfg=cfg(asterisk)");
    if std::env::var_os("ASTERISK_PREFIX").is_some_and(|prefix| !prefix.is_empty()) {
        println!("cargo::rustc-cfg=asterisk");
    }
}
