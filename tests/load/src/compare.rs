//! Both sides in turns.

use std::path::PathBuf;

use e2e::failure::{Failure, Result, ensure};
use e2e::lab;

use crate::limit;
use crate::options::{Load, Options, Side};
use crate::round::{self, Figures, ROWS};
use crate::server::{self, Server};
use crate::stream::Codec;
use crate::web::{self, Bare};

/// The medians of both sides, and their minima.
pub struct Both {
    /// Medians of the modules that are compared with.
    pub others: Figures,
    /// Medians of those of this tree.
    pub ours: Figures,
    least: [Figures; 2],
}

/// The cost of WebSockets as medians: first with the others' modules, then with ours.
pub struct Web {
    /// CPU per echo, µs.
    pub echo: [Option<f64>; 2],
    /// The cost with a bare server.
    pub bare: Option<f64>,
    /// Memory per idle session, KiB.
    pub memory: [Option<f64>; 2],
}

/// Measures a load with both sides in turns, and prints it.
pub fn load(options: &Options, load: &Load) -> Result<Both> {
    let ip = server::outside_address()?;
    let mut columns = [Vec::new(), Vec::new()];
    in_turns(options, |number, side| {
        let (from, load) = meant(load, side);
        let figures = round::run(name(side), &modules(options, from)?, &load, ip)?;
        eprintln!("round {number}, {side:?}: {:.2} µs per packet", figures[round::PACKET].unwrap_or_default());
        columns[side as usize].push(figures);
        Ok(())
    })?;
    let [others, ours] = columns.each_ref().map(|side| round::medians(side));
    let both = Both { others, ours, least: columns.each_ref().map(|side| round::minima(side)) };
    println!("{}", round::title(load));
    both.print(match load.with {
        Some(_) => ["without", "with"],
        None if load.opus => ["G.711", "Opus"],
        None => ["others", "ours"],
    });
    Ok(both)
}

/// The side whose modules carry a load, and the load: Opus is compared with G.711, and a feature with calls without it, all with ours.
fn meant(load: &Load, side: Side) -> (Side, Load) {
    let has_it = side == Side::Ours;
    match load.with {
        Some(_) => (Side::Ours, Load { with: load.with.filter(|_| has_it), ..*load }),
        None if load.opus => (Side::Ours, Load { opus: has_it, ..*load }),
        None => (side, *load),
    }
}

/// Finds the limits of both sides in turns, medians.
pub fn limits(options: &Options, load: &Load) -> Result<[Option<f64>; 2]> {
    let ip = server::outside_address()?;
    let mut columns = [Vec::new(), Vec::new()];
    in_turns(options, |_, side| {
        columns[side as usize].extend(limit::find(name(side), &modules(options, side)?, load, ip)?);
        Ok(())
    })?;
    let both = columns.map(median);
    println!("{}: calls held {both:?}", round::title(load));
    Ok(both)
}

/// Measures WebSockets of both sides in turns.
pub fn web(options: &Options) -> Result<Web> {
    let (ip, bare) = (server::outside_address()?, Bare::start()?);
    let (mut echo, mut memory, mut bares) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()], Vec::new());
    in_turns(options, |_, side| {
        let server = Server::start(name(side), &modules(options, side)?, Codec::Ulaw, 1, 9, ip)?;
        memory[side as usize].push(web::idle_memory(&server)?);
        echo[side as usize].push(web::echo_of(&server)?);
        bares.push(bare.echo()?);
        Ok(())
    })?;
    let web = Web { echo: echo.map(median), bare: median(bares), memory: memory.map(median) };
    println!("WebSocket, echo of 1 KiB, µs of CPU: {:?}, bare tungstenite {:?}", web.echo, web.bare);
    println!("memory per idle WebSocket, KiB: {:?}", web.memory);
    Ok(web)
}

/// The directory of a side's modules.
pub fn modules(options: &Options, side: Side) -> Result<PathBuf> {
    let prefix = lab::installed()?;
    let (named, usual) = match side {
        Side::Ours => (&options.ours, std::env::var_os("MODULES_DIR").map(PathBuf::from)),
        Side::Others => {
            let originals = prefix.root().join("originals");
            let usual = if originals.is_dir() { originals } else { prefix.modules().to_owned() };
            (&options.others, Some(usual))
        }
    };
    let directory = named.clone().or(usual).ok_or_else(|| Failure::new("--ours names no directory of modules"))?;
    ensure(directory.join("res_rtp_asterisk.so").is_file(), || {
        format!("{} holds no res_rtp_asterisk.so", directory.display())
    })?;
    Ok(directory)
}

fn in_turns(options: &Options, mut measure: impl FnMut(usize, Side) -> Result) -> Result {
    (1..=options.rounds).try_for_each(|number| options.sides.iter().try_for_each(|side| measure(number, *side)))
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Others => "load-others",
        Side::Ours => "load-ours",
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl Both {
    fn print(&self, [others, ours]: [&str; 2]) {
        println!("{:<44} {others:>10} {ours:>10} {:>8} {:>9}", "", "ratio", "of minima");
        for (row, name) in ROWS.iter().enumerate() {
            let ratio = |others: &Figures, ours: &Figures| {
                let both = ours[row].zip(others[row]).filter(|(_, others)| *others > 0.0);
                both.map(|(ours, others)| ours / others)
            };
            let show = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"));
            println!(
                "{name:<44} {:>10} {:>10} {:>8} {:>9}",
                show(self.others[row]),
                show(self.ours[row]),
                show(ratio(&self.others, &self.ours)),
                show(ratio(&self.least[0], &self.least[1]))
            );
        }
    }
}
