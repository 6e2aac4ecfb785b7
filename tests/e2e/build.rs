//! Detects what is available for the tests. Tests that need more are compiled but ignored, so that they are reported as
//! ignored rather than passed:
//!
//! - `cfg(asterisk)`: there is an Asterisk to test;
//! - `cfg(eleven)`: that is an Asterisk 11, whose `chan_sip` our modules translate for;
//! - `cfg(ari)`: it has Asterisk's REST Interface;
//! - `cfg(opus)`: it supports Opus;
//! - `cfg(bundles)`: its SIP supports several streams on one transport;
//! - `cfg(proxies)`: nginx and HAProxy are available to put in front of it.

use prefix::{Prefix, Version};

#[allow(dead_code, reason = "all that is asked here is the version")]
#[path = "src/prefix.rs"]
mod prefix;

fn main() {
    println!("cargo::rerun-if-env-changed=ASTERISK_PREFIX");
    println!("cargo::rustc-check-cfg=cfg(asterisk, eleven, ari, opus, bundles, proxies)");
    let Some(prefix) = Prefix::from_env() else { return };
    // A host that is named later may have everything.
    let prefix = prefix.ok();
    let version = prefix.as_ref().map(Prefix::version);
    let can_have = |first| version.is_none_or(|version| version >= first);
    for (name, first) in [
        ("asterisk", Version::Eleven),
        ("ari", Version::Sixteen),
        ("opus", Version::Sixteen),
        ("bundles", Version::TwentyTwo),
    ] {
        if can_have(first) {
            println!("cargo::rustc-cfg={name}");
        }
    }
    if version.is_none_or(|version| version == Version::Eleven) {
        println!("cargo::rustc-cfg=eleven");
    }
    if prefix.is_none_or(|prefix| prefix.has_proxies()) {
        println!("cargo::rustc-cfg=proxies");
    }
}
