//! The table of `contrib/docs/nat.md`.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::cell::{Gathering, Outcome, PATIENCE, Pbx, Running, Servers};
use super::{Family, Nat};
use crate::failure::{Failure, Result};
use crate::lab::installed;
use crate::phone::{Browser, Phone};

/// The routers of browsers.
pub const HOMES: [Nat; 4] = [Nat::Cone, Nat::FullCone, Nat::Symmetric, Nat::UdpBlocked];

/// The PBXs.
pub const PBXS: [Pbx; 10] = [
    pbx(None, Gathering::Interfaces, Family::Ipv4),
    pbx(Some(Nat::OneToOne), Gathering::Interfaces, Family::Ipv4),
    pbx(Some(Nat::OneToOne), Gathering::Stun, Family::Ipv4),
    pbx(Some(Nat::OneToOne), Gathering::Named, Family::Ipv4),
    pbx(Some(Nat::FullCone), Gathering::Stun, Family::Ipv4),
    pbx(Some(Nat::Symmetric), Gathering::Stun, Family::Ipv4),
    pbx(Some(Nat::Symmetric), Gathering::Turn, Family::Ipv4),
    pbx(None, Gathering::Interfaces, Family::Ipv6),
    pbx(None, Gathering::Interfaces, Family::Both),
    pbx(Some(Nat::OneToOne), Gathering::Stun, Family::Both),
];

/// The routers of browsers for this PBX. Over IPv6 alone nothing is translated, and routers differ by their firewalls only.
fn homes(pbx: Pbx) -> &'static [Nat] {
    if pbx.family == Family::Ipv6 { &[Nat::Cone, Nat::UdpBlocked] } else { &HOMES }
}

const fn pbx(nat: Option<Nat>, gathering: Gathering, family: Family) -> Pbx {
    Pbx { nat, gathering, family }
}

/// All cells of one PBX.
#[derive(Debug)]
pub struct Part {
    pbx: Pbx,
    cells: Vec<Cell>,
}

/// Places all calls to PBXs whose titles contain `only`, to two PBXs at a time: calls mostly wait.
pub fn measure(browsers: &[Browser], only: &str) -> Result<Vec<Part>> {
    let asked = PBXS.into_iter().enumerate().filter(|(_, pbx)| pbx.to_string().contains(only));
    let waiting = Mutex::new(asked.collect::<VecDeque<_>>());
    let next = || waiting.lock().ok()?.pop_front();
    let part = |(number, pbx)| (number, Part::measure(pbx, browsers, number));
    let work = || std::iter::from_fn(next).map(part).collect::<Vec<_>>();
    let mut parts: Vec<_> = thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        let panicked = |_| vec![(0, Err(Failure::new("a worker panicked")))];
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(panicked)).collect()
    });
    parts.sort_unstable_by_key(|(number, _)| *number);
    parts.into_iter().map(|(_, part)| part).collect()
}

/// One call.
#[derive(Debug)]
struct Cell {
    browser: Browser,
    home: Nat,
    servers: Servers,
    outcome: Outcome,
}

impl Part {
    /// Places all calls to this PBX.
    fn measure(pbx: Pbx, browsers: &[Browser], number: usize) -> Result<Self> {
        let mut part = Self { pbx, cells: Vec::new() };
        let running = Running::start(&format!("nat-{number}"), pbx, homes(pbx))?;
        for browser in browsers.iter().copied() {
            for home in homes(pbx).iter().copied() {
                part.call_from(&running, browser, home);
            }
        }
        Ok(part)
    }

    fn call_from(&mut self, running: &Running, browser: Browser, home: Nat) {
        let mut phone = None;
        for servers in Servers::ALL {
            let wait = if self.pbx.has_path(home, servers) { PATIENCE } else { SHORT_PATIENCE };
            let outcome = call(running, &mut phone, browser, home, servers, wait);
            let outcome = outcome.unwrap_or_else(|failure| {
                phone = None;
                Outcome::Failed(failure.to_string().replace('\n', " "))
            });
            println!("{}; {browser:?} behind {}, {}: {outcome}", self.pbx, home.name(), servers.name());
            self.cells.push(Cell { browser, home, servers, outcome });
        }
    }

    /// Calls without audio though a path exists.
    pub fn missing(&self) -> Vec<String> {
        let missing =
            self.cells.iter().filter(|cell| !cell.outcome.is_connected() && self.pbx.has_path(cell.home, cell.servers));
        let named = missing.map(|Cell { browser, home, servers, outcome }| {
            format!("{}; {browser:?} behind {}, {}: {outcome}", self.pbx, home.name(), servers.name())
        });
        named.collect()
    }

    fn write(&self, text: &mut String, browsers: &[Browser]) {
        let of = |browser: &Browser| Servers::ALL.map(|servers| format!("{browser:?}, {}", servers.name())).join(" | ");
        let head: Vec<_> = browsers.iter().map(of).collect();
        let _ =
            writeln!(text, "\n## {}\n\n| browser behind | {} |", capitalised(&self.pbx.to_string()), head.join(" | "));
        let _ = writeln!(text, "|---|{}", "---|".repeat(3 * browsers.len()));
        for home in homes(self.pbx).iter().copied() {
            let row: Vec<_> = self.cells.iter().filter(|cell| cell.home == home).map(|cell| self.shown(cell)).collect();
            let _ = writeln!(text, "| {} | {} |", self.name_of(home), row.join(" | "));
        }
    }

    fn name_of(&self, home: Nat) -> &'static str {
        if self.pbx.family == Family::Ipv6 && home == Nat::Cone { "firewall" } else { home.name() }
    }

    fn shown(&self, cell: &Cell) -> String {
        match &cell.outcome {
            Outcome::Silent(_) if !self.pbx.has_path(cell.home, cell.servers) => "no path".to_owned(),
            outcome => outcome.to_string(),
        }
    }
}

/// Places a call from `phone`, which is opened if there is none.
fn call(
    running: &Running,
    phone: &mut Option<Phone>,
    browser: Browser,
    home: Nat,
    servers: Servers,
    patience: Duration,
) -> Result<Outcome> {
    let phone = match phone {
        Some(phone) => phone,
        None => phone.insert(running.open(browser, home)?),
    };
    running.call(phone, servers, patience)
}

/// The whole document.
pub fn document(parts: &[Part], browsers: &[Browser]) -> Result<String> {
    let mut text = INTRODUCTION.replace("VERSIONS", &versions(browsers)?);
    let cells = || parts.iter().flat_map(|part| part.cells.iter().map(|cell| (part.pbx, cell)));
    let connected = cells().filter(|(_, cell)| cell.outcome.is_connected()).count();
    let possible = cells().filter(|(pbx, cell)| pbx.has_path(cell.home, cell.servers)).count();
    let _ = writeln!(text, "**{connected} of the {possible} calls for which there is a path have audio both ways.**");
    for part in parts {
        part.write(&mut text, browsers);
    }
    Ok(text)
}

/// The programs that took part.
fn versions(browsers: &[Browser]) -> Result<String> {
    let version = |command: &mut Command| -> Result<String> {
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    };
    let mut all = browsers.iter().map(|browser| version(Command::new(browser.program()).arg("--version")));
    let mut all = all.by_ref().collect::<Result<Vec<_>>>()?;
    all.push(version(installed()?.command().arg("-V"))?);
    all.push(format!("coturn {}", version(Command::new("turnserver").arg("--version"))?));
    Ok(format!("Measured with {}.", all.join(", ")))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The time to wait for audio where no path exists: connectivity checks that can succeed do so within a second.
const SHORT_PATIENCE: Duration = Duration::from_secs(4);

const INTRODUCTION: &str = "\
# Calls through NAT

`cargo xtask nat` writes this page. Each cell is a call of a real browser to an echo of a real Asterisk, in network namespaces: both behind
their routers, with coturn as STUN and TURN server between them. VERSIONS

- ✔ means that the browser has heard its own tone: audio went both ways. The types of the selected pair's candidates follow, the
  browser's first, as the browser names them (`prflx`: an address that was learned from a check); then the time from the answer to the first
  packet of the echo, in a network without delay.
- *no path* means that no packet can get through, whatever the software:
  a browser whose firewall lets no UDP through needs a TURN server;
  a PBX that does not know its public address is found by nobody, and finds only browsers behind a full cone that know their own;
  a relay passes on packets only from addresses that its client was told of.
- ✘ means that a path exists and the call had no audio.

The routers: *cone* is port-restricted, as most homes are; *full cone* lets everybody in, at other port numbers than the host's;
*symmetric* uses another port for each destination; *UDP blocked* is a cone that lets TCP alone through, TURN over TCP and TLS included;
*1:1* gives the PBX a public address that it does not know, as clouds do. Over IPv6 nothing is translated, and the browser's router lets
nobody in who was not sent to. *None*, *STUN* and *TURN* are the `iceServers` of the page.

";
