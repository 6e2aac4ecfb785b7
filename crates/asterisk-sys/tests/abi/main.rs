//! Compares our declarations with the facts, in C and in Rust: sizes, offsets, bit fields, values and prototypes.
//!
//! The facts (`tests/facts`) were collected independently of our headers, so this detects a mistake in either.

mod c_side;
mod declared;
mod facts;
mod rust_side;

use declared::Declared;
use facts::Facts;
use std::collections::BTreeSet;

/// Names declared without a fact to compare with, and the reason.
const OUR_OWN: &[(&str, &str)] = &[
    ("ast_bridge_result", "the facts name it in prototypes only"),
    ("ast_cc_callback_fn", "likewise"),
    ("AST_BRIDGE_COMPLETE", "of ast_bridge_result"),
    ("AST_BRIDGE_FAILED", "of ast_bridge_result"),
    ("AST_BRIDGE_FAILED_NOWARN", "of ast_bridge_result"),
    ("AST_BRIDGE_RETRY", "of ast_bridge_result"),
    ("AST_RTP_DTLS_HASH_SHA1_BEFORE_11_11", "our name for a value of older releases"),
    ("SSL", "OpenSSL's, used as a pointer"),
    ("_ast_sched_del_fn", "in words only: the removal of a core built with AST_DEVMODE"),
    ("ast_module_ref", "in words only: what headers before 11.17.0 use"),
    ("ast_module_unref", "in words only: what headers before 11.17.0 use"),
];

#[test]
fn the_c_compiler_agrees_with_the_facts() {
    let program = c_side::program(&Facts::read(), &Declared::read());
    if let Err(complaints) = c_side::compile_and_run(&program) {
        panic!("our headers differ from the facts:\n{complaints}");
    }
}

#[test]
fn a_header_that_is_wrong_is_noticed() {
    let facts = Facts::read();
    for (right, wrong) in [
        ("int datalen;", "long datalen;"),
        ("AST_FRAME_VIDEO = 3", "AST_FRAME_VIDEO = 4"),
        ("unsigned int mallocd:1;", "unsigned int dmallocd_:1; unsigned int mallocd:1;"),
        ("int (*dtmf_begin)(struct ast_rtp_instance *, char);", "int (*dtmf_begin)(struct ast_rtp_instance *, int);"),
        ("void ast_frame_free(struct ast_frame *fr, int cache);", "void ast_frame_free(struct ast_frame *fr);"),
        ("#define AST_RTP_MAX_PT 196", "#define AST_RTP_MAX_PT 128"),
        ("General Public License version 2", "General Public License version 3"),
    ] {
        let declared = Declared::read_with(|header| header.replace(right, wrong));
        assert!(declared.changed, "{right:?} is in no header any more");
        assert!(c_side::compile_and_run(&c_side::program(&facts, &declared)).is_err(), "{wrong:?} went unnoticed");
    }
}

#[test]
fn the_bindings_agree_with_the_facts() {
    let complaints = rust_side::compare(&Facts::read());
    assert!(complaints.is_empty(), "the bindings differ from the facts:\n{}", complaints.join("\n"));
}

#[test]
fn everything_declared_has_a_fact() {
    let (facts, declared) = (Facts::read(), Declared::read());
    let known = facts.names();
    let unknown: BTreeSet<_> =
        declared.names().filter(|name| !known.contains(*name) && !OUR_OWN.iter().any(|(own, _)| own == name)).collect();
    assert!(unknown.is_empty(), "not in the facts: {unknown:?}");
}

#[test]
fn no_symbol_that_some_releases_lack_can_be_linked() {
    let (facts, declared) = (Facts::read(), Declared::read());
    let lacking = facts.symbols_of_some_releases();
    let risky: Vec<_> = declared.linkable().filter(|name| lacking.contains(*name)).collect();
    // The WebSocket functions are not the host's: res_http_websocket provides them.
    let risky: Vec<_> = risky.into_iter().filter(|name| !name.starts_with("__ast_websocket_")).collect();
    assert!(risky.is_empty(), "must be looked up with dlsym: {risky:?}");
}

#[test]
fn the_key_is_the_one_that_the_loader_compares() {
    let key = asterisk_sys::ASTERISK_GPL_KEY.to_bytes();
    let fact = &Facts::read().release["constants"]["ASTERISK_GPL_KEY"];
    assert_eq!(key.len(), usize::try_from(fact["length"].as_u64().unwrap()).unwrap());
    assert_eq!(format!("{:x}", md5::compute(key)), fact["md5"].as_str().unwrap());
}
