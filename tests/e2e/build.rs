//! What the tests can count on. Those that want more are compiled but ignored, so that they are counted as what they are, and
//! not as passed:
//!
//! - `cfg(asterisk)`: there is an Asterisk to test on;
//! - `cfg(ari)`: it has Asterisk's REST Interface;
//! - `cfg(opus)`: it passes Opus on;
//! - `cfg(bundles)`: its SIP knows of several streams over one transport;
//! - `cfg(proxies)`: there are nginx and HAProxy to put in front of it.

use prefix::{Prefix, Version};

#[allow(dead_code, reason = "all that is asked here is the version")]
#[path = "src/prefix.rs"]
mod prefix;

fn main() {
    println!("cargo::rerun-if-env-changed=ASTERISK_PREFIX");
    println!("cargo::rustc-check-cfg=cfg(asterisk, ari, opus, bundles, proxies)");
    let Some(prefix) = Prefix::from_env() else { return };
    // One that is named later may be any.
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
    if prefix.is_none_or(|prefix| prefix.has_proxies()) {
        println!("cargo::rustc-cfg=proxies");
    }
}
