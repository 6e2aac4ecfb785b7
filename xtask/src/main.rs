//! The project's commands.
//!
//! `cargo xtask demo` starts a real Asterisk with our modules and a page to call it from; `cargo xtask test` runs every
//! test that this machine can. Each installs the Debian packages it needs when it may, and says which when it may not.

mod demo;
mod modules;
mod packages;
mod run;
mod test;

use std::process::ExitCode;

/// Why a command ended early, as one sentence for the person who typed it.
type Failure = String;

const USAGE: &str = "\
cargo xtask <command>

  build            the three modules, into target/asterisk-11/
  demo             start the Asterisk 11 of ASTERISK_PREFIX with them, and serve a page to call it from
  demo --check     the same, place the call in a headless browser, and exit 0 if it was heard
  test             everything that this machine can run";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["build"] => modules::build().map(|modules| println!("{}", modules.display())),
        ["demo"] => demo::serve(),
        ["demo", "--check"] => demo::check(),
        ["test"] => test::all(),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
