//! A browser controlled line by line, through a program of `browser/`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ending::{self, Asked};
use crate::failure::{Failure, Result, ensure};

/// The longest time to wait for a browser: it starts in a second or two, but on a machine that compiles it
/// may take this long.
const LAUNCH: Duration = Duration::from_secs(60);

/// The longest time that a method of the page may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The interval between two looks at whether the end is asked for.
const LOOK: Duration = Duration::from_millis(100);

/// The browsers for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// Chromium as Debian packages it.
    Chromium,
    /// Firefox ESR as Debian packages it.
    Firefox,
}

impl Browser {
    /// Both browsers.
    pub const ALL: [Self; 2] = [Self::Chromium, Self::Firefox];

    /// Its program: the one of the variable `CHROMIUM` or `FIREFOX`, or Debian's.
    pub fn program(self) -> OsString {
        let (variable, debian) = match self {
            Self::Chromium => ("CHROMIUM", "/usr/bin/chromium"),
            Self::Firefox => ("FIREFOX", "/usr/bin/firefox-esr"),
        };
        std::env::var_os(variable).unwrap_or_else(|| debian.into())
    }

    /// Its name for the drivers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
        }
    }
}

/// A running driver and its browser, ended on drop.
#[derive(Debug)]
pub struct Puppet {
    name: String,
    child: Child,
    // `None` once closed, which ends the driver.
    commands: Option<ChildStdin>,
    answers: Receiver<Value>,
    asked: u64,
    /// Processes of the browser that were stopped, and have to be killed.
    stopped: Vec<u32>,
    /// Set when it is to end at once.
    end: Option<Asked>,
}

/// The ways in which a browser leaves without a word of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vanish {
    /// The tab crashes.
    Tab,
    /// The browser is killed. The system closes its sockets.
    Browser,
    /// Nothing is sent and nothing arrives any more, as when the network is gone or the laptop is closed.
    Network,
}

impl Puppet {
    /// Starts this driver. Failures call it `name`; the page's console is logged to `log`.
    pub fn start(driver: &str, arguments: &[&str], name: &str, log: &Path) -> Result<Self> {
        let started = Self::run(&mut Self::driver(driver, arguments), name, log)?;
        started.ok_or_else(|| Failure::new(format!("{name}: {} did not start", arguments.first().unwrap_or(&driver))))
    }

    /// A command that runs this driver.
    pub fn driver(driver: &str, arguments: &[&str]) -> Command {
        let mut node = Command::new("node");
        node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("browser").join(driver)).args(arguments);
        node
    }

    /// Runs any program that reads commands and writes answers; `None` if it does not come up.
    pub fn run(program: &mut Command, name: &str, log: &Path) -> Result<Option<Self>> {
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log.with_extension("err"))?)
            .spawn()?;
        let (commands, output) = (child.stdin.take(), child.stdout.take());
        let (sender, answers) = mpsc::channel();
        let (output, log) = (output.ok_or_else(|| Failure::new("the driver has no output"))?, File::create(log)?);
        thread::spawn(move || relay(output, log, &sender));
        let puppet = Self { name: name.to_owned(), child, commands, answers, asked: 0, stopped: Vec::new(), end: None };
        let first = puppet.answers.recv_timeout(LAUNCH);
        Ok(first.is_ok_and(|first| first.get("ready").is_some()).then_some(puppet))
    }

    /// Makes the browser leave without a word. It answers nothing from then on.
    pub fn vanish(&mut self, vanish: Vanish) -> Result {
        let browser = descendants(self.child.id())?;
        let tabs = || browser.iter().copied().filter(|pid| is_tab(*pid)).collect();
        let (signal, processes): (_, Vec<u32>) = match vanish {
            Vanish::Tab => ("KILL", tabs()),
            Vanish::Browser => ("KILL", browser),
            Vanish::Network => ("STOP", browser),
        };
        ensure(!processes.is_empty(), || format!("{} has no process for {vanish:?}", self.name))?;
        send(signal, &processes)?;
        if vanish == Vanish::Network {
            self.stopped = processes;
        }
        Ok(())
    }

    /// Ends [`Vanish::Network`].
    pub fn come_back(&mut self) -> Result {
        send("CONT", &std::mem::take(&mut self.stopped))
    }

    /// From now on it answers nothing once the end is `asked` for: the driver then closes the browser.
    pub fn ends_when(&mut self, asked: Asked) {
        self.end = Some(asked);
    }

    /// Makes it call a method and returns the result.
    pub fn ask(&mut self, method: &str, arguments: Value) -> Result<Value> {
        self.asked += 1;
        let command = json!({ "id": self.asked, "method": method, "arguments": arguments });
        let commands = self.commands.as_mut().ok_or_else(|| Failure::new("the browser is closed"))?;
        writeln!(commands, "{command}")?;
        loop {
            let mut answer = self.answer(method)?;
            if answer["id"] != self.asked {
                continue;
            }
            return match answer["error"].as_str() {
                Some(error) => Err(Failure::new(format!("{} {method}: {error}", self.name))),
                None => Ok(answer["value"].take()),
            };
        }
    }

    /// Waits for the next answer, to `method` or to what was asked before it.
    fn answer(&self, method: &str) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.end.map_or(Ok(()), ending::unless)?;
            match self.answers.recv_timeout(LOOK) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(_) => return Err(Failure::new(format!("{} gave no answer to {method}", self.name))),
            }
        }
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        let _ = send("KILL", &self.stopped);
        if self.end.is_some_and(|asked| asked.load(Ordering::Relaxed)) {
            // The driver closes the browser at once, rather than when the page has done what was asked.
            let _ = send("TERM", &[self.child.id()]);
        }
        drop(self.commands.take());
        // The driver ends when its input does, and closes the browser.
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

/// The children of a process, their children, and so on.
fn descendants(parent: u32) -> Result<Vec<u32>> {
    let mut all = vec![parent];
    let mut next = 0;
    while let Some(process) = all.get(next).copied() {
        next += 1;
        let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    all.remove(0);
    ensure(!all.is_empty(), || format!("process {parent} has no children"))?;
    Ok(all)
}

/// Whether this process runs the page of a tab. A process that Chromium forks has its arguments separated by spaces.
fn is_tab(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line);
    let arguments: Vec<&str> = line.split(['\0', ' ']).collect();
    arguments.contains(&"--type=renderer") || arguments.contains(&"-contentproc") && arguments.contains(&"tab")
}

/// Sends a signal to these processes.
fn send(signal: &str, processes: &[u32]) -> Result {
    if processes.is_empty() {
        return Ok(());
    }
    let processes: Vec<String> = processes.iter().map(u32::to_string).collect();
    // Fails for processes that have ended meanwhile, as the children of a killed one.
    Command::new("kill").arg(format!("-{signal}")).args(processes).stderr(Stdio::null()).status()?;
    Ok(())
}

/// Reads the driver's output: passes the page's console to the log, and answers to the caller.
fn relay(output: ChildStdout, mut log: File, answers: &Sender<Value>) {
    for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        match message["log"].as_str() {
            Some(text) => drop(writeln!(log, "{text}")),
            None => drop(answers.send(message)),
        }
    }
}
