//! Linphone's console program as a plain phone with DTLS-SRTP: unlike our other phones it has one RTP port for all its calls.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result, ensure};
use crate::lab::Lab;

/// The phone of account 2001, ended on drop.
#[derive(Debug)]
pub struct Linphone {
    child: Child,
    commands: ChildStdin,
    log: PathBuf,
}

impl Linphone {
    /// Starts it with DTLS over ICE. It has no sound card: it sends silence.
    pub fn start(lab: &Lab) -> Result<Self> {
        Self::run(lab, PROTECTED)
    }

    /// Starts it without encryption. It sends the tone of the file `voice`, and records what it hears in the file `ear`.
    pub fn plain(lab: &Lab, voice: &Path, ear: &Path) -> Result<Self> {
        let mut phone = Self::run(lab, "")?;
        phone.tell(&format!("play {}", voice.display()))?;
        phone.tell(&format!("record {}", ear.display()))?;
        Ok(phone)
    }

    fn run(lab: &Lab, protection: &str) -> Result<Self> {
        let directory = lab.directory().join("log");
        let (configuration, log) = (directory.join("linphone.conf"), directory.join("linphone.log"));
        // It does not start without this directory, and does not create it.
        fs::create_dir_all(directory.join(".local/share/linphone"))?;
        fs::write(&configuration, Self::configuration(lab, protection))?;
        let output = File::create(directory.join("linphone.out"))?;
        let mut child = Command::new("linphonec")
            .args(["-d", "6", "-l"])
            .arg(&log)
            .arg("-c")
            .arg(configuration)
            .env("HOME", &directory)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let commands = child.stdin.take().ok_or_else(|| Failure::new("linphone has no input"))?;
        let mut phone = Self { child, commands, log };
        phone.tell("soundcard use files")?;
        phone.until(READY, 0)?;
        Ok(phone)
    }

    /// RTP has the number of the manager's port, which is a TCP port, and is even.
    fn configuration(lab: &Lab, protection: &str) -> String {
        let (sip, rtp) = (lab.ports().plain, lab.ports().manager);
        format!(
            "[sip]\nsip_port={sip}\nsip_tcp_port=0\nsip_tls_port=0\ncontact=sip:2001@127.0.0.1\nguess_hostname=0\n\
             use_ipv6=0\nipv6_migration_done=1\n\
             {protection}[rtp]\naudio_rtp_port={rtp}\n\
             [video]\nenabled=0\ncapture=0\ndisplay=0\n"
        )
    }

    /// Calls `number`, and waits until it hears something.
    pub fn call(&mut self, lab: &Lab, number: &str) -> Result {
        let (heard, none) = (self.count(HEARD)?, self.count(NOTHING_HEARD)?);
        self.tell(&format!("call sip:{number}@127.0.0.1:{}", lab.ports().sip))?;
        let end = Instant::now() + PATIENCE;
        // Every second it logs how much it has received.
        while self.count(HEARD)? - heard <= self.count(NOTHING_HEARD)? - none {
            ensure(Instant::now() < end, || format!("linphone hears nothing: {}", self.log.display()))?;
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Ends the call.
    pub fn hangup(&mut self) -> Result {
        let calls = self.count(ENDED)?;
        self.tell("terminate")?;
        self.until(ENDED, calls)
    }

    /// How many lines of its log contain `text`.
    pub fn count(&self, text: &str) -> Result<usize> {
        // It creates the file.
        let log = if self.log.exists() { fs::read(&self.log)? } else { Vec::new() };
        Ok(String::from_utf8_lossy(&log).lines().filter(|line| line.contains(text)).count())
    }

    /// Types a command.
    pub fn tell(&mut self, command: &str) -> Result {
        Ok(writeln!(self.commands, "{command}")?)
    }

    /// Waits until its log contains `text` more than `times` times.
    pub fn until(&self, text: &str, times: usize) -> Result {
        let end = Instant::now() + PATIENCE;
        while self.count(text)? <= times {
            if Instant::now() > end {
                return Err(Failure::new(format!("linphone's log does not say {text:?}: {}", self.log.display())));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        // It ends by itself within a second; a test that failed does not wait for it.
        let _ = self.tell("quit");
        for _ in 0..50 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

const READY: &str = "Creating listening point";
const HEARD: &str = "RTP : [d=";
const NOTHING_HEARD: &str = "RTP : [d=0.00";
const ENDED: &str = "LinphoneCallReleased";

/// DTLS over ICE, and nothing else.
const PROTECTED: &str = "media_encryption=dtls\nmedia_encryption_mandatory=1\n[net]\nnat_policy_ref=ice\n\
                         [nat_policy_0]\nref=ice\nprotocols=ice\n";
