//! `cargo xtask load`: calls in bulk through a real Asterisk with one set of modules and then the other, in turns, and both
//! columns of what they cost.
//!
//! The generator is one thread with three sockets for all calls. Packets leave in batches on a clock of a millisecond, each leg in
//! one of the twenty parts of 20 ms, and arrivals are read in batches once a millisecond, so that the generator costs a fraction of
//! what the server does and its wake-ups are not charged to the server.

mod batch;
mod compare;
mod crowd;
mod keys;
mod leg;
mod limit;
mod options;
mod round;
mod server;
mod share;
mod stream;
mod table;
mod web;

use std::process::ExitCode;

use e2e::failure::{Failure, Result};

use options::{Options, Task, USAGE};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match obey(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn obey(words: &[String]) -> Result {
    match words {
        [word] if word == web::BARE => return web::serve_bare(),
        [word] if word == "--help" => {
            println!("{USAGE}");
            return Ok(());
        }
        _ => {}
    }
    let options = Options::parse(words).map_err(Failure::new)?;
    server::go_first();
    match options.task {
        Task::Load => compare::load(&options, &options.load).map(drop),
        Task::Limit => compare::limits(&options, &options.load).map(drop),
        Task::Web => compare::web(&options).map(drop),
        Task::Table => table::write(&options),
    }
}
