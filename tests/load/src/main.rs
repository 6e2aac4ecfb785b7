//! `cargo xtask load`: calls in bulk through a real Asterisk with one set of modules and then the other, in turns, and both
//! columns of what they cost.
//!
//! The generator is one thread with three sockets for all calls. Packets leave in batches on a clock of a millisecond, each leg in
//! one of the twenty parts of 20 ms, and arrivals are read in batches once a millisecond, so that the generator costs a fraction of
//! what the server does and its wake-ups are not charged to the server.

mod batch;
mod crowd;
mod dialog;
mod keys;
mod leg;
mod options;
mod round;
mod server;
mod stream;

use std::path::PathBuf;
use std::process::ExitCode;

use e2e::failure::{Failure, Result, ensure};
use e2e::lab;

use options::{Options, Side};
use round::{Figures, ROWS};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help") {
        println!("{}", options::USAGE);
        return ExitCode::SUCCESS;
    }
    let outcome = Options::parse(&words).map_err(Failure::new).and_then(|options| compare(&options));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Measures both sides in turns and prints their medians.
fn compare(options: &Options) -> Result {
    let ip = server::outside_address()?;
    let mut columns = [Vec::new(), Vec::new()];
    for number in 1..=options.rounds {
        for side in &options.sides {
            let modules = modules(options, *side)?;
            let name = if *side == Side::Ours { "load-ours" } else { "load-others" };
            let figures = round::run(name, &modules, &options.load, ip)?;
            eprintln!("round {number}, {side:?}: {:.2} µs per packet", figures[0].unwrap_or_default());
            columns[*side as usize].push(figures);
        }
    }
    println!("{}", round::title(&options.load));
    print(&columns);
    Ok(())
}

fn print([others, ours]: &[Vec<Figures>; 2]) {
    println!("{:<44} {:>10} {:>10} {:>8} {:>8}", "", "others", "ours", "ratio", "of minima");
    for (row, name) in ROWS.iter().enumerate() {
        let values = |side: &[Figures]| {
            let mut values: Vec<f64> = side.iter().filter_map(|figures| figures[row]).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (others, ours) = (values(others), values(ours));
        let (median, least) =
            (|values: &[f64]| values.get(values.len() / 2).copied(), |values: &[f64]| values.first().copied());
        let ratio = |of: &dyn Fn(&[f64]) -> Option<f64>| {
            of(&ours).zip(of(&others)).filter(|(_, others)| *others > 0.0).map(|(ours, others)| ours / others)
        };
        let show = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"));
        println!(
            "{name:<44} {:>10} {:>10} {:>8} {:>8}",
            show(median(&others)),
            show(median(&ours)),
            show(ratio(&median)),
            show(ratio(&least))
        );
    }
}

/// The directory of a side's modules.
fn modules(options: &Options, side: Side) -> Result<PathBuf> {
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
