//! The fleet of `cargo xtask demo --fleet`: two Asterisks behind Kamailio, with coturn, as `contrib/kamailio` and
//! `contrib/coturn` say.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::asterisk::Home;
use crate::driver::Driver;
use crate::ending::{self, Asked};
use crate::failure::{Failure, Result};
use crate::kamailio::{Kamailio, Plan};
use crate::lab::Lab;
use crate::page;
use crate::phone::Browser;
use crate::ports::Ports;
use crate::prefix::Prefix;
use crate::samples::Samples;
use crate::site::Site;
use crate::turnserver::TurnServer;
use crate::user::{Screen, User};

use self::shell::line_of;

mod shell;

/// The names of the nodes, `systemname` in their `asterisk.conf`.
const NAMES: [&str; 2] = ["a", "b"];

/// The number of accounts, from 1001 on.
const ACCOUNTS: u32 = 20;

/// The time after which a part that has ended is started again. A service manager would not take as long; so one sees what the
/// others do meanwhile.
const PAUSE: Duration = Duration::from_secs(10);

/// Two nodes, Kamailio in front of them, and coturn beside them.
pub struct Fleet {
    nodes: [Lab; 2],
    kamailio: Kamailio,
    coturn: TurnServer,
    directory: PathBuf,
}

impl Fleet {
    /// Starts all of it below `directory`, whose content it replaces. The libraries of the page must be installed.
    pub fn start(directory: &Path, host: &Prefix, modules: &Path) -> Result<Self> {
        let ports = Ports::claim()?;
        let samples = Samples::explained(Driver::of(host.version()));
        let site = Site { kamailio: Some(ports.sip), samples: Some(samples), ..Site::default() };
        let node = |name: &str| {
            let home = Home::create(&directory.join(name))?;
            home.name(name)?;
            Lab::in_home(home, &site, host, modules)
        };
        let nodes = [node(NAMES[0])?, node(NAMES[1])?];
        // An earlier run has left its database.
        remove(&directory.join("kamailio"))?;
        let plan = Plan { users: ACCOUNTS, ..Plan::default() };
        let kamailio = Kamailio::start(&directory.join("kamailio"), ports, &[&nodes[0], &nodes[1]], &plan, None)?;
        let coturn = TurnServer::start(&directory.join("coturn"), nodes[0].asterisk().home())?;
        let fleet = Self { nodes, kamailio, coturn, directory: directory.canonicalize()? };
        fleet.serve_page()?;
        fleet.write_consoles()?;
        Ok(fleet)
    }

    /// Puts the page on both nodes, with the addresses that it needs beside it.
    fn serve_page(&self) -> Result {
        let servers = json!({ "servers": [self.kamailio.server()], "iceServers": self.coturn.ice_servers("demo")? });
        for node in &self.nodes {
            let page = page::bundle(&node.asterisk().home().served())?;
            fs::write(page.join("servers.json"), format!("{servers:#}\n"))?;
        }
        Ok(())
    }

    /// Writes a program for each console, `a/console`, `b/console` and `kamailio/console`: what is unpacked cannot be started
    /// by its name alone.
    fn write_consoles(&self) -> Result {
        for (name, node) in NAMES.iter().zip(&self.nodes) {
            write_program(&self.console(name), &node.asterisk().console())?;
        }
        Ok(write_program(&self.console("kamailio"), &self.kamailio.console()?)?)
    }

    fn console(&self, part: &str) -> PathBuf {
        self.directory.join(part).join("console")
    }

    fn page(&self, node: usize) -> String {
        let (http, server) = (self.nodes[node].ports().ws, self.kamailio.server());
        format!("http://localhost:{http}{}?server={server}", page::PATH)
    }

    /// Says where everything is, and what to try.
    pub fn introduction(&self) -> String {
        let [a, b] = [0, 1].map(|node| (self.page(node), self.nodes[node].asterisk().pid()));
        let [a_console, b_console, kamailio] = [NAMES[0], NAMES[1], "kamailio"].map(|part| self.console(part));
        let (a_console, b_console, kamailio) = (short(&a_console), short(&b_console), short(&kamailio));
        format!(
            "Two Asterisks, a and b, are behind Kamailio, with coturn beside them. Open either page, register and call echo, or\n\
             another account from a second tab:\n\n  {}\n  {}\n\n\
             Accounts are 1001 to {}, with the passwords demo-1001 to demo-{}.\n\n\
             Kill one of them, and see the rest go on. It is started again after {} seconds.\n\n\
             \x20 kill -9 {:<10} Asterisk a: its calls are lost, and the next one is on b\n\
             \x20 kill -9 {:<10} Asterisk b\n\
             \x20 kill -9 -- -{:<6} Kamailio: calls keep their audio, and pages register again\n\
             \x20 kill -9 {:<10} coturn: only calls by relay are lost\n\n\
             See which one has a call, and take one out of service, which ends with its last call:\n\n\
             \x20 {a_console} -rx 'core show channels'\n\
             \x20 {a_console} -rx 'webrtc drain on'\n\
             \x20 {a_console} -rx 'core stop gracefully'\n\
             \x20 {b_console} -rx 'rtp show sessions'\n\
             \x20 {kamailio} dispatcher.list\n\n\
             `webrtc drain` is about browsers that are connected to an Asterisk itself; what Kamailio sends it refuses once it is\n\
             to stop. Logs are below {}. Ctrl-C ends everything.",
            a.0,
            b.0,
            1000 + ACCOUNTS,
            1000 + ACCOUNTS,
            PAUSE.as_secs(),
            a.1,
            b.1,
            self.kamailio.group(),
            self.coturn.pid(),
            short(&self.directory),
        )
    }

    /// Keeps the fleet going until the end is `asked` for: starts again what has ended, and says so.
    pub fn watch(&mut self, asked: Asked) -> Result {
        let mut ended: [Option<Instant>; 4] = [None; 4];
        while !asked.load(Ordering::Relaxed) {
            for (part, ended) in ended.iter_mut().enumerate() {
                let since = match (self.is_running(part), *ended) {
                    (true, _) => continue,
                    (false, Some(since)) => since,
                    (false, None) if asked.load(Ordering::Relaxed) => return Ok(()),
                    (false, None) => {
                        println!("{} has ended. It is started again in {} seconds.", name(part), PAUSE.as_secs());
                        *ended.insert(Instant::now())
                    }
                };
                if since.elapsed() >= PAUSE {
                    *ended = None;
                    self.start_again(part)?;
                }
            }
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn is_running(&mut self, part: usize) -> bool {
        match part {
            KAMAILIO => self.kamailio.is_running(),
            COTURN => self.coturn.is_running(),
            node => self.nodes[node].is_running(),
        }
    }

    fn start_again(&mut self, part: usize) -> Result {
        let process = match part {
            KAMAILIO => {
                // Its other processes may have stayed.
                self.kamailio.kill()?;
                self.kamailio.start_again()?;
                format!("-- -{}", self.kamailio.group())
            }
            COTURN => {
                self.coturn.start_again()?;
                self.coturn.pid().to_string()
            }
            node => {
                self.nodes[node].start_again()?;
                self.nodes[node].asterisk().pid().to_string()
            }
        };
        println!("{} runs again: kill -9 {process}", name(part));
        Ok(())
    }

    /// Lets a headless Chromium call `echo`, kills the node that has the call, and lets it call again. Fails at once when the end is
    /// `asked` for.
    pub fn check(&mut self, asked: Asked) -> Result {
        // Whatever fails from then on is no finding: in a terminal, Ctrl-C ends the browser and the nodes as well.
        self.place_both_calls(asked).or_else(|failure| ending::unless(asked).and(Err(failure)))
    }

    fn place_both_calls(&mut self, asked: Asked) -> Result {
        ending::unless(asked)?;
        let log = self.nodes[0].directory().to_owned();
        let mut user = User::at(&self.page(0), &log, Browser::Chromium, Screen::Desk, asked)?;
        println!("coturn gives {}", user.is_relayed()?);
        user.registers("demo-1001", "Registered as 1001")?;
        call_echo(&mut user)?;
        let dead = self.node_in_call()?;
        println!("{} has the call.", name(dead));
        self.nodes[dead].kill()?;
        user.presses("Escape")?;
        user.is_told("You have hung up")?;
        call_echo(&mut user)?;
        let alive = 1 - dead;
        if !self.has_a_call(alive)? {
            return Err(Failure::new(format!("{} does not have the second call", name(alive))));
        }
        println!("{} was killed, and {} has the next call.", name(dead), name(alive));
        user.presses("Escape")?;
        user.is_told("You have hung up")
    }

    fn node_in_call(&self) -> Result<usize> {
        match (self.has_a_call(0)?, self.has_a_call(1)?) {
            (true, _) => Ok(0),
            (false, true) => Ok(1),
            (false, false) => Err(Failure::new("neither Asterisk has the call")),
        }
    }

    fn has_a_call(&self, node: usize) -> Result<bool> {
        Ok(!self.nodes[node].asterisk().cli("core show channels count")?.contains("0 active channels"))
    }
}

/// The parts of a fleet besides the nodes 0 and 1.
const KAMAILIO: usize = 2;
const COTURN: usize = 3;

fn name(part: usize) -> &'static str {
    ["Asterisk a", "Asterisk b", "Kamailio", "coturn"][part]
}

/// The path from where the user is, if it leads down.
fn short(path: &Path) -> std::path::Display<'_> {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display()
}

fn call_echo(user: &mut User) -> Result {
    user.calls("echo", "In call with echo")?;
    user.sees_level("hearing", -40, 0)
}

fn remove(directory: &Path) -> io::Result<()> {
    if directory.exists() { fs::remove_dir_all(directory) } else { Ok(()) }
}

/// Writes a program that runs `command` with further arguments.
fn write_program(path: &Path, command: &Command) -> io::Result<()> {
    fs::write(path, format!("#!/bin/sh\nexec {} \"$@\"\n", line_of(command)))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}
