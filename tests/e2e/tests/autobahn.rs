//! Runs Autobahn's fuzzing client against `echo` on a real Asterisk. The expected verdict for every case is in
//! `tests/autobahn/verdict.json`; a difference is a regression, or needs a commit that changes the file and says why.
//!
//! The suite is not part of this repository; `tests/autobahn/unpack.sh` says how to get and run it. `WSTEST` names its
//! program. `AUTOBAHN_CASES="1.* 2.*"` runs fewer of the 517 cases, which take twenty minutes.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Pbx, Whose};
use e2e::failure::{Failure, Result, ensure};
use serde_json::{Value, json};

/// Section 9 sends messages of 16 MiB, sections 12 and 13 compressed ones.
const WEBSOCKET_CONF: &str = "[general]\nechomaxmessagesize = 16777216\ncompression = yes\n";

#[test]
#[ignore = "twenty minutes, and Autobahn's test suite"]
fn autobahns_verdict_is_unchanged() -> Result {
    let pbx = Pbx::start("autobahn", Whose::Ours, WEBSOCKET_CONF)?;
    judge(&pbx, &format!("ws://127.0.0.1:{}/ws", pbx.ports.ws), "*")
}

#[test]
#[ignore = "a minute, and Autobahn's test suite"]
fn autobahn_says_the_same_over_tls() -> Result {
    let pbx = Pbx::start("autobahn-tls", Whose::Ours, WEBSOCKET_CONF)?;
    judge(&pbx, &format!("wss://127.0.0.1:{}/ws", pbx.ports.wss), "1.* 2.* 3.* 4.* 5.* 6.* 7.* 10.*")
}

fn judge(pbx: &Pbx, url: &str, cases: &str) -> Result {
    let wstest = std::env::var_os("WSTEST").ok_or_else(|| Failure::new("WSTEST names no wstest"))?;
    let cases = std::env::var("AUTOBAHN_CASES").unwrap_or_else(|_| cases.to_owned());
    let root = pbx.asterisk.home().root();
    let (spec, reports) = (root.join("spec.json"), root.join("reports"));
    let server = json!({ "agent": "ours", "url": url, "protocols": ["echo"] });
    let content = json!({
        "outdir": reports,
        "servers": [server],
        "cases": cases.split_whitespace().collect::<Vec<_>>(),
        "exclude-cases": [],
        "exclude-agent-cases": {}
    });
    fs::write(&spec, content.to_string())?;
    let status = Command::new(wstest)
        .args(["--mode", "fuzzingclient", "--spec"])
        .arg(&spec)
        .current_dir(root)
        .stdout(Stdio::null())
        .status()?;
    ensure(status.success(), || format!("wstest: {status}"))?;
    compare(&reports, &cases)
}

fn compare(reports: &Path, cases: &str) -> Result {
    let index: Value = serde_json::from_slice(&fs::read(reports.join("index.json"))?)?;
    let said = index["ours"].as_object().ok_or_else(|| Failure::new("no report"))?;
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("../autobahn/verdict.json");
    let expected: BTreeMap<String, [String; 2]> = serde_json::from_slice(&fs::read(expected)?)?;
    let mut differences = Vec::new();
    for (case, report) in said {
        let now = ["behavior", "behaviorClose"].map(|key| report[key].as_str().unwrap_or_default().to_owned());
        let before = expected.get(case);
        if before != Some(&now) {
            differences.push(format!("{case}: {now:?}, before: {before:?}"));
        }
    }
    let not_run = expected.keys().filter(|case| is_among(case, cases) && !said.contains_key(*case));
    differences.extend(not_run.map(|case| format!("{case}: not run")));
    println!("{} cases, {} differences; reports in {}", said.len(), differences.len(), reports.display());
    ensure(!said.is_empty() && differences.is_empty(), || differences.join("\n"))
}

/// Whether a case matches a pattern of Autobahn: a case, or a prefix and a star.
fn is_among(case: &str, patterns: &str) -> bool {
    patterns.split_whitespace().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => case.starts_with(start),
        None => case == pattern,
    })
}

#[test]
fn every_case_that_was_asked_for_is_expected() {
    assert!(is_among("12.1.1", "*") && is_among("1.1.1", "1.* 2.*") && is_among("7.9.1", "7.9.1"));
    assert!(!is_among("12.1.1", "1.* 2.*") && !is_among("7.9.10", "7.9.1"));
}

#[test]
fn nothing_in_the_verdict_is_failed_or_non_strict() -> Result {
    let verdict: BTreeMap<String, [String; 2]> = serde_json::from_str(include_str!("../../autobahn/verdict.json"))?;
    let bad = verdict.iter().filter(|(_, said)| said.iter().any(|word| word != "OK" && word != "INFORMATIONAL"));
    let bad: Vec<_> = bad.collect();
    ensure(bad.is_empty(), || format!("{bad:?}"))?;
    // Sections 1 to 7, 9, 10, 12 and 13 of version 0.8.2.
    ensure(verdict.len() == 517, || format!("{} cases", verdict.len()))
}
