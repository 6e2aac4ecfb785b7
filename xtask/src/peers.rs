//! Installs the WebRTC stacks and the phones that call Asterisk in the tests.

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::peer;

use crate::Failure;
use crate::packages;
use crate::run::run;
use crate::test::install_libraries;

/// The list of Python packages; a copy in the directory of installed packages shows that they are complete.
const LIST: &str = "requirements.txt";

/// Installs what is missing of the peers that all hosts meet: baresip by apt, aiortc by pip.
pub fn install() -> Result<(), Failure> {
    packages::ensure(&[packages::TO_LINK, packages::TO_MEET_PHONES])?;
    install_python(&peer::directory().join(LIST), &peer::packages())
}

/// Installs what is missing of those that Asterisk 11 meets besides: GStreamer and linphone by apt, libraries for Node.js by npm.
pub fn install_all() -> Result<(), Failure> {
    install()?;
    packages::ensure(&[packages::TO_MEET_PEERS])?;
    install_libraries(&peer::directory())
}

fn install_python(wanted: &Path, directory: &Path) -> Result<(), Failure> {
    if is_installed(wanted, directory) {
        return Ok(());
    }
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    if directory.exists() {
        fs::remove_dir_all(directory).map_err(failed)?;
    }
    run(Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"])
        .args(["--no-deps", "--only-binary=:all:", "--target"])
        .arg(directory)
        .arg("--requirement")
        .arg(wanted))?;
    fs::copy(wanted, directory.join(LIST)).map(drop).map_err(failed)
}

fn is_installed(wanted: &Path, directory: &Path) -> bool {
    let content = |path: &Path| fs::read(path).ok();
    content(wanted).is_some_and(|wanted| content(&directory.join(LIST)) == Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_there_until_the_list_changes() {
        let directory = std::env::temp_dir().join(format!("xtask-peers-{}", std::process::id()));
        let (wanted, installed) = (directory.join("wanted.txt"), directory.join("installed"));
        fs::create_dir_all(&installed).unwrap();
        fs::write(&wanted, "aiortc==1\n").unwrap();
        assert!(!is_installed(&wanted, &installed), "none");
        fs::copy(&wanted, installed.join(LIST)).unwrap();
        assert!(is_installed(&wanted, &installed));
        fs::write(&wanted, "aiortc==2\n").unwrap();
        assert!(!is_installed(&wanted, &installed), "others");
        fs::remove_dir_all(directory).unwrap();
    }
}
