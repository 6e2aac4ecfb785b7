//! Loading and unloading, as the host's loader does it: open, read the info, close, open again; later
//! unload and load again.

mod common;

use common::{
    HostThread,
    websocket::{self, Browser},
};
use host_tests::{Host, Kind, Loading, module_directory, modules};
use std::{collections::BTreeSet, ffi::CStr, process::Command};

const WEBSOCKET: &str = "res_http_websocket";
const SRTP: &str = "res_srtp";
const RTP: &str = "res_rtp_asterisk";

fn facts(which: &str) -> serde_json::Value {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/asterisk-sys/tests/facts/");
    let text = std::fs::read_to_string(format!("{directory}{which}.json")).expect("part of this repository");
    serde_json::from_str(&text).expect("the facts are JSON")
}

/// The dynamic symbols of a module: those it defines, or those it needs.
fn symbols(module: &str, which: &str) -> BTreeSet<String> {
    let output = Command::new("nm").args(["-D", which]).arg(modules::path(module)).output().expect("binutils");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).expect("plain text");
    listing.lines().filter_map(|line| line.split_whitespace().last()).map(without_version).collect()
}

fn without_version(symbol: &str) -> String {
    symbol.split('@').next().expect("split gives at least one").to_owned()
}

fn is_of_the_host(symbol: &str) -> bool {
    ["ast_", "__ast_", "_ast_", "ao2_", "__ao2_", "res_srtp", "option_"].iter().any(|start| symbol.starts_with(start))
}

#[test]
fn each_module_loads_and_unloads_three_times_in_a_row() {
    let host = Host::start(Kind::Newest);
    for module in modules::all_and_codec() {
        for round in 0..3 {
            assert_eq!(host.load(module), Loading::Loaded, "{module}, round {round}: {}", host.log());
            assert!(host.unload(module), "{module}, round {round}: {}", host.log());
            assert!(!host.is_mapped(module), "{module} stayed mapped in round {round}");
        }
    }
    assert_eq!(host.objects_alive(), 0);
}

#[test]
fn names_and_descriptions_are_those_of_the_originals() {
    let host = Host::start(Kind::Newest);
    host.load_all(modules::ALL);
    for (module, description) in
        [(WEBSOCKET, c"HTTP WebSocket Support"), (SRTP, c"Secure RTP (SRTP)"), (RTP, c"Asterisk RTP Stack")]
    {
        let info = host.info(module).expect("loaded");
        // SAFETY: a string of the module, which is loaded.
        assert_eq!(unsafe { CStr::from_ptr(info.description) }, description);
    }
}

/// The names with and without underscores: an original exports those of its own host only, built with or without weak
/// references. One name more is the engine's: the module of the WebSocket tells it by that function what the host does not pass
/// on (candidates in INFO, the end of a connection). One is of each of the others: their part of the metrics.
#[test]
fn exports_are_those_of_the_originals_and_one_between_our_modules() {
    let facts = facts("asterisk-11");
    for module in modules::ALL {
        let names: BTreeSet<String> = facts["symbols"]["exports"][module]
            .as_array()
            .expect("a list")
            .iter()
            .map(|name| name.as_str().expect("a name").to_owned())
            .collect();
        let plain = names.iter().filter_map(|name| name.strip_prefix("__")).map(str::to_owned);
        let between_ours =
            Some(if module == &RTP { "asterisk_webrtc_signal" } else { "asterisk_webrtc_metrics" }.to_owned());
        let expected: BTreeSet<String> = plain.chain(names.iter().cloned()).chain(between_ours).collect();
        assert_eq!(symbols(module, "--defined-only"), expected, "{module} in {}", module_directory().display());
    }
}

#[test]
fn the_codec_exports_nothing() {
    assert_eq!(symbols(modules::CODEC, "--defined-only"), BTreeSet::new());
}

#[test]
fn nothing_is_needed_that_some_releases_lack() {
    let lacking = facts("asterisk-11-drift");
    let lacking = lacking["symbols"].as_object().expect("an object");
    // These are missing with a build option: `ast_sched_del` with AST_DEVMODE, the file versions with LOW_MEMORY.
    let optional = ["ast_sched_del", "ast_register_file_version", "ast_unregister_file_version"];
    for module in modules::all_and_codec() {
        let needed = symbols(module, "--undefined-only");
        let risky: Vec<_> = needed
            .iter()
            .filter(|symbol| is_of_the_host(symbol))
            .filter(|symbol| lacking.contains_key(*symbol) || optional.contains(&symbol.as_str()))
            .collect();
        assert!(risky.is_empty(), "{module} needs {risky:?}");
    }
}

#[test]
fn a_host_thread_outlives_the_websocket_module() {
    let host = Host::start(Kind::Newest);
    let thread = HostThread::start();
    assert_eq!(host.load(WEBSOCKET), Loading::Loaded);
    echo_on(&thread);
    assert!(host.unload(WEBSOCKET), "{}", host.log());
    assert!(!host.is_mapped(WEBSOCKET));
    thread.end();
    assert_eq!(host.load(WEBSOCKET), Loading::Loaded, "{}", host.log());
    echo_on(&HostThread::start());
}

/// A connection whose request is handled by a permanent thread.
fn echo_on(thread: &HostThread) {
    let (browser, serve) = Browser::prepare("ws", false, &websocket::handshake("echo"));
    thread.begin(move || {
        serve();
    });
    let mut browser = browser.shaken_hands().expect("a handshake");
    browser.send(websocket::TEXT, b"hello");
    assert_eq!(browser.receive(), (websocket::TEXT, b"hello".to_vec()));
    browser.close();
    thread.run(|| ());
}
