//! Plain phones in everything that an office does: hold, transfer, move, change the codec, press digits, and two hundred at once.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::failure::{Result, ensure};
use e2e::g711;
use e2e::lab::Lab;
use e2e::process::when_idle;
use e2e::site::{MUSIC, Site};
use e2e::talker::{A_WHILE, PCMU, Talker, VOICES, connected, hear_each_other, joined, site};
use e2e::tone::Audio;

const PATIENCE: Duration = Duration::from_secs(5);

/// The voice of a third phone, in Hz.
const THIRD: f64 = 1300.0;

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_call_survives_hold_another_address_another_codec_and_a_blind_transfer() -> Result {
    let lab = Lab::start("phones-call", &site())?;
    for bridge in ["core", "bridge"] {
        let (mut caller, mut callee) = connected(&lab, bridge)?;
        hear_each_other(&caller, &callee)?;
        caller.describes("sendonly", &[PCMU])?;
        callee.hears(MUSIC, A_WHILE)?;
        caller.describes("sendrecv", &[PCMU])?;
        hear_each_other(&caller, &callee)?;
        callee.moves()?;
        hear_each_other(&caller, &callee)?;
        // The payload type decides what the phone may be sent from now on.
        caller.describes("sendrecv", &[(8, "PCMA/8000")])?;
        caller.receives(8)?;
        caller.describes("sendrecv", &[PCMU])?;
        hear_each_other(&caller, &callee)?;
        caller.phone.refer(&format!("sip:tone@127.0.0.1:{}", lab.ports().sip))?;
        caller.phone.received("NOTIFY", PATIENCE)?;
        caller.phone.bye()?;
        callee.hears(440.0, A_WHILE)?;
        callee.phone.bye()?;
        lab.until_idle(PATIENCE)?;
    }
    Ok(())
}

/// A phone with two calls connects the other two (RFC 3891).
#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn an_attended_transfer_connects_the_other_two() -> Result {
    let lab = Lab::start("phones-attended", &site())?;
    let (mut caller, callee) = connected(&lab, "core")?;
    let mut third = Talker::new(&lab, "third", THIRD)?;
    let mut line = Talker::new(&lab, "caller", VOICES[0])?;
    let number = format!("core-{}", third.phone.port());
    thread::scope(|scope| {
        let answering = scope.spawn(|| third.is_called());
        line.call(&number)?;
        joined(answering.join())
    })?;
    line.hears(THIRD, A_WHILE)?;
    third.hears(VOICES[0], A_WHILE)?;
    let (call_id, own, remote) = line.phone.dialog();
    let replaces = format!("{call_id}%3Bto-tag%3D{remote}%3Bfrom-tag%3D{own}");
    let target = format!("sip:{number}@127.0.0.1:{}?Replaces={replaces}", lab.ports().sip);
    caller.phone.refer(&target)?;
    callee.hears(THIRD, A_WHILE)?;
    third.hears(VOICES[1], A_WHILE)?;
    third.phone.bye()?;
    lab.until_idle(PATIENCE)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn early_media_is_heard_and_digits_go_both_ways() -> Result {
    let lab = Lab::start("phones-early", &site())?;
    let (mut caller, mut callee) = (Talker::new(&lab, "caller", VOICES[0])?, Talker::new(&lab, "callee", VOICES[1])?);
    let number = format!("core-{}", callee.phone.port());
    let ear = caller.ear();
    thread::scope(|scope| {
        let answering = scope.spawn(|| {
            callee.rings()?;
            callee.talks_early()?;
            ear.hears(VOICES[1], A_WHILE)?;
            callee.answers()
        });
        caller.call(&number)?;
        joined(answering.join())
    })?;
    hear_each_other(&caller, &callee)?;
    DIGITS.into_iter().for_each(|digit| caller.presses(digit));
    until(|| callee.digits() == DIGITS, || format!("the callee was sent {:?}", callee.digits()))?;
    let (relay, digit) = ("Content-Type: application/dtmf-relay\r\n", "Signal=5\r\nDuration=160\r\n");
    caller.phone.send("INFO", relay, digit)?;
    until(|| callee.digits() == [1, 2, 3, 5], || format!("after the INFO it was sent {:?}", callee.digits()))?;
    // A digit that comes back this soon is taken for an echo.
    thread::sleep(Duration::from_millis(700));
    DIGITS.into_iter().for_each(|digit| callee.presses(digit));
    until(|| caller.digits() == DIGITS, || format!("the caller was sent {:?}", caller.digits()))?;
    caller.phone.bye()?;
    lab.until_idle(PATIENCE)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn two_hundred_calls_at_once_leave_nothing_behind() -> Result {
    let mut site = Site { port_blocks: 3, ..site() };
    for (_, text) in &mut site.files {
        // With video and text, chan_sip would take three pairs of ports for each call.
        *text = text.replace("support = yes", "support = no");
    }
    let lab = Lab::start("phones-crowd", &site)?;
    // The first calls make what stays: threads of pools, memory of the allocator.
    crowd(&lab, TALK)?;
    let before = when_idle(&lab, None)?;
    let calls = crowd(&lab, TALK)?;
    let after = when_idle(&lab, Some(&before))?;
    println!("{before:?} {after:?}");
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    ensure(grown < 4096, || format!("grown by {grown} KiB: {before:?} {after:?}"))?;
    ensure(calls.len() == CROWD, || format!("{} calls were counted", calls.len()))?;
    let silent = calls.iter().filter(|statistics| received(statistics) < 100).count();
    ensure(silent == 0, || format!("Asterisk received nothing in {silent} calls: {:?}", calls.first()))
}

/// Events of telephone-event (RFC 4733 §3.2). With `core` the dialplan keeps # for itself.
const DIGITS: [u8; 3] = [1, 2, 3];

const CROWD: usize = 200;

/// All of them have begun after half of this time.
const TALK: Duration = Duration::from_secs(3);

/// Places many calls at once, and returns the statistics of Asterisk's side.
fn crowd(lab: &Lab, length: Duration) -> Result<Vec<String>> {
    let log = lab.directory().join("log");
    let voice = log.join("voice.ulaw");
    let tone = Audio::tone(VOICES[0], Duration::from_secs(1));
    fs::write(&voice, tone.samples().iter().map(|sample| g711::encode(*sample)).collect::<Vec<_>>())?;
    let scenario = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp/crowd.xml"))?;
    fs::write(log.join("crowd.xml"), scenario.replace("VOICE", &voice.display().to_string()))?;
    let known = statistics(lab)?.len();
    let status = Command::new("sipp")
        .arg(format!("127.0.0.1:{}", lab.ports().sip))
        .arg("-sf")
        .arg(log.join("crowd.xml"))
        .args([
            "-i",
            "127.0.0.1",
            "-mi",
            "127.0.0.1",
            "-p",
            &lab.ports().plain.to_string(),
            "-s",
            "echo-crowd",
            "-nostdin",
        ])
        .args(["-m", &CROWD.to_string(), "-l", &CROWD.to_string(), "-r", &CROWD.to_string(), "-rp", "1500"])
        .args(["-d", &length.as_millis().to_string()])
        .args(["-trace_err", "-error_file"])
        .arg(log.join("crowd.err"))
        .stdout(File::create(log.join("crowd.out"))?)
        .stderr(Stdio::null())
        .status()?;
    ensure(status.success(), || format!("calls failed ({status}): {}", log.display()))?;
    lab.until_idle(PATIENCE)?;
    Ok(statistics(lab)?.split_off(known))
}

/// Asterisk's statistics of the calls that have ended. Asterisk 11 has a second space before a message.
fn statistics(lab: &Lab) -> Result<Vec<String>> {
    let is_one = |line: &&str| line.contains("app_verbose.c: ") && line.contains(" fact statistics=");
    Ok(lab.log()?.lines().filter(is_one).map(str::to_owned).collect())
}

/// The packets that Asterisk received in a call.
fn received(statistics: &str) -> u32 {
    let count = statistics.split(';').find_map(|part| part.trim().strip_prefix("rxcount="));
    count.and_then(|count| count.parse().ok()).unwrap_or_default()
}

fn until(holds: impl Fn() -> bool, why: impl Fn() -> String) -> Result {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        ensure(Instant::now() < end, &why)?;
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
