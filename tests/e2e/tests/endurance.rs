//! Many calls: ten of forty seconds in a row, and hundreds after which no resources may be left in use.
//!
//! Each takes minutes, so they run only on request: `cargo test --package e2e --test endurance -- --ignored`.

use std::fs;
use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::process::Footprint;
use e2e::proof::EchoCall;
use e2e::site::Site;

#[test]
#[ignore = "seven minutes"]
fn ten_calls_of_chromium() -> Result {
    ten(Browser::Chromium, "ten-chromium", &Site::default(), EchoCall::LONG)
}

#[test]
#[ignore = "seven minutes"]
fn ten_calls_of_firefox() -> Result {
    ten(Browser::Firefox, "ten-firefox", &Site::default(), EchoCall::LONG)
}

#[test]
#[ignore = "seven minutes"]
fn ten_calls_of_chromium_that_negotiates_rtcp_mux() -> Result {
    ten(Browser::Chromium, "ten-nego-chromium", &Site::default(), EchoCall::LONG.negotiating())
}

#[test]
#[ignore = "seven minutes"]
fn ten_calls_of_firefox_that_negotiates_rtcp_mux() -> Result {
    ten(Browser::Firefox, "ten-nego-firefox", &Site::default(), EchoCall::LONG.negotiating())
}

#[test]
#[ignore = "seven minutes"]
fn ten_calls_of_chromium_without_rtcp_mux() -> Result {
    ten(
        Browser::Chromium,
        "ten-nomux-chromium",
        &Site { without_rtcp_mux: true, ..Site::default() },
        EchoCall::LONG.negotiating(),
    )
}

#[test]
#[ignore = "seven minutes"]
fn ten_calls_of_firefox_without_rtcp_mux() -> Result {
    ten(
        Browser::Firefox,
        "ten-nomux-firefox",
        &Site { without_rtcp_mux: true, ..Site::default() },
        EchoCall::LONG.negotiating(),
    )
}

#[test]
#[ignore = "seven minutes"]
fn ten_calls_to_chromium() -> Result {
    ten_to(Browser::Chromium, "ten-to-chromium")
}

#[test]
#[ignore = "seven minutes"]
fn ten_calls_to_firefox() -> Result {
    ten_to(Browser::Firefox, "ten-to-firefox")
}

#[test]
#[ignore = "a quarter of an hour"]
fn nothing_is_left_behind_by_hundreds_of_calls() -> Result {
    let lab = Lab::start("hundreds", &Site::default())?;
    // Make some calls first, so that the one-time cost of pages and files is not counted.
    some_calls(&lab, 5)?;
    some_calls(&lab, 5)?;
    let before = when_idle(&lab)?;
    some_calls(&lab, 100)?;
    let hundred = when_idle(&lab)?;
    println!("before {before:?}, after 100 calls {hundred:?}");
    ensure((hundred.descriptors, hundred.threads) == (before.descriptors, before.threads), || {
        format!("100 calls did not release all resources: {before:?}, {hundred:?}")
    })?;
    for _ in 0..4 {
        some_calls(&lab, 100)?;
        println!("after 100 more {:?}", when_idle(&lab)?);
    }
    let after = when_idle(&lab)?;
    let grown = after.resident_kib.saturating_sub(hundred.resident_kib);
    ensure(grown < 1024, || format!("grown by {grown} KiB from call 100 to call 500"))
}

fn ten(browser: Browser, name: &str, site: &Site, call: EchoCall) -> Result {
    let lab = Lab::start(name, site)?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    for number in 1..=10 {
        let statistics = call.place(&lab, &mut phone, "echo")?;
        println!("{name} call {number}: {statistics}");
    }
    Ok(())
}

fn ten_to(browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    for number in 1..=10 {
        lab.originate("1001", "echo")?;
        phone.answer(RtcpMux::Require)?;
        phone.connected(Duration::from_secs(15))?;
        let statistics = EchoCall::LONG.prove(&lab, &mut phone)?;
        println!("{name} call {number}: {statistics}");
    }
    Ok(())
}

/// Makes short calls with one browser. Chromium allows no more than 500 connections in a page, so each
/// hundred has its own.
fn some_calls(lab: &Lab, count: usize) -> Result {
    let mut phone = Phone::registered(lab, Browser::Chromium, "1001")?;
    for _ in 0..count {
        phone.call("echo", RtcpMux::Require)?;
        std::thread::sleep(Duration::from_millis(500));
        let statistics = phone.statistics()?;
        phone.hangup()?;
        ensure(statistics["packetsReceived"].as_f64() > Some(5.0), || format!("no media arrived: {statistics}"))?;
        lab.until_idle(Duration::from_secs(5))?;
    }
    // Recordings are not counted here.
    let recordings = lab.directory().join("spool/monitor");
    fs::remove_dir_all(&recordings)?;
    Ok(fs::create_dir(&recordings)?)
}

/// Measures after temporary leftovers of calls are gone: chan_sip keeps a dialog for 32 s after its BYE (RFC 3261 §17.1.2.2).
fn when_idle(lab: &Lab) -> Result<Footprint> {
    std::thread::sleep(Duration::from_secs(40));
    Footprint::of(lab.asterisk().pid())
}
