//! baresip as the phone of account 2001: SIP over UDP, and ICE, DTLS and SRTP of libre.
//!
//! It returns what it hears: its player is connected to its microphone. So Asterisk hears its own tone if media flows both
//! ways.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result, ensure};
use serde_json::json;

use crate::lab::Lab;
use crate::phone::RtcpMux;
use crate::site::Protection;
use crate::tone::Audio;

/// The frequency of [`Baresip::plain`]'s tone.
pub const VOICE: f64 = 700.0;

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

    /// Starts it without encryption; it sends a tone of [`VOICE`]: after a hold, its player and its microphone are no longer connected.
    pub fn plain(lab: &Lab) -> Result<Self> {
        let voice = lab.directory().join("log/baresip.wav");
        Audio::tone(VOICE, Duration::from_secs(60)).write_wav(&voice)?;
        let source = format!("module aufile.so\naudio_source aufile,{}\n", voice.display());
        let phone = Self::run_with(lab, Protection::None, &configuration(lab, RtcpMux::Negotiate, &source), &[])?;
        phone.until_logged("baresip is ready")?;
        Ok(phone)
    }

    /// Starts it; it calls `number`.
    pub fn call(lab: &Lab, number: &str, protection: Protection, mux: RtcpMux) -> Result<Self> {
        let phone = Self::run(lab, protection, mux, &["-e", &format!("/dial {number}")])?;
        phone.until_connected()?;
        Ok(phone)
    }

    /// Types a command, such as `dial` with a number or `hold` with nothing (its `ctrl_tcp`: JSON in netstrings).
    pub fn tell(&self, lab: &Lab, command: &str, parameter: &str) -> Result {
        let command = json!({ "command": command, "params": parameter }).to_string();
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, lab.ports().proxy))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(connection, "{}:{command},", command.len())?;
        // The first answer may be an event.
        let mut answer = [0; 4096];
        let length = connection.read(&mut answer)?;
        ensure(length > 0, || format!("baresip does not take {command}"))
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
        Self::run_with(lab, protection, &configuration(lab, mux, "audio_source aubridge,loop\n"), more)
    }

    fn run_with(lab: &Lab, protection: Protection, configuration: &str, more: &[&str]) -> Result<Self> {
        let log = lab.directory().join("log/baresip.log");
        let home = lab.directory().join("baresip");
        fs::create_dir_all(&home)?;
        fs::write(home.join("config"), configuration)?;
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

fn configuration(lab: &Lab, mux: RtcpMux, source: &str) -> String {
    let mux = if matches!(mux, RtcpMux::Require) { "yes" } else { "no" };
    format!(
        "module_path {}\nsip_listen 127.0.0.1:{}\nmodule g711.so\nmodule aubridge.so\nmodule srtp.so\n\
         module dtls_srtp.so\nmodule ice.so\nmodule_app account.so\nmodule_app menu.so\n\
         module_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:{}\n\
         audio_player aubridge,loop\n{source}rtcp_mux {mux}\nrtp_timeout 0\n",
        modules().display(),
        lab.ports().plain,
        lab.ports().proxy
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
