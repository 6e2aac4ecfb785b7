//! `cargo xtask demo`: the installed Asterisk, our modules, `contrib/`'s samples, and a page to call from.

use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use e2e::asterisk::{Asterisk, Home};
use e2e::prefix::Prefix;

use crate::Failure;
use crate::modules;
use crate::packages;
use crate::run::{run, workspace};
use crate::test::install_page_libraries;

/// Served by the host's own HTTP server, at the address of `contrib/samples/http.conf`.
const PAGE: &str = "http://localhost:8088/static/index.html";
const HTTP: &str = "127.0.0.1:8088";

const SAMPLES: [&str; 5] = ["extensions.conf", "http.conf", "modules.conf", "rtp.conf", "sip.conf"];

/// Starts the demo, prints its address and stays until Asterisk ends (Ctrl-C ends both).
pub fn serve() -> Result<(), Failure> {
    let mut asterisk = start()?;
    println!("Open {PAGE}, register, call echo. Ctrl-C ends it; the log is {}.", asterisk.home().log().display());
    asterisk.wait().map_err(|error| format!("Asterisk could not be waited for: {error}"))
}

/// Starts the demo and lets a headless browser place the call.
pub fn check() -> Result<(), Failure> {
    let asterisk = start()?;
    install_page_libraries()?;
    let outcome = run(Command::new("node").arg(workspace().join("tests/e2e/browser/demo.mjs")).arg(PAGE));
    outcome.map_err(|failure| format!("{failure}\nThe log is {}.", asterisk.home().log().display()))
}

fn start() -> Result<Asterisk, Failure> {
    let prefix = match Prefix::from_env() {
        Some(prefix) => prefix.map_err(|error| error.to_string())?,
        None => return Err("The demo needs an Asterisk 11: set ASTERISK_PREFIX to where one is installed.".to_owned()),
    };
    packages::ensure(&[packages::TO_BUILD, packages::TO_DEMO])?;
    let modules = modules::build()?;
    if TcpStream::connect(HTTP).is_ok() {
        return Err(format!("Something listens on {HTTP} already: end it first."));
    }
    let home = furnish(&prefix, &modules).map_err(|error| format!("The demo's directory: {error}"))?;
    bundle_page(&home)?;
    Asterisk::start(&prefix, home).map_err(|error| error.to_string())
}

/// The samples as they are, except that they name this directory where they say `/etc/asterisk`.
fn furnish(prefix: &Prefix, modules: &Path) -> io::Result<Home> {
    let home = Home::create(&modules::target_directory().join("demo"))?;
    home.link_modules(prefix, modules)?;
    home.make_certificate()?;
    for sample in SAMPLES {
        let content = std::fs::read_to_string(workspace().join("contrib/samples").join(sample))?;
        home.configure(sample, &content.replace("/etc/asterisk", &home.etc().to_string_lossy()))?;
    }
    Ok(home)
}

fn bundle_page(home: &Home) -> Result<(), Failure> {
    let page = workspace().join("contrib/demo");
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&page))?;
    run(Command::new("npm")
        .args(["run", "--silent", "bundle"])
        .env("OUT", home.root().join("data/static-http"))
        .current_dir(&page))
}
