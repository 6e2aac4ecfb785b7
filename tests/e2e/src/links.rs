//! Two machines of a test, the host's and the page's, joined by several links: network namespaces of this machine.
//!
//! The page's SIP does not pass over the links but through a tunnel, so that a link that is cut harms media alone.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::failure::{Result, ensure};

/// Numbers the machines of this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The two machines, gone on drop.
#[derive(Debug)]
pub struct Links {
    host: String,
    page: String,
    tunnel: Vec<Child>,
}

impl Links {
    /// Makes both machines with this number of links between them.
    pub fn new(count: u8) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = |end: &str| format!("e2e-{}-{number}-{end}", std::process::id());
        let links = Self { host: name("host"), page: name("page"), tunnel: Vec::new() };
        for machine in [&links.host, &links.page] {
            ip(&["netns", "add", machine])?;
            ip(&["-n", machine, "link", "set", "lo", "up"])?;
        }
        (0..count).try_for_each(|link| links.join(link))?;
        Ok(links)
    }

    /// Makes a link. The page's end has the network's address 2.
    pub fn join(&self, link: u8) -> Result {
        let end = format!("link{link}");
        ip(&["link", "add", &end, "netns", &self.host, "type", "veth", "peer", "name", &end, "netns", &self.page])?;
        self.address(&self.host, "add", link, 1)?;
        self.address(&self.page, "add", link, 2)?;
        for machine in [&self.host, &self.page] {
            ip(&["-n", machine, "link", "set", &end, "up"])?;
        }
        Ok(())
    }

    /// Removes a link, as a cable that is pulled.
    pub fn remove(&self, link: u8) -> Result {
        ip(&["-n", &self.page, "link", "del", &format!("link{link}")])
    }

    /// Gives the page's end of a link the address `new` in place of `old`.
    pub fn readdress(&self, link: u8, old: u8, new: u8) -> Result {
        // In this order: with the first address of a network go all others.
        self.address(&self.page, "del", link, old)?;
        self.address(&self.page, "add", link, new)
    }

    /// Lets no UDP pass over a link, which neither machine is told.
    pub fn silence(&self, link: u8) -> Result {
        let rules = format!(
            "add table inet silence{link}
             add chain inet silence{link} in {{ type filter hook input priority 0; }}
             add chain inet silence{link} out {{ type filter hook output priority 0; }}
             add rule inet silence{link} in iifname link{link} meta l4proto udp drop
             add rule inet silence{link} out oifname link{link} meta l4proto udp drop"
        );
        self.filter(&rules.lines().map(str::trim).collect::<Vec<_>>().join("; "))
    }

    /// Ends [`Self::silence`].
    pub fn unsilence(&self, link: u8) -> Result {
        self.filter(&format!("delete table inet silence{link}"))
    }

    /// Makes the host see `port` of the page's machine as `seen`, as a NAT does that has forgotten its binding: what is sent to
    /// the port it saw before is lost.
    pub fn rebind(&self, port: u16, seen: u16) -> Result {
        let rules = format!(
            "add table ip nat
             flush table ip nat
             add chain ip nat in {{ type filter hook prerouting priority -300; }}
             add chain ip nat out {{ type filter hook output priority -300; }}
             add rule ip nat in iifname != lo udp dport {seen} udp dport set {port} accept
             add rule ip nat in iifname != lo udp dport {port} drop
             add rule ip nat out oifname != lo udp sport {port} udp sport set {seen}"
        );
        self.filter(&rules.lines().map(str::trim).collect::<Vec<_>>().join("; "))
    }

    /// A command that runs this one on the host's machine.
    pub fn on_host(&self, command: &Command) -> Command {
        within(&self.host, command)
    }

    /// A command that runs this one on the page's machine.
    pub fn on_page(&self, command: &Command) -> Command {
        within(&self.page, command)
    }

    /// Passes connections to `port` of the page's machine to the same port of the host's.
    pub fn tunnel(&mut self, port: u16, directory: &Path) -> Result {
        let (socket, port) = (directory.join("tunnel"), port.to_string());
        let mut node = Command::new("node");
        node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/tunnel.mjs"));
        for (machine, from, to) in
            [(&self.host, socket.as_os_str(), port.as_ref()), (&self.page, port.as_ref(), socket.as_os_str())]
        {
            let mut end = within(machine, &node);
            self.tunnel.push(end.args([from, to]).stdin(Stdio::null()).spawn()?);
        }
        Ok(())
    }

    fn filter(&self, rules: &str) -> Result {
        let mut nft = Command::new("nft");
        run(&mut within(&self.page, nft.arg(rules)))
    }

    fn address(&self, machine: &str, verb: &str, link: u8, end: u8) -> Result {
        ip(&["-n", machine, "addr", verb, &format!("10.77.{link}.{end}/24"), "dev", &format!("link{link}")])
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for end in &mut self.tunnel {
            let _ = end.kill();
            let _ = end.wait();
        }
        for machine in [&self.host, &self.page] {
            let _ = ip(&["netns", "del", machine]);
        }
    }
}

fn within(machine: &str, command: &Command) -> Command {
    let mut within = Command::new("ip");
    within.args(["netns", "exec", machine]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            within.env(name, value);
        }
    }
    if let Some(directory) = command.get_current_dir() {
        within.current_dir(directory);
    }
    within
}

fn ip(arguments: &[&str]) -> Result {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> Result {
    let output = command.output()?;
    ensure(output.status.success(), || format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}
