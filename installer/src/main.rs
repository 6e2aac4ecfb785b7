//! `install`, beside the modules: puts them into an Asterisk on a machine that has no Rust.

use std::path::Path;
use std::process::ExitCode;

use installer::{Done, Files, Host, Refusal};

const USAGE: &str = "\
install [--undo] [--prefix DIR | --modules DIR]

Puts the modules beside this program in the place of an Asterisk's own, and keeps those; with --undo it puts them back.
Without DIR it is the Asterisk of this machine; --prefix is the directory that holds sbin/asterisk, --modules the one that
holds the modules.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let undo = words.first() == Some(&"--undo");
    if undo {
        words.remove(0);
    }
    let Some(host) = Host::meant_by(&words) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let outcome = host.and_then(|host| if undo { installer::uninstall(&host) } else { install(&host) });
    match outcome {
        Ok(done) => {
            println!("{}", done.sentence());
            ExitCode::SUCCESS
        }
        Err(refusal) => {
            eprintln!("{refusal}");
            ExitCode::FAILURE
        }
    }
}

fn install(host: &Host) -> Result<Done, Refusal> {
    let program = std::env::current_exe().unwrap_or_default();
    let files = Files::in_directory(program.parent().unwrap_or(Path::new(".")))?;
    installer::install(&files, host)
}
