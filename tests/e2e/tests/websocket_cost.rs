//! Compares the cost of a message and of an idle session with the original module and with ours.
//!
//! A benchmark of a minute, which runs only on request:
//! `cargo test --release --package e2e --test websocket_cost -- --ignored --nocapture`.

mod common;

use std::time::Duration;

use common::{Client, Pbx, TEXT, Whose};
use e2e::failure::{Result, ensure};

/// The length of a message, the number of echoes per run, and the allowed cost of ours relative to the original.
const MESSAGES: [(usize, usize, f64); 3] = [(64, 2000, 0.5), (1024, 400, 0.05), (8192, 100, 0.02)];

const RUNS: usize = 5;

#[test]
#[ignore = "a benchmark of a minute"]
fn server_cpu_per_echoed_message() -> Result {
    let pbxs = [Pbx::start("cost-original", Whose::Original, "")?, Pbx::start("cost-ours", Whose::Ours, "")?];
    let mut clients = [pbxs[0].connect("echo")?, pbxs[1].connect("echo")?];
    println!("{:>8} {:>14} {:>14} {:>9} {:>9}", "octets", "original", "ours", "ratio", "allowed");
    let mut all_hold = true;
    for (len, count, allowed) in MESSAGES {
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..RUNS {
            for (whose, costs) in costs.iter_mut().enumerate() {
                costs.push(echoes(&pbxs[whose], &mut clients[whose], len, count)?);
            }
        }
        let [original, ours] = costs.map(median);
        let ratio = ours / original;
        println!("{len:>8} {:>11.1} us {:>11.1} us {ratio:>9.4} {allowed:>9}", original * 1e6, ours * 1e6);
        all_hold &= ratio <= allowed;
    }
    ensure(all_hold, || "ours costs more than is allowed".to_owned())
}

#[test]
#[ignore = "thousands of connections"]
fn memory_of_idle_sessions() -> Result {
    // Our module has two descriptors per session, this process one.
    let count = 15_000.min(descriptor_limit()?.saturating_sub(600) / 2);
    println!("{:>10} {:>10} {:>14} {:>14} {:>12}", "", "sessions", "KiB each", "descriptors", "threads");
    let mut each = Vec::new();
    for (name, whose) in [("original", Whose::Original), ("ours", Whose::Ours)] {
        let pbx = Pbx::start(&format!("idle-{name}"), whose, "")?;
        // Exclude the one-time cost of the first sessions.
        drop((0..20).map(|_| pbx.connect("echo")).collect::<Result<Vec<Client>>>()?);
        std::thread::sleep(Duration::from_secs(2));
        let before = pbx.footprint()?;
        let clients = (0..count).map(|_| pbx.connect("echo")).collect::<Result<Vec<Client>>>()?;
        std::thread::sleep(Duration::from_secs(2));
        let with = pbx.footprint()?;
        let kib = (with.resident_kib - before.resident_kib) as f64 / count as f64;
        println!(
            "{name:>10} {count:>10} {kib:>14.2} {:>14} {:>12}",
            with.descriptors - before.descriptors,
            with.threads - before.threads
        );
        each.push(kib);
        drop(clients);
        if whose == Whose::Ours {
            let after = pbx.until(Duration::from_secs(30), |now| now.threads <= before.threads)?;
            ensure(after.descriptors <= before.descriptors, || format!("{before:?}, and afterwards {after:?}"))?;
        }
    }
    ensure(each[1] <= each[0], || format!("ours takes {:.2} KiB a session, the original {:.2}", each[1], each[0]))
}

/// The host's processor time in seconds for one of them.
fn echoes(pbx: &Pbx, client: &mut Client, len: usize, count: usize) -> Result<f64> {
    let message = vec![b'x'; len];
    let before = pbx.cpu()?;
    for _ in 0..count {
        client.send(TEXT, &message)?;
        let answer = client.message()?;
        ensure(answer.len() == len, || format!("{} octets came back of {len}", answer.len()))?;
    }
    Ok((pbx.cpu()? - before) / count as f64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn descriptor_limit() -> Result<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    Ok(line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()).unwrap_or(1024))
}
