//! Detects what is available for the tests. Tests that need more are compiled but ignored, so that they are reported as
//! ignored rather than passed:
//!
//! - `cfg(asterisk)`: there is an Asterisk to test;
//! - `cfg(eleven)`: that is an Asterisk 11, whose `chan_sip` our modules translate for;
//! - `cfg(ari)`: it has Asterisk's REST Interface;
//! - `cfg(opus)`: it supports Opus;
//! - `cfg(bundles)`: its SIP supports several streams on one transport;
//! - `cfg(baresip)`: baresip is installed;
//! - `cfg(linphone)`: linphonec is installed;
//! - `cfg(aiortc)`: aiortc is installed;
//! - `cfg(kamailio)`: Kamailio is unpacked;
//! - `cfg(peers)`: WebRTC stacks without a browser are installed;
//! - `cfg(str0m)`: the example of `tests/host` with str0m is built;
//! - `cfg(prometheus)`: Prometheus and promtool are installed;
//! - `cfg(tshark)`: it is to be tested, and tshark is installed;
//! - `cfg(proxies)`: nginx and HAProxy are available to put in front of it.

use std::path::Path;

use prefix::{Prefix, Version};

#[allow(dead_code, reason = "all that is asked here is the version")]
#[path = "src/prefix.rs"]
mod prefix;

fn main() {
    println!("cargo::rerun-if-env-changed=ASTERISK_PREFIX");
    println!(
        "cargo::rustc-check-cfg=cfg(asterisk, aiortc, baresip, eleven, ari, opus, bundles, kamailio, linphone, peers, prometheus, \
         proxies, str0m, tshark)"
    );
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
    let is_named_later = prefix.is_none();
    let aiortc = "../../target/peers/requirements.txt";
    if is_named_later || are_there(&[Path::new(aiortc)]) {
        println!("cargo::rustc-cfg=aiortc");
    }
    let stacks =
        [aiortc, "peers/node_modules/.package-lock.json", "/usr/lib/python3/dist-packages/gi/overrides/Gst.py"];
    if is_named_later || are_there(&stacks.map(Path::new)) {
        println!("cargo::rustc-cfg=peers");
    }
    if is_named_later || are_there(&[Path::new("../../target/debian/kamailio/packages")]) {
        println!("cargo::rustc-cfg=kamailio");
    }
    if is_named_later || are_there(&[Path::new("/usr/bin/linphonec")]) {
        println!("cargo::rustc-cfg=linphone");
    }
    if is_named_later || are_there(&[Path::new("/usr/bin/baresip")]) {
        println!("cargo::rustc-cfg=baresip");
    }
    if is_named_later || are_there(&["/usr/bin/prometheus", "/usr/bin/promtool"].map(Path::new)) {
        println!("cargo::rustc-cfg=prometheus");
    }
    if is_named_later || are_there(&[Path::new("/usr/bin/tshark")]) {
        println!("cargo::rustc-cfg=tshark");
    }
    let out = std::env::var_os("OUT_DIR").unwrap_or_default();
    let str0m = Path::new(&out).ancestors().nth(3).map(|target| target.join("examples/str0m_peer"));
    if is_named_later || str0m.is_some_and(|program| are_there(&[&program])) {
        println!("cargo::rustc-cfg=str0m");
    }
    if prefix.is_none_or(|prefix| prefix.has_proxies()) {
        println!("cargo::rustc-cfg=proxies");
    }
}

/// Whether all these files exist; asks again when they change.
fn are_there(files: &[&Path]) -> bool {
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    files.iter().all(|file| file.exists())
}
