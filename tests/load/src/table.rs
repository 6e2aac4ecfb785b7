//! The table of `contrib/docs/performance.md`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::failure::{Failure, Result};

use crate::compare::{self, Both};
use crate::options::{Kind, Load, Options, Shape};
use crate::round::{Figures, HANDSHAKE, HEARD, IDLE, MEMORY, OWN, PACKET, SET_UP};

/// The lines between which the document holds the table.
const BEGIN: &str = "<!-- begin of what `cargo xtask load --table` writes -->\n";
const END: &str = "<!-- end of what it writes -->\n";

/// One line: what it is about, both figures with their unit, and the limit of the ratio.
struct Line {
    what: String,
    others: Option<f64>,
    ours: Option<f64>,
    unit: &'static str,
    target: &'static str,
}

/// Measures everything and writes the table.
pub fn write(options: &Options) -> Result {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/docs/performance.md");
    // A document without its place for the table is an error now, and not in half an hour.
    replaced(&fs::read_to_string(&document)?, "")?;
    let machine = machine(options)?;
    let lines = measure(options)?;
    let table = table(&machine, options, &lines);
    fs::write(&document, replaced(&fs::read_to_string(&document)?, &table)?)?;
    println!("{table}");
    Ok(())
}

fn measure(options: &Options) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (calls, kind, target) in [(100, Kind::Plain, "≤ 0.3"), (50, Kind::Ice, "≤ 0.35")] {
        let both = load(options, calls, kind, Shape::Bridge, false)?;
        let what = format!("bridged packet, {} to plain, {calls} calls", name(kind));
        lines.push(line(&what, &both, PACKET, "µs", target));
    }
    let plain = echoes(options, Kind::Plain, &mut lines)?;
    for kind in [Kind::Sdes, Kind::Dtls] {
        echoes(options, kind, &mut lines)?;
    }
    let ice = echoes(options, Kind::Ice, &mut lines)?;
    let opus =
        compare::load(options, &Load { calls: 50, kind: Kind::Ice, shape: Shape::Echo, opus: true, ..options.load })?;
    lines.push(line(
        "ours with G.711 and with Opus: echoed packet, DTLS over ICE, 50 calls",
        &opus,
        PACKET,
        "µs",
        "≤ 1.1",
    ));
    let gcm = load(options, 50, Kind::Ice, Shape::Echo, true)?;
    lines.push(line("the same with AES-GCM preferred by the browser, 50 calls", &gcm, PACKET, "µs", "≤ 0.8"));
    lines.push(line("ICE pair to DTLS done, median, 50 calls/s", &ice, HANDSHAKE, "ms", "≤ 5 ms"));
    lines.push(line("200 to first packet heard, DTLS over ICE, median, 50 calls/s", &ice, HEARD, "ms", "≤ 15 ms"));
    let added = |side: fn(&Both) -> &Figures| Some(side(&ice)[SET_UP]? - side(&plain)[SET_UP]?);
    lines.push(Line {
        what: "CPU that DTLS over ICE adds to a call's set-up and tear-down".to_owned(),
        others: added(|both| &both.others),
        ours: added(|both| &both.ours),
        unit: "ms",
        target: "≤ 0.3",
    });
    lines.push(line("memory per call, DTLS over ICE", &ice, MEMORY, "KiB", "≤ 0.5"));
    lines.push(line("context switches per second, idle", &plain, IDLE, "/s", "0"));
    lines.push(five_hundred(options, &plain)?);
    lines.extend(web(options)?);
    for (kind, shape, target) in [(Kind::Ice, Shape::Echo, "≥ 1.3"), (Kind::Plain, Shape::Bridge, "≥ 4")] {
        let both = compare::limits(options, &Load { kind, shape, gcm: false, ..options.load })?;
        let what = format!("calls held below 0.1 % of loss on one processor, {} {}", name(kind), shape.name());
        lines.push(Line { what, others: both[0], ours: both[1], unit: "", target });
    }
    Ok(lines)
}

/// Echoed packets of 50 and 300 calls; the figures of 50.
fn echoes(options: &Options, kind: Kind, lines: &mut Vec<Line>) -> Result<Both> {
    let [few, many] = [50, 300].map(|calls| load(options, calls, kind, Shape::Echo, false));
    let (few, many) = (few?, many?);
    for (calls, both) in [(50, &few), (300, &many)] {
        let what = format!("echoed packet, {}, {calls} calls", name(kind));
        lines.push(line(&what, both, PACKET, "µs", "≤ 0.85"));
        if both.ours[OWN].is_some() {
            lines.push(line("of that, media modules and their system calls", both, OWN, "µs", ""));
        }
    }
    Ok(few)
}

/// Ours with 500 calls, beside ours with 50.
fn five_hundred(options: &Options, fifty: &Both) -> Result<Line> {
    let many = load(options, 500, Kind::Plain, Shape::Echo, false)?;
    Ok(Line {
        what: "ours with 50 and with 500 calls: echoed packet, plain".to_owned(),
        others: fifty.ours[PACKET],
        ours: many.ours[PACKET],
        unit: "µs",
        target: "≤ 1.05",
    })
}

fn web(options: &Options) -> Result<[Line; 2]> {
    let web = compare::web(options)?;
    Ok([
        Line {
            what: "memory per idle WebSocket".to_owned(),
            others: web.memory[0],
            ours: web.memory[1],
            unit: "KiB",
            target: "≤ 0.5",
        },
        Line {
            what: "a bare tungstenite server and ours: echo of 1 KiB over a WebSocket".to_owned(),
            others: web.bare,
            ours: web.echo[1],
            unit: "µs",
            target: "≤ 1.5",
        },
    ])
}

fn load(options: &Options, calls: usize, kind: Kind, shape: Shape, gcm: bool) -> Result<Both> {
    compare::load(options, &Load { calls, kind, shape, gcm, ..options.load })
}

fn line(what: &str, both: &Both, row: usize, unit: &'static str, target: &'static str) -> Line {
    Line { what: what.to_owned(), others: both.others[row], ours: both.ours[row], unit, target }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Plain => "plain",
        Kind::Sdes => "SDES",
        Kind::Dtls => "DTLS",
        Kind::Ice => "DTLS over ICE",
    }
}

fn table(machine: &str, options: &Options, lines: &[Line]) -> String {
    let mut text = format!(
        "{machine}\n\n{} rounds with {} s of steady state, medians.\n\n| | original | ours | ours / original | target |\n|---|---|---|---|---|\n",
        options.rounds,
        options.load.steady.as_secs()
    );
    for Line { what, others, ours, unit, target } in lines {
        let show = |value: &Option<f64>| match value {
            Some(value) if *value >= 100.0 => format!("{value:.0} {unit}"),
            Some(value) => format!("{value:.1} {unit}"),
            None => "–".to_owned(),
        };
        let ratio = ours.zip(*others).filter(|(_, others)| *others > 0.0);
        let ratio = ratio.map_or_else(|| "–".to_owned(), |(ours, others)| format!("{:.2}", ours / others));
        let _ = writeln!(text, "| {what} | {} | {} | {ratio} | {target} |", show(others).trim(), show(ours).trim());
    }
    text
}

/// The machine, how busy it is before anything is measured, and the versions.
fn machine(options: &Options) -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let models: Vec<_> = cpus.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(": ")).collect();
    let model = models.first().map_or("unknown processor", |(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let said = |command: &mut Command| -> Result<String> {
        Ok(String::from_utf8_lossy(&command.output()?.stdout).trim().to_owned())
    };
    let asterisk = said(e2e::lab::installed()?.command().arg("-V"))?;
    let commit = said(Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(here()))?;
    let others = compare::modules(options, crate::options::Side::Others)?;
    let whose = if others.ends_with("originals") { "its own modules" } else { "other modules" };
    Ok(format!(
        "{} × {model}, Linux {}, load average {load} before. {asterisk} with {whose} and with those of {commit}.",
        models.len(),
        kernel.trim()
    ))
}

fn here() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// The document with another table.
fn replaced(document: &str, table: &str) -> Result<String> {
    let parts = document.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) =
        parts.ok_or_else(|| Failure::new("contrib/docs/performance.md has no place for its table"))?;
    Ok(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_takes_the_place_of_the_old_one() {
        let document = format!("# Title\n{BEGIN}\nold\n\n{END}More.\n");
        assert_eq!(replaced(&document, "new\n").unwrap(), format!("# Title\n{BEGIN}\nnew\n\n{END}More.\n"));
        assert!(replaced("# Title\n", "new").is_err());
    }

    #[test]
    fn the_document_has_a_place_for_the_table() {
        assert!(replaced(include_str!("../../../contrib/docs/performance.md"), "").is_ok());
    }
}
