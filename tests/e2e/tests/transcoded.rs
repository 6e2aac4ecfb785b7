//! Two hundred calls between Opus and µ-law leave nothing behind, and the modules go and come meanwhile.

use std::thread;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::process::when_idle;
use e2e::site::Site;
use e2e::talker::{OPUS, PCMU, Talker, joined, site};

/// Calls at once: translating one takes a hundredth of a processor, and the test's phones some more.
const AT_ONCE: usize = 8;

/// The calls that are measured, and those before them, which make what stays: threads of pools, memory of the allocator.
const CALLS: usize = 200;
const BEFORE: usize = 200;

/// The modules that translate and carry the calls, in the order of unloading.
const MODULES: [&str; 3] = ["codec_opus_g719.so", "res_srtp.so", "res_rtp_asterisk.so"];

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn two_hundred_transcoded_calls_leave_nothing_behind() -> Result {
    let mut site = Site { carriers: true, port_blocks: 3, ..site() };
    for (_, text) in &mut site.files {
        *text = text.replace("support = yes", "support = no").replace("allow = ulaw,", "allow = g719,ulaw,");
    }
    let lab = Lab::start("transcoded", &site)?;
    calls(&lab, BEFORE)?;
    go_and_come(&lab)?;
    let before = when_idle(&lab, None)?;
    calls(&lab, CALLS / 2)?;
    go_and_come(&lab)?;
    calls(&lab, CALLS / 2)?;
    go_and_come(&lab)?;
    let after = when_idle(&lab, Some(&before))?;
    println!("{before:?} {after:?}");
    ensure(after.threads == before.threads && after.descriptors == before.descriptors, || {
        format!("something is left: {before:?} {after:?}")
    })?;
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    ensure(grown < 4096, || format!("grown by {grown} KiB: {before:?} {after:?}"))
}

/// Places this many calls, each from a phone with Opus to one with µ-law, until both have been heard.
fn calls(lab: &Lab, number: usize) -> Result {
    thread::scope(|scope| {
        let lines: Vec<_> = (0..AT_ONCE)
            .map(|line| scope.spawn(move || (0..number / AT_ONCE).try_for_each(|_| call(lab, line))))
            .collect();
        lines.into_iter().try_for_each(|line| joined(line.join()))
    })
}

fn call(lab: &Lab, line: usize) -> Result {
    let mut caller = Talker::with_opus(lab, &format!("opus{line}"))?;
    let mut callee = Talker::new(lab, &format!("plain{line}"), 1000.0)?;
    let number = format!("core-{}", callee.phone.port());
    thread::scope(|scope| {
        let answering = scope.spawn(|| callee.is_called());
        caller.call(&number)?;
        joined(answering.join())
    })?;
    caller.receives(OPUS.0)?;
    callee.receives(PCMU.0)?;
    caller.phone.bye()
}

/// Unloads the modules once the calls are over, and loads them again.
fn go_and_come(lab: &Lab) -> Result {
    when_idle(lab, None)?;
    for module in MODULES {
        let answer = lab.asterisk().cli(&format!("module unload {module}"))?;
        ensure(!is_loaded(lab, module)?, || format!("{module} stays: {answer}"))?;
    }
    for module in MODULES.into_iter().rev() {
        let answer = lab.asterisk().cli(&format!("module load {module}"))?;
        ensure(is_loaded(lab, module)?, || format!("{module} does not load: {answer}"))?;
    }
    Ok(())
}

fn is_loaded(lab: &Lab, module: &str) -> Result<bool> {
    let list = lab.asterisk().cli(&format!("module show like {module}"))?;
    Ok(list.lines().any(|line| line.starts_with(module)))
}
