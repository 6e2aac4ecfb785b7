//! Two Asterisks behind Kamailio, as `contrib/kamailio` says: browsers register with Kamailio over WebSocket, call and are
//! called through either node, and go on when a node or Kamailio is lost.

use std::time::Duration;

use e2e::failure::{Failure, Result};
use e2e::kamailio::Kamailio;
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::ports::Ports;
use e2e::proof::EchoCall;
use e2e::site::{MUSIC, Site, VOICE};

/// The tone of the browser that is called.
const OTHER_VOICE: f64 = 1600.0;

#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn browsers_call_and_are_called_through_kamailio() -> Result {
    let fleet = Fleet::start("fleet-calls")?;
    let mut chromium = fleet.registered(Browser::Chromium, "1001", VOICE)?;
    chromium.call("echo", RtcpMux::Require)?;
    EchoCall::SHORT.prove(fleet.node_in_call()?, &mut chromium)?;

    let mut other = fleet.registered(Browser::Firefox, "1002", OTHER_VOICE)?;
    chromium.dial("1002", RtcpMux::Require)?;
    other.answer(RtcpMux::Require)?;
    chromium.connected(Duration::from_secs(15))?;
    chromium.hears(OTHER_VOICE)?;
    other.hears(VOICE)?;
    chromium.hold()?;
    chromium.unhold()?;
    chromium.hears(OTHER_VOICE)?;
    other.hears(VOICE)?;
    other.hold()?;
    chromium.hears(MUSIC)?;
    other.unhold()?;
    chromium.hears(OTHER_VOICE)?;
    other.hears(VOICE)?;
    other.hangup()?;
    fleet.node_in_call().map_or(Ok(()), |node| node.until_idle(Duration::from_secs(5)))
}

/// Two nodes and Kamailio in front of them.
struct Fleet {
    nodes: [Lab; 2],
    kamailio: Kamailio,
}

impl Fleet {
    fn start(name: &str) -> Result<Self> {
        let ports = Ports::claim()?;
        let site = Site { kamailio: Some(ports.sip), ..Site::default() };
        let nodes = [Lab::start(&format!("{name}-a"), &site)?, Lab::start(&format!("{name}-b"), &site)?];
        let directory = nodes[0].directory().join("kamailio");
        let kamailio = Kamailio::start(&directory, ports, &[&nodes[0], &nodes[1]], 20)?;
        Ok(Self { nodes, kamailio })
    }

    /// A browser that has registered with Kamailio.
    fn registered(&self, browser: Browser, account: &str, voice: f64) -> Result<Phone> {
        let mut phone = Phone::with_voice(&self.nodes[0], browser, account, voice)?;
        phone.register_at(&self.kamailio.server())?;
        Ok(phone)
    }

    /// The first node that has a call.
    fn node_in_call(&self) -> Result<&Lab> {
        for node in &self.nodes {
            let channels = node.asterisk().cli("core show channels count")?;
            if !channels.contains("0 active channels") {
                return Ok(node);
            }
        }
        Err(Failure::new("no node has a call"))
    }
}
