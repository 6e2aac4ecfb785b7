//! `cargo xtask install` and `uninstall`: build the modules, then run `installer`.

use e2e::prefix::Version;
use installer::{Files, Host, Location, Processes, Refusal, Which};

use crate::modules;
use crate::{Failure, USAGE};

/// Checks that the host accepts our modules, builds them, and installs them in place of its own.
pub fn install(options: &[&str]) -> Result<(), Failure> {
    let host = Host::find(&which(options)?).map_err(told)?;
    let version = Version::from_number(&host.version().to_string());
    let version = version
        .ok_or_else(|| format!("That is an Asterisk {}, but there are only modules for 11, 16 and 22.", host.told()))?;
    installer::check(&host, &Processes::All).map_err(told)?;
    let files = Files::in_directory(&modules::build(version)?).map_err(told)?;
    let done = installer::install(&files, &host, &Processes::All).map_err(told)?;
    println!("{}", done.sentence());
    Ok(())
}

/// Puts the originals back.
pub fn uninstall(options: &[&str]) -> Result<(), Failure> {
    let location = Location::of_ours(&which(options)?).map_err(told)?;
    let done = installer::uninstall(&location, &Processes::All).map_err(told)?;
    println!("{}", done.sentence());
    Ok(())
}

fn which(options: &[&str]) -> Result<Which, Failure> {
    Which::meant_by(options).ok_or_else(|| USAGE.to_owned())
}

fn told(refusal: Refusal) -> Failure {
    refusal.sentence("cargo xtask uninstall")
}
