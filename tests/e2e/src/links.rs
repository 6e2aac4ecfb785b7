//! Two machines of a test, the host's and the page's, joined by several links: network namespaces of this machine.
//!
//! The page's SIP does not pass over the links but through a tunnel, so that a link that is cut harms media alone.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::failure::Result;
use crate::nat::Namespace;

/// The two machines and the tunnel between them, gone on drop.
#[derive(Debug)]
pub struct Links {
    host: Namespace,
    page: Namespace,
    tunnel: Vec<Child>,
}

impl Links {
    /// Makes both machines with this number of links between them.
    pub fn new(count: u8) -> Result<Self> {
        let links = Self { host: Namespace::create()?, page: Namespace::create()?, tunnel: Vec::new() };
        (0..count).try_for_each(|link| links.join(link))?;
        Ok(links)
    }

    /// Makes a link. The page's end has the network's address 2.
    pub fn join(&self, link: u8) -> Result {
        let end = format!("link{link}");
        Namespace::connect([(&self.host, &end), (&self.page, &end)])?;
        address(&self.host, "add", link, 1)?;
        address(&self.page, "add", link, 2)?;
        [&self.host, &self.page].into_iter().try_for_each(|machine| machine.ip(&format!("link set {end} up\n")))
    }

    /// Removes a link, as a cable that is pulled.
    pub fn remove(&self, link: u8) -> Result {
        self.page.ip(&format!("link del link{link}\n"))
    }

    /// Gives the page's end of a link the address `new` in place of `old`.
    pub fn readdress(&self, link: u8, old: u8, new: u8) -> Result {
        // In this order: with the first address of a network go all others.
        address(&self.page, "del", link, old)?;
        address(&self.page, "add", link, new)
    }

    /// Lets no UDP pass over a link, which neither machine is told.
    pub fn silence(&self, link: u8) -> Result {
        self.page.add_rules(&format!(
            "add table inet silence{link}
             add chain inet silence{link} in {{ type filter hook input priority 0; }}
             add chain inet silence{link} out {{ type filter hook output priority 0; }}
             add rule inet silence{link} in iifname link{link} meta l4proto udp drop
             add rule inet silence{link} out oifname link{link} meta l4proto udp drop
"
        ))
    }

    /// Ends [`Self::silence`].
    pub fn unsilence(&self, link: u8) -> Result {
        self.page.add_rules(&format!("delete table inet silence{link}\n"))
    }

    /// Loses this share of the UDP packets to the page over a link, in percent, at random.
    pub fn lose(&self, link: u8, percent: u8) -> Result {
        self.page.add_rules(&format!(
            "add table inet loss{link}
             add chain inet loss{link} in {{ type filter hook input priority 0; }}
             add rule inet loss{link} in iifname link{link} meta l4proto udp numgen random mod 100 < {percent} drop
"
        ))
    }

    /// Makes the host see `port` of the page's machine as `seen`, as a NAT does that has forgotten its binding: what is sent to
    /// the port it saw before is lost.
    pub fn rebind(&self, port: u16, seen: u16) -> Result {
        self.page.add_rules(&format!(
            "add table ip nat
             flush table ip nat
             add chain ip nat in {{ type filter hook prerouting priority -300; }}
             add chain ip nat out {{ type filter hook output priority -300; }}
             add rule ip nat in iifname != lo udp dport {seen} udp dport set {port} accept
             add rule ip nat in iifname != lo udp dport {port} drop
             add rule ip nat out oifname != lo udp sport {port} udp sport set {seen}
"
        ))
    }

    /// The host's machine.
    pub fn host(&self) -> &Namespace {
        &self.host
    }

    /// The page's machine.
    pub fn page(&self) -> &Namespace {
        &self.page
    }

    /// Passes connections to `port` of the page's machine to the same port of the host's.
    pub fn tunnel(&mut self, port: u16, directory: &Path) -> Result {
        let (socket, port) = (directory.join("tunnel"), port.to_string());
        let mut node = Command::new("node");
        node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/tunnel.mjs"));
        for (machine, from, to) in
            [(&self.host, socket.as_os_str(), port.as_ref()), (&self.page, port.as_ref(), socket.as_os_str())]
        {
            let mut end = machine.enter(&node);
            self.tunnel.push(end.args([from, to]).stdin(Stdio::null()).spawn()?);
        }
        Ok(())
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for end in &mut self.tunnel {
            let _ = end.kill();
            let _ = end.wait();
        }
    }
}

fn address(machine: &Namespace, verb: &str, link: u8, end: u8) -> Result {
    machine.ip(&format!("addr {verb} 10.77.{link}.{end}/24 dev link{link}\n"))
}
