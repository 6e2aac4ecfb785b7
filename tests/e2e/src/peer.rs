//! WebRTC stacks without a browser, as phones: the programs of `peers/`, and what they have heard.
//!
//! Each speaks SIP over WebSocket with a small phone of ours, which passes on the stack's descriptions, and
//! Asterisk's, without a change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::failure::{Failure, Result, ensure};
use crate::lab::Lab;
use crate::puppet::Puppet;
use crate::site::{ANNOUNCEMENT, VOICE};
use crate::tone::Audio;

/// The longest time until a peer hears an expected tone.
const PATIENCE: Duration = Duration::from_secs(20);

/// The account of every peer.
pub const ACCOUNT: &str = "1001";

/// The password of [`ACCOUNT`].
pub const PASSWORD: &str = "demo-1001";

/// A directory that receives each SIP message of every peer, byte for byte.
const MESSAGES: &str = "PEERS_MESSAGES";

/// The directory of the programs, with the lists of what they need.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// The directory of installed Python packages, as `requirements.txt` lists them.
pub fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers")
}

/// A stack in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// Python, of its own code throughout.
    Aiortc,
    /// TypeScript, of its own code throughout.
    Werift,
    /// C++ with libjuice, by its Node.js binding.
    Libdatachannel,
    /// GStreamer with libnice, by its Python binding.
    Webrtcbin,
    /// Rust, of its own code throughout.
    Str0m,
}

impl Stack {
    /// Its name in messages, and of its directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aiortc => "aiortc",
            Self::Werift => "werift",
            Self::Libdatachannel => "libdatachannel",
            Self::Webrtcbin => "webrtcbin",
            Self::Str0m => "str0m",
        }
    }

    fn command(self) -> Result<Command> {
        let directory = directory().join(self.name());
        let (mut command, script) = match self {
            Self::Aiortc | Self::Webrtcbin => (python(), "peer.py"),
            Self::Werift | Self::Libdatachannel => (Command::new("node"), "peer.mjs"),
            Self::Str0m => return Ok(Command::new(example("str0m_peer")?)),
        };
        command.arg(directory.join(script));
        Ok(command)
    }
}

/// An example of `tests/host`, which has str0m with OpenSSL; it is built with the tests there.
fn example(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let target = test.ancestors().nth(2).ok_or_else(|| Failure::new("the test has no directory"))?;
    Ok(target.join("examples").join(name))
}

/// A registered stack.
#[derive(Debug)]
pub struct Peer {
    puppet: Puppet,
    name: String,
    heard: Heard,
}

impl Peer {
    /// Starts a stack that sends [`VOICE`], and registers it as [`ACCOUNT`]. It logs to `<stack>.log`.
    pub fn registered(lab: &Lab, stack: Stack) -> Result<Self> {
        let log = lab.directory().join("log").join(stack.name()).with_extension("log");
        let heard = Heard::at(&log.with_extension("s16"));
        let mut command = stack.command()?;
        command
            .arg(format!("ws://127.0.0.1:{}/ws", lab.ports().ws))
            .args([ACCOUNT, PASSWORD, &VOICE.to_string()])
            .arg(&heard.file)
            .args(messages(lab)?);
        let puppet = Puppet::run(&mut command, stack.name(), &log)?;
        let puppet =
            puppet.ok_or_else(|| Failure::new(format!("{} did not start: {}", stack.name(), log.display())))?;
        let mut peer = Self { puppet, name: stack.name().to_owned(), heard };
        peer.ask("register")?;
        Ok(peer)
    }

    /// Calls `number`, until media can flow.
    pub fn call(&mut self, number: &str) -> Result {
        self.puppet.ask("call", json!([number])).map(drop)
    }

    /// Waits for a call and answers it, until media can flow.
    pub fn answer(&mut self) -> Result {
        self.ask("answer").map(drop)
    }

    /// Offers to send only; the answer has to agree.
    pub fn hold(&mut self) -> Result {
        self.ask("hold").map(drop)
    }

    /// Offers both directions again; the answer has to agree.
    pub fn unhold(&mut self) -> Result {
        self.ask("unhold").map(drop)
    }

    /// Opens its connection anew in the same call, with the same certificate; str0m only.
    pub fn reconnect(&mut self) -> Result {
        self.ask("reconnect").map(drop)
    }

    /// Sends an INVITE without a description in the call, whose offer another browser answers; str0m only.
    pub fn replace(&mut self) -> Result {
        self.ask("replace").map(drop)
    }

    /// Offers without ICE, from another address; str0m only.
    pub fn leave_ice(&mut self) -> Result {
        self.ask("leave_ice").map(drop)
    }

    /// Ends the call.
    pub fn hangup(&mut self) -> Result {
        self.ask("hangup").map(drop)
    }

    /// Waits until Asterisk has ended the call.
    pub fn ended(&mut self) -> Result {
        self.ask("ended").map(drop)
    }

    /// Waits until it hears the announcement of `echo`, and then its own tone.
    pub fn talks(&self) -> Result {
        self.hears(ANNOUNCEMENT)?;
        self.hears(VOICE)
    }

    /// Waits until it hears this tone for a second, from now on.
    pub fn hears(&self, frequency: f64) -> Result {
        self.heard.hears(&self.name, frequency)
    }

    /// Checks that it hears none of these tones for two seconds, from now on.
    pub fn hears_none_of(&self, frequencies: &[f64]) -> Result {
        self.heard.hears_none_of(&self.name, frequencies)
    }

    fn ask(&mut self, method: &str) -> Result<Value> {
        self.puppet.ask(method, json!([]))
    }
}

/// The audio that a peer writes to a file while it hears it.
#[derive(Debug)]
pub struct Heard {
    file: PathBuf,
}

impl Heard {
    /// Audio in this file, of 16 bits per sample.
    pub fn at(file: &Path) -> Self {
        Self { file: file.to_owned() }
    }

    /// Waits until this tone comes for a second, from now on.
    pub fn hears(&self, name: &str, frequency: f64) -> Result {
        let (start, end) = (self.length(), Instant::now() + PATIENCE);
        while self.since(start).time_of_tone(frequency) < Duration::from_secs(1) {
            ensure(Instant::now() < end, || {
                let length = self.since(start).length();
                format!("{name} does not hear {frequency} Hz in {length:?} of audio: {}", self.file.display())
            })?;
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Checks that none of these tones comes for two seconds, from now on.
    pub fn hears_none_of(&self, name: &str, frequencies: &[f64]) -> Result {
        // One that is on its way, and in the stack's jitter buffer, is still played.
        thread::sleep(Duration::from_secs(1));
        let start = self.length();
        thread::sleep(Duration::from_secs(2));
        let audio = self.since(start);
        frequencies.iter().try_for_each(|frequency| {
            let time = audio.time_of_tone(*frequency);
            ensure(time.is_zero(), || format!("{name} hears {frequency} Hz for {time:?}"))
        })
    }

    fn length(&self) -> usize {
        self.bytes().len() & !1
    }

    fn since(&self, start: usize) -> Audio {
        Audio::from_bytes(self.bytes().get(start..).unwrap_or_default())
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.file).unwrap_or_default()
    }
}

/// Has Asterisk call a stack, which answers, talks, and notices the end.
pub fn is_called(lab: &Lab, stack: Stack) -> Result {
    let mut peer = Peer::registered(lab, stack)?;
    lab.originate(ACCOUNT, "echo")?;
    peer.answer()?;
    peer.talks()?;
    lab.asterisk().cli("channel request hangup all")?;
    peer.ended()?;
    is_over(lab)
}

/// Waits until the call is gone; fails unless Asterisk has recorded the peer's tone.
pub fn is_over(lab: &Lab) -> Result {
    lab.until_idle(Duration::from_secs(5))?;
    let recorded = lab.recorded()?.time_of_tone(VOICE);
    ensure(recorded > Duration::from_secs(2), || format!("Asterisk recorded {recorded:?} of the peer"))
}

/// Python with the packages of [`packages`]; Debian's own, such as those of GStreamer, come after them.
fn python() -> Command {
    let mut python = Command::new("python3");
    let both = std::env::join_paths([packages(), PathBuf::from("/usr/lib/python3/dist-packages")]);
    python.env("PYTHONPATH", both.unwrap_or_default());
    python
}

fn messages(lab: &Lab) -> Result<Option<PathBuf>> {
    let Some(directory) = std::env::var_os(MESSAGES).map(PathBuf::from) else { return Ok(None) };
    let directory = directory.join(lab.directory().file_name().unwrap_or_default());
    fs::create_dir_all(&directory)?;
    Ok(Some(directory))
}
