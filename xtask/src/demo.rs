//! `cargo xtask demo`: runs a real Asterisk with our modules, the samples in `contrib/`, and a page to call it from.

use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use e2e::asterisk::{Asterisk, Home};
use e2e::demo::Fleet;
use e2e::driver::Driver;
use e2e::ending::{self, Asked};
use e2e::page;
use e2e::prefix::{Prefix, Version};
use e2e::samples::Samples;

use crate::Failure;
use crate::debian;
use crate::host;
use crate::modules;
use crate::packages;
use crate::run::{run_unless, target_directory};
use crate::test::{drivers, install_libraries};

/// The address of the host's own HTTP server, from `contrib/samples/http.conf`.
const HTTP: &str = "localhost:8088";

/// Starts the demo, prints its address and waits until Asterisk ends (Ctrl-C ends both).
pub fn serve(host: Option<Version>) -> Result<(), Failure> {
    let (mut asterisk, asked) = start(host)?;
    println!(
        "Open {}, register and call echo. Ctrl-C ends the demo. Its log is {}.",
        page(),
        asterisk.home().log().display()
    );
    while asterisk.is_running() && !asked.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Starts the demo and lets a headless browser place the call.
pub fn check(host: Option<Version>) -> Result<(), Failure> {
    packages::ensure(&[packages::TO_DEMO])?;
    install_libraries(&drivers())?;
    let (asterisk, asked) = start(host)?;
    let outcome = run_unless(asked, Command::new("node").arg(drivers().join("demo.mjs")).arg(page()));
    outcome.map_err(|failure| format!("{failure}\nThe log is {}.", asterisk.home().log().display()))
}

/// Starts the fleet, says what to try, and waits for Ctrl-C.
pub fn serve_fleet(host: Option<Version>) -> Result<(), Failure> {
    let (mut fleet, asked) = start_fleet(host)?;
    println!("{}", fleet.introduction());
    fleet.watch(asked).map_err(|failure| failure.to_string())
}

/// Starts the fleet and lets a headless browser call before and after the loss of a node.
pub fn check_fleet(host: Option<Version>) -> Result<(), Failure> {
    packages::ensure(&[packages::TO_DEMO])?;
    install_libraries(&drivers())?;
    let (mut fleet, asked) = start_fleet(host)?;
    fleet.check(asked).map_err(|failure| format!("{failure}\nLogs are below {}.", fleet_directory().display()))
}

/// Starts the fleet. From then on Ctrl-C sets the flag that comes with it.
fn start_fleet(host: Option<Version>) -> Result<(Fleet, Asked), Failure> {
    let host = host::chosen(host)?;
    packages::ensure(&[packages::TO_BUILD, packages::TO_BUNDLE, packages::TO_RELAY])?;
    debian::kamailio()?;
    let modules = modules::build(host.version())?;
    install_libraries(&page::sources())?;
    let asked = ending::on_signals();
    let fleet = Fleet::start(&fleet_directory(), &host, &modules).map_err(|failure| failure.to_string())?;
    Ok((fleet, asked))
}

fn fleet_directory() -> PathBuf {
    target_directory().join("demo-fleet")
}

fn page() -> String {
    format!("http://{HTTP}{}", page::PATH)
}

/// Starts the demo. From then on Ctrl-C sets the flag that comes with it.
fn start(host: Option<Version>) -> Result<(Asterisk, Asked), Failure> {
    let host = host::chosen(host)?;
    packages::ensure(&[packages::TO_BUILD, packages::TO_BUNDLE, packages::TO_DEMO])?;
    let modules = modules::build(host.version())?;
    if TcpStream::connect(HTTP).is_ok() {
        return Err(format!("Another program listens on {HTTP} already: end it first."));
    }
    let home =
        furnish(&host, &modules).map_err(|error| format!("The directory of the demo could not be filled: {error}"))?;
    install_libraries(&page::sources())?;
    page::bundle(&home.served()).map_err(|error| error.to_string())?;
    let asked = ending::on_signals();
    let asterisk = Asterisk::start(&host, home).map_err(|error| error.to_string())?;
    Ok((asterisk, asked))
}

fn furnish(host: &Prefix, modules: &Path) -> io::Result<Home> {
    let home = Home::create(&target_directory().join("demo"))?;
    home.link_modules(host, modules)?;
    Samples::explained(Driver::of(host.version())).copy(&home, |text| text)?;
    Ok(home)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::run::workspace;

    #[test]
    fn samples_name_every_key_that_the_modules_read_and_no_other() {
        for (code, sample) in [
            ("crates/res_rtp_asterisk/src/config.rs", "rtp.conf"),
            ("crates/res_http_websocket/src/settings.rs", "websocket.conf"),
        ] {
            // The rules for SIP messages are keys, and those of candidates are read elsewhere.
            let rules = match sample {
                "websocket.conf" => read("crates/sip-dialect/src/rules.rs"),
                _ => ["gathering", "relay", "reports", "metrics"].map(tested_apart).concat(),
            };
            let rules = rules.split("#[cfg(test)]").next().unwrap_or_default();
            let (code, sample) = (read(code), read(&format!("contrib/samples/{sample}")));
            let code = format!("{}{rules}", code.split("#[cfg(test)]").next().unwrap_or_default());
            // Keys, and a few values.
            let read = quoted(&code, '"');
            assert!(read.len() > 8, "{read:?}");
            let unnamed: Vec<_> = read.difference(&words(&sample)).copied().collect();
            assert_eq!(unnamed, [""; 0]);
            let unread: Vec<_> = keys(&sample).filter(|key| !read.contains(key)).collect();
            assert_eq!(unread, [""; 0]);
        }
    }

    #[test]
    fn the_sample_of_sip_conf_names_all_of_dtls() {
        let (code, sample) = (read("crates/asterisk/src/rtp/dtls.rs"), read("contrib/samples/sip.conf"));
        let mut read = quoted(&code, '`');
        read.retain(|word| word.starts_with("dtls"));
        assert!(read.len() > 8, "{read:?}");
        let keys: HashSet<_> = keys(&sample).collect();
        let unnamed: Vec<_> = read.difference(&keys).copied().collect();
        assert_eq!(unnamed, [""; 0]);
    }

    /// The settings of a part of the RTP engine, without their tests.
    fn tested_apart(part: &str) -> String {
        let code = read(&format!("crates/res_rtp_asterisk/src/{part}/settings.rs"));
        code.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
    }

    fn read(file: &str) -> String {
        std::fs::read_to_string(workspace().join(file)).expect("a file of the workspace")
    }

    /// The quoted words in the code.
    fn quoted(code: &str, quote: char) -> HashSet<&str> {
        let parts = code.split(quote).skip(1).step_by(2);
        parts
            .filter(|part| {
                part.starts_with(|letter: char| letter.is_ascii_lowercase()) && part.bytes().all(is_of_a_key)
            })
            .collect()
    }

    fn is_of_a_key(byte: u8) -> bool {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
    }

    fn words(sample: &str) -> HashSet<&str> {
        sample.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect()
    }

    /// The keys of the sample's lines, even of those commented out.
    fn keys(sample: &str) -> impl Iterator<Item = &str> {
        sample.lines().filter_map(|line| line.strip_prefix(';').unwrap_or(line).split_once(" = ")).map(|(key, _)| key)
    }
}
