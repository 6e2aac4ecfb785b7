//! Two Asterisks behind Kamailio, as `contrib/kamailio` says: browsers register with Kamailio over WebSocket, call and are
//! called through either node, and go on when a node or Kamailio is lost.

mod common;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use common::Client;
use e2e::failure::{Result, ensure};
use e2e::fleet::Fleet;
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::proof::EchoCall;
use e2e::site::{MUSIC, Site, VOICE};

/// The tone of the browser that is called.
const OTHER_VOICE: f64 = 1600.0;

/// A machine that is busy with other tests is so many times slower.
const SLOWNESS: u32 = 3;

#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn browsers_call_and_are_called_through_kamailio() -> Result {
    let fleet = Fleet::start("fleet-calls")?;
    let mut chromium = fleet.registered(Browser::Chromium, "1001", VOICE)?;
    chromium.call("echo", RtcpMux::Require)?;
    let call = EchoCall { length: Duration::from_secs(7), ..EchoCall::SHORT };
    call.prove(fleet.node_in_call()?, &mut chromium)?;

    let mut other = fleet.registered(Browser::Firefox, "1002", OTHER_VOICE)?;
    chromium.dial("1002", RtcpMux::Require)?;
    other.answer(RtcpMux::Require)?;
    chromium.connected(Duration::from_secs(15))?;
    chromium.hears(OTHER_VOICE)?;
    other.hears(VOICE)?;
    chromium.hold()?;
    chromium.unhold()?;
    chromium.hears(OTHER_VOICE)?;
    other.hears(VOICE)?;
    other.hold()?;
    chromium.hears(MUSIC)?;
    other.unhold()?;
    chromium.hears(OTHER_VOICE)?;
    other.hears(VOICE)?;
    other.hangup()?;
    fleet.node_in_call().map_or(Ok(()), |node| node.until_idle(Duration::from_secs(5)))
}

#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn digits_of_both_browsers_reach_the_node() -> Result {
    let fleet = Fleet::start("fleet-digits")?;
    for (browser, account, digits) in [(Browser::Chromium, "1001", "159208"), (Browser::Firefox, "1002", "24*367")] {
        let mut phone = fleet.registered(browser, account, VOICE)?;
        phone.call("digits", RtcpMux::Require)?;
        phone.dtmf(digits)?;
        fleet.node_in_call()?.until_logged(&format!("digits read: {digits}."), Duration::from_secs(20))?;
        phone.hangup()?;
    }
    Ok(())
}

/// Each node has a call when one of them is killed.
#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn when_a_node_is_killed_the_other_takes_the_next_call_and_loses_nothing() -> Result {
    let mut fleet = Fleet::start("fleet-node")?;
    let mut phones = [
        fleet.registered(Browser::Chromium, "1001", VOICE)?,
        fleet.registered(Browser::Chromium, "1002", OTHER_VOICE)?,
    ];
    for phone in &mut phones {
        phone.call("echo", RtcpMux::Require)?;
    }
    let [first, second] = &mut phones;
    first.hears(VOICE)?;
    second.hears(OTHER_VOICE)?;
    // The node with the fewest calls takes the second one.
    let dead = usize::from(!fleet.has_call_of(0, "1001")?);
    ensure(fleet.has_call_of(1 - dead, "1002")?, || "both calls are on one node".to_owned())?;
    second.watch_gaps()?;
    fleet.nodes[dead].kill()?;
    let killed = Instant::now();

    // Before Kamailio knows of it: the call waits for an answer of the dead node, or goes to the other at once.
    first.hangup()?;
    let placed = Instant::now();
    first.call("echo", RtcpMux::Require)?;
    println!("call {:?} after the node was killed: up in {:?}", placed - killed, placed.elapsed());
    first.hears(VOICE)?;
    fleet.kamailio.until_logged("does not answer: it gets no calls", Duration::from_secs(15))?;
    for _ in 0..3 {
        first.hangup()?;
        let placed = Instant::now();
        first.call("echo", RtcpMux::Require)?;
        let took = placed.elapsed();
        println!("a later call is up in {took:?}");
        ensure(took < Duration::from_secs(2) * SLOWNESS, || format!("a call took {took:?}"))?;
    }
    second.hears(OTHER_VOICE)?;
    second.lives()?;
    let (longest, stalled) = second.longest_gap()?;
    println!("longest gap of the other call: {longest:?}, of which the page did not look for {stalled:?}");
    ensure(longest.saturating_sub(stalled) < Duration::from_millis(500), || format!("a gap of {longest:?}"))?;
    fleet.kamailio.until_registered(2, Duration::ZERO)
}

#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn when_kamailio_is_killed_calls_keep_their_audio_and_browsers_come_back() -> Result {
    let mut fleet = Fleet::start("fleet-kamailio")?;
    let mut phone = fleet.registered(Browser::Chromium, "1001", VOICE)?;
    phone.call("echo", RtcpMux::Require)?;
    phone.hears(VOICE)?;
    phone.watch_gaps()?;
    fleet.kamailio.kill()?;
    phone.hears(VOICE)?;
    fleet.kamailio.start_again()?;
    let back = Instant::now();
    fleet.kamailio.until_registered(1, Duration::from_secs(15))?;
    println!("registered again {:?} after Kamailio's return", back.elapsed());
    phone.hears(VOICE)?;
    phone.lives()?;
    let (longest, stalled) = phone.longest_gap()?;
    println!("longest gap: {longest:?}, of which the page did not look for {stalled:?}");
    ensure(longest.saturating_sub(stalled) < Duration::from_millis(500), || format!("a gap of {longest:?}"))?;

    // The new Kamailio knows nothing of the call, and carries its requests both ways.
    fleet.node_in_call()?.asterisk().cli("channel request hangup all")?;
    phone.until(&["ended"], Duration::from_secs(5))?;
    fleet.nodes.iter().try_for_each(|node| node.until_idle(Duration::from_secs(5)))?;
    phone.call("echo", RtcpMux::Require)?;
    fleet.kamailio.kill()?;
    fleet.kamailio.start_again()?;
    fleet.kamailio.until_registered(1, Duration::from_secs(15))?;
    phone.hangup()?;
    fleet.nodes.iter().try_for_each(|node| node.until_idle(Duration::from_secs(5)))?;
    fleet.nodes[1].originate("1001@kamailio", "echo")?;
    phone.answer(RtcpMux::Require)?;
    phone.connected(Duration::from_secs(15))?;
    phone.hears(VOICE)
}

/// `core stop gracefully` is the host's own; Kamailio sees the 503 that it answers to probes and calls.
#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn a_node_that_is_to_stop_gets_no_more_calls_and_ends_with_its_last() -> Result {
    let fleet = Fleet::start("fleet-stop")?;
    let mut staying = fleet.registered(Browser::Chromium, "1001", VOICE)?;
    staying.call("echo", RtcpMux::Require)?;
    let stops = fleet.node_in_call()?.asterisk();
    let mut caller = fleet.registered(Browser::Chromium, "1002", OTHER_VOICE)?;
    thread::scope(|scope| {
        let stopped = scope.spawn(|| stops.cli("core stop gracefully"));
        for _ in 0..4 {
            caller.call("echo", RtcpMux::Require)?;
            caller.hears(OTHER_VOICE)?;
            caller.hangup()?;
        }
        staying.hears(VOICE)?;
        staying.lives()?;
        ensure(!stopped.is_finished(), || "the node has stopped under its call".to_owned())?;
        staying.hangup()?;
        // Asterisk 16 waits ten seconds for a queue of its own.
        let end = Instant::now() + Duration::from_secs(30);
        while Path::new(&format!("/proc/{}/exe", stops.pid())).exists() {
            ensure(Instant::now() < end, || "the node does not stop".to_owned())?;
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    })
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_host_that_drains_takes_no_websocket_and_no_call_at_ws_and_keeps_those_that_are_up() -> Result {
    let lab = Lab::start("drain", &Site::default())?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    phone.call("echo", RtcpMux::Require)?;
    phone.hears(VOICE)?;
    lab.asterisk().cli("webrtc drain")?;
    let (_, answer) = Client::ask(lab.ports().ws, "sip", "")?;
    ensure(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: 5\r\n"), || answer.clone())?;
    phone.hears(VOICE)?;
    phone.hold()?;
    phone.unhold()?;
    phone.hears(VOICE)?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))?;

    phone.dial("echo", RtcpMux::Require)?;
    phone.until(&["failed"], Duration::from_secs(5))?;
    let refused = phone
        .messages()?
        .iter()
        .any(|message| message.starts_with("SIP/2.0 503 ") && message.contains("Retry-After: 5"));
    ensure(refused, || "the call was refused in another way".to_owned())?;
    let told = lab.until_told("this host is draining (webrtc drain)")?;
    ensure(told.lines().any(|line| line.contains("1001") && line.contains("draining")), || told)?;
    lab.asterisk().cli("webrtc drain off")?;
    phone.call("echo", RtcpMux::Require)?;
    phone.hears(VOICE)?;
    Client::connect(lab.ports().ws, "sip", "").map(drop)
}
