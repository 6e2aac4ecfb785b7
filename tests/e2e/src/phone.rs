//! A browser as a phone, through `browser/driver.mjs`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Failure, Result, ensure};
use crate::lab::Lab;
use crate::site::VOICE;

/// A browser starts in a second or two; on a machine that compiles at the same time it may take this long.
const LAUNCH: Duration = Duration::from_secs(60);

/// Longest that one method of the page may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// Chromium as Debian packages it.
    Chromium,
    /// Firefox ESR as Debian packages it.
    Firefox,
}

impl Browser {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Chromium, Self::Firefox];

    /// As the driver calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
        }
    }
}

/// What carries SIP.
#[derive(Clone, Copy, Debug)]
pub enum Transport {
    /// `ws://`
    Plain,
    /// `wss://`, with a certificate that nobody signed.
    Tls,
    /// `wss://` to what the test has put in front of Asterisk.
    Proxied,
}

/// What a browser tells of its own addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Addresses {
    Shown,
    Hidden,
}

/// `rtcpMuxPolicy` of RTCPeerConnection.
#[derive(Clone, Copy, Debug)]
pub enum RtcpMux {
    /// The browsers' default.
    Require,
    /// Ready to do without.
    Negotiate,
}

impl RtcpMux {
    fn configuration(self) -> Value {
        match self {
            // So that the original modules can be measured by the same calls: today's defaults fail with them at once.
            Self::Require if std::env::var_os("E2E_BASELINE").is_none() => json!({}),
            _ => json!({ "pc": { "rtcpMuxPolicy": "negotiate" } }),
        }
    }
}

/// The two halves of the picture that a phone sends, as CSS has them.
pub type Colours = [&'static str; 2];

/// What was heard for a while.
#[derive(Debug)]
pub struct Heard {
    /// Loudness, 1 for the loudest.
    pub rms: f64,
    /// For each frequency asked for, the share of the power that it has.
    pub shares: Vec<f64>,
}

/// A browser with one account.
pub struct Phone {
    child: Child,
    // `None` once closed, which ends the driver.
    commands: Option<ChildStdin>,
    answers: Receiver<Value>,
    asked: u64,
    account: String,
    source: Value,
}

impl Phone {
    /// Starts a browser that says [`VOICE`]. Its console goes to `<account>-<browser>.log` in the lab's directory.
    pub fn open(lab: &Lab, browser: Browser, account: &str) -> Result<Self> {
        Self::with_voice(lab, browser, account, VOICE)
    }

    /// Starts a browser that says this tone in every call; 48000 is a multiple of its frequency.
    pub fn with_voice(lab: &Lab, browser: Browser, account: &str, voice: f64) -> Result<Self> {
        Self::launch(lab, browser, account, voice, Addresses::Shown)
    }

    /// Starts a browser that was given no microphone, so that it hides its addresses (RFC 8828).
    pub fn hidden(lab: &Lab, browser: Browser, account: &str) -> Result<Self> {
        Self::launch(lab, browser, account, VOICE, Addresses::Hidden)
    }

    fn launch(lab: &Lab, browser: Browser, account: &str, voice: f64, addresses: Addresses) -> Result<Self> {
        let log = lab.directory().join(format!("log/{account}-{}.log", browser.name()));
        let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/driver.mjs");
        let mut child = Command::new("node")
            .arg(driver)
            .arg(browser.name())
            .arg(voice.to_string())
            .args((addresses == Addresses::Hidden).then_some("hidden"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log.with_extension("err"))?)
            .spawn()?;
        let (commands, output) = (child.stdin.take(), child.stdout.take());
        let (sender, answers) = mpsc::channel();
        let (output, log) = (output.ok_or_else(|| Failure::new("the driver has no output"))?, File::create(log)?);
        thread::spawn(move || relay(output, log, &sender));
        // Without a sound card Firefox makes no tones in a page, but its fake microphone is one.
        let source = match browser {
            Browser::Chromium => {
                json!({ "kind": "tone", "frequency": voice, "withoutPermission": addresses == Addresses::Hidden })
            }
            Browser::Firefox => json!({ "kind": "microphone" }),
        };
        let phone = Self { child, commands, answers, asked: 0, account: account.to_owned(), source };
        match phone.answers.recv_timeout(LAUNCH) {
            Ok(first) if first.get("ready").is_some() => Ok(phone),
            _ => Err(Failure::new(format!("{} did not start", browser.name()))),
        }
    }

    /// Opens a browser and registers it over ws.
    pub fn registered(lab: &Lab, browser: Browser, account: &str) -> Result<Self> {
        let mut phone = Self::open(lab, browser, account)?;
        phone.register(lab, Transport::Plain)?;
        Ok(phone)
    }

    /// Registers.
    pub fn register(&mut self, lab: &Lab, transport: Transport) -> Result {
        let server = match transport {
            Transport::Plain => format!("ws://localhost:{}/ws", lab.ports().ws),
            Transport::Tls => format!("wss://localhost:{}/ws", lab.ports().wss),
            Transport::Proxied => format!("wss://localhost:{}/ws", lab.ports().proxy),
        };
        let account = &self.account;
        let arguments = json!({
            "server": server, "uri": format!("sip:{account}@localhost"), "password": format!("demo-{account}"),
            "source": self.source,
        });
        let event = self.ask("register", json!([arguments]))?;
        ensure(event["name"] == "registered", || format!("{} was not registered: {event}", self.account))
    }

    /// Sends the INVITE.
    pub fn dial(&mut self, number: &str, rtcp: RtcpMux) -> Result {
        self.ask("dial", json!([number, rtcp.configuration()])).map(drop)
    }

    /// Calls and waits until media flows.
    pub fn call(&mut self, number: &str, rtcp: RtcpMux) -> Result {
        self.dial(number, rtcp)?;
        self.connected(Duration::from_secs(15))
    }

    /// Calls with sound and a picture and waits until media flows.
    pub fn call_with_picture(&mut self, number: &str, colours: Colours) -> Result {
        self.dial_with_picture(number, colours)?;
        self.connected(Duration::from_secs(15))
    }

    /// The same, and what the other side is told names none of the sources.
    pub fn call_with_picture_of_unnamed_sources(&mut self, number: &str, colours: Colours) -> Result {
        self.ask("dial", json!([number, { "colours": colours, "unnamed": true }]))?;
        self.connected(Duration::from_secs(15))
    }

    /// Sends the INVITE for sound and a picture.
    pub fn dial_with_picture(&mut self, number: &str, colours: Colours) -> Result {
        self.ask("dial", json!([number, { "colours": colours }])).map(drop)
    }

    /// Waits for a call and answers it with sound and a picture.
    pub fn answer_with_picture(&mut self, colours: Colours) -> Result {
        self.until(&["ringing"], Duration::from_secs(15))?;
        self.ask("answer", json!([{ "colours": colours }])).map(drop)
    }

    /// What is seen now, and the numbers of `pictures` in `browser/statistics.js`.
    pub fn look(&mut self) -> Result<Value> {
        self.ask("look", json!([]))
    }

    /// Looks for up to twenty seconds until the left half has most of the red, green or blue that it should have, as 0 to 2, and
    /// the right half too, and a second later new pictures have been decoded. Answers the last look.
    pub fn sees(&mut self, left: usize, right: usize) -> Result<Value> {
        let is = |seen: &Value, half: &str, wanted: usize| {
            let colour: Vec<i64> =
                seen["seen"][half].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
            colour.iter().enumerate().all(|(at, much)| if at == wanted { *much > 150 } else { *much < 100 })
                && colour.len() == 3
        };
        let mut seen = Value::Null;
        for _ in 0..20 {
            let before = seen["decoded"].as_i64().unwrap_or(0);
            seen = self.look()?;
            let moves = before > 0 && seen["decoded"].as_i64() > Some(before + 5);
            if moves && is(&seen, "left", left) && is(&seen, "right", right) {
                return Ok(seen);
            }
            thread::sleep(Duration::from_secs(1));
        }
        Err(Failure::new(format!("{} does not see the picture but {seen}", self.account)))
    }

    /// Waits for a call and answers it.
    pub fn answer(&mut self, rtcp: RtcpMux) -> Result {
        self.until(&["ringing"], Duration::from_secs(15))?;
        self.ask("answer", json!([rtcp.configuration()])).map(drop)
    }

    /// Waits until the call is accepted and its transport (ICE and DTLS) is up.
    pub fn connected(&mut self, patience: Duration) -> Result {
        let accepted = self.first(&["accepted", "failed", "ended"], patience)?;
        ensure(accepted["name"] == "accepted", || format!("the call was not accepted: {accepted}"))?;
        let mut state = json!(null);
        for _ in 0..100 {
            state = self.descriptions()?;
            if state["connectionState"] == "connected" {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err(Failure::new(format!(
            "no media path: {} after ten seconds, events {}",
            state["connectionState"],
            self.ask("events", json!([]))?
        )))
    }

    /// Waits for one of these events.
    pub fn until(&mut self, names: &[&str], patience: Duration) -> Result<Value> {
        let event = self.first(names, patience)?;
        if event.is_null() {
            let events = self.ask("events", json!([]))?;
            return Err(Failure::new(format!("none of {names:?} in {patience:?}, but {events}")));
        }
        Ok(event)
    }

    /// Puts the call on hold by a re-INVITE and waits for its answer.
    pub fn hold(&mut self) -> Result {
        self.ask("hold", json!([])).map(drop)
    }

    /// Takes the call back.
    pub fn unhold(&mut self) -> Result {
        self.ask("unhold", json!([])).map(drop)
    }

    /// Sends digits as telephone-event.
    pub fn dtmf(&mut self, digits: &str) -> Result {
        self.ask("dtmf", json!([digits])).map(drop)
    }

    /// Sends the far end to another number.
    pub fn transfer(&mut self, number: &str) -> Result {
        self.ask("transfer", json!([number])).map(drop)
    }

    /// Ends the call.
    pub fn hangup(&mut self) -> Result {
        self.ask("hangup", json!([])).map(drop)
    }

    /// Gives the account up.
    pub fn unregister(&mut self) -> Result {
        self.ask("unregister", json!([])).map(drop)
    }

    /// Listens for a while.
    pub fn listen(&mut self, frequencies: &[f64], time: Duration) -> Result<Heard> {
        let heard = self.ask("listen", json!([frequencies, time.as_secs_f64()]))?;
        let shares = heard["shares"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        Ok(Heard { rms: heard["rms"].as_f64().unwrap_or(0.0), shares })
    }

    /// Listens for up to ten seconds until nearly all that is heard is this tone.
    pub fn hears(&mut self, frequency: f64) -> Result {
        let mut heard = None;
        for _ in 0..10 {
            let now = self.listen(&[frequency], Duration::from_secs(1))?;
            if now.rms > 0.01 && now.shares.first().is_some_and(|share| *share > 0.8) {
                return Ok(());
            }
            heard = Some(now);
        }
        Err(Failure::new(format!("{} does not hear {frequency} Hz but {heard:?}", self.account)))
    }

    /// Listens for up to five seconds until there is nothing to hear.
    pub fn hears_nothing(&mut self) -> Result {
        let mut heard = None;
        for _ in 0..5 {
            let now = self.listen(&[], Duration::from_secs(1))?;
            if now.rms < 0.01 {
                return Ok(());
            }
            heard = Some(now);
        }
        Err(Failure::new(format!("{} hears {heard:?}", self.account)))
    }

    /// The numbers of `browser/statistics.js`.
    pub fn statistics(&mut self) -> Result<Value> {
        self.ask("statistics", json!([]))
    }

    /// Both descriptions and the states of the transport.
    pub fn descriptions(&mut self) -> Result<Value> {
        self.ask("descriptions", json!([]))
    }

    fn first(&mut self, names: &[&str], patience: Duration) -> Result<Value> {
        self.ask("until", json!([names, patience.as_secs_f64()]))
    }

    fn ask(&mut self, method: &str, arguments: Value) -> Result<Value> {
        self.asked += 1;
        let command = json!({ "id": self.asked, "method": method, "arguments": arguments });
        let commands = self.commands.as_mut().ok_or_else(|| Failure::new("the browser is closed"))?;
        writeln!(commands, "{command}")?;
        loop {
            let mut answer = self
                .answers
                .recv_timeout(PATIENCE)
                .map_err(|_| Failure::new(format!("{} gave no answer to {method}", self.account)))?;
            if answer["id"] != self.asked {
                continue;
            }
            return match answer["error"].as_str() {
                Some(error) => Err(Failure::new(format!("{} {method}: {error}", self.account))),
                None => Ok(answer["value"].take()),
            };
        }
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        drop(self.commands.take());
        // The driver ends when its input does, and takes the browser along.
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sorts the driver's output: the page's console into the log, answers to whoever asked.
fn relay(output: ChildStdout, mut log: File, answers: &Sender<Value>) {
    for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        match message["log"].as_str() {
            Some(text) => drop(writeln!(log, "{text}")),
            None => drop(answers.send(message)),
        }
    }
}
