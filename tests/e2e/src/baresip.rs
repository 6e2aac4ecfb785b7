//! baresip as the phone of account 2001: SIP over UDP, and ICE, DTLS and SRTP of libre.
//!
//! It returns what it hears: its player is connected to its microphone. So Asterisk hears its own tone if media flows both
//! ways.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::lab::Lab;
use crate::phone::RtcpMux;
use crate::site::Protection;

/// A running baresip, ended on drop.
#[derive(Debug)]
pub struct Baresip {
    child: Child,
    log: PathBuf,
}

impl Baresip {
    /// Starts it; it answers calls.
    pub fn start(lab: &Lab, protection: Protection, mux: RtcpMux) -> Result<Self> {
        let phone = Self::run(lab, protection, mux, &[])?;
        phone.until_logged("baresip is ready")?;
        Ok(phone)
    }

    /// Starts it; it calls `number`.
    pub fn call(lab: &Lab, number: &str, protection: Protection, mux: RtcpMux) -> Result<Self> {
        let phone = Self::run(lab, protection, mux, &["-e", &format!("/dial {number}")])?;
        phone.until_connected()?;
        Ok(phone)
    }

    /// Waits until its call is up.
    pub fn until_connected(&self) -> Result {
        self.until_logged("Call established")
    }

    /// Everything that it printed so far.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }

    fn run(lab: &Lab, protection: Protection, mux: RtcpMux, more: &[&str]) -> Result<Self> {
        let log = lab.directory().join("log/baresip.log");
        let home = lab.directory().join("baresip");
        fs::create_dir_all(&home)?;
        fs::write(home.join("config"), configuration(lab, mux))?;
        fs::write(home.join("accounts"), account(lab, protection))?;
        let output = File::create(&log)?;
        let child = Command::new("baresip")
            .arg("-4")
            .arg("-s")
            .arg("-f")
            .arg(home)
            .args(more)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Self { child, log })
    }

    fn until_logged(&self, text: &str) -> Result {
        let end = Instant::now() + Duration::from_secs(20);
        while !self.log()?.contains(text) {
            if Instant::now() > end {
                return Err(Failure::new(format!("baresip does not say {text:?}: {}", self.log.display())));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The directory of its modules, which Debian's own configuration names.
fn modules() -> &'static Path {
    Path::new("/usr/lib/baresip/modules")
}

fn configuration(lab: &Lab, mux: RtcpMux) -> String {
    let mux = if matches!(mux, RtcpMux::Require) { "yes" } else { "no" };
    format!(
        "module_path {}\nsip_listen 127.0.0.1:{}\nmodule g711.so\nmodule aubridge.so\nmodule srtp.so\n\
         module dtls_srtp.so\nmodule ice.so\nmodule_app account.so\nmodule_app menu.so\n\
         audio_player aubridge,loop\naudio_source aubridge,loop\nrtcp_mux {mux}\nrtp_timeout 0\n",
        modules().display(),
        lab.ports().plain
    )
}

fn account(lab: &Lab, protection: Protection) -> String {
    let protected = match protection {
        Protection::None => "",
        Protection::Sdes => ";mediaenc=srtp-mand",
        Protection::SdesOverIce => ";mediaenc=srtp-mand;medianat=ice",
        Protection::Dtls => ";mediaenc=dtls_srtp",
        Protection::DtlsOverIce => ";mediaenc=dtls_srtp;medianat=ice",
    };
    format!("<sip:2001@127.0.0.1:{};transport=udp>;regint=0;answermode=auto{protected}\n", lab.ports().sip)
}
