//! `cargo xtask demo`: a real Asterisk, our modules, `contrib/`'s samples, and a page to call from.

use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use e2e::asterisk::{Asterisk, Home};
use e2e::page;
use e2e::prefix::{Prefix, Version};
use e2e::site::Driver;

use crate::Failure;
use crate::host;
use crate::modules;
use crate::packages;
use crate::run::{run, workspace};
use crate::test::{drivers, install_libraries};

/// Served by the host's own HTTP server, at the address of `contrib/samples/http.conf`.
const PAGE: &str = "http://localhost:8088/static/index.html";
const HTTP: &str = "127.0.0.1:8088";

/// Starts the demo, prints its address and stays until Asterisk ends (Ctrl-C ends both).
pub fn serve(host: Option<Version>) -> Result<(), Failure> {
    let mut asterisk = start(host)?;
    println!("Open {PAGE}, register, call echo. Ctrl-C ends it; the log is {}.", asterisk.home().log().display());
    asterisk.wait().map_err(|error| format!("Asterisk could not be waited for: {error}"))
}

/// Starts the demo and lets a headless browser place the call.
pub fn check(host: Option<Version>) -> Result<(), Failure> {
    let asterisk = start(host)?;
    install_libraries(&drivers())?;
    let outcome = run(Command::new("node").arg(drivers().join("demo.mjs")).arg(PAGE));
    outcome.map_err(|failure| format!("{failure}\nThe log is {}.", asterisk.home().log().display()))
}

fn start(host: Option<Version>) -> Result<Asterisk, Failure> {
    let host = host::chosen(host)?;
    packages::ensure(&[packages::TO_BUILD, packages::TO_DEMO])?;
    let modules = modules::build(host.version())?;
    if TcpStream::connect(HTTP).is_ok() {
        return Err(format!("Something listens on {HTTP} already: end it first."));
    }
    let home = furnish(&host, &modules).map_err(|error| format!("The demo's directory: {error}"))?;
    install_libraries(&page::sources())?;
    page::bundle(&home).and_then(|()| Asterisk::start(&host, home)).map_err(|error| error.to_string())
}

/// The samples as they are, except that they name this directory where they say `/etc/asterisk`.
fn furnish(host: &Prefix, modules: &Path) -> io::Result<Home> {
    let home = Home::create(&modules::target_directory().join("demo"))?;
    home.link_modules(host, modules)?;
    home.make_certificate()?;
    for sample in samples(Driver::of(host.version())) {
        let content = std::fs::read_to_string(workspace().join("contrib/samples").join(sample))?;
        let (_, file) = sample.rsplit_once('/').unwrap_or(("", sample));
        home.configure(file, &content.replace("/etc/asterisk", &home.etc().to_string_lossy()))?;
    }
    Ok(home)
}

fn samples(driver: Driver) -> [&'static str; 5] {
    match driver {
        Driver::ChanSip => ["extensions.conf", "http.conf", "modules.conf", "rtp.conf", "sip.conf"],
        Driver::ChanPjsip => {
            ["extensions.conf", "http.conf", "chan_pjsip/modules.conf", "rtp.conf", "chan_pjsip/pjsip.conf"]
        }
    }
}
