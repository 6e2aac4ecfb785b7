//! Nodes and Kamailio in front of them, as `contrib/kamailio` says.

use std::net::Ipv4Addr;

use crate::failure::{Failure, Result};
use crate::kamailio::{Kamailio, Plan};
use crate::lab::{self, Lab};
use crate::nat::Namespace;
use crate::phone::{Browser, Phone};
use crate::ports::Ports;
use crate::site::Site;

/// Two nodes and Kamailio in front of them.
#[derive(Debug)]
pub struct Fleet {
    /// The nodes.
    pub nodes: [Lab; 2],
    /// Kamailio, which ends before them.
    pub kamailio: Kamailio,
}

impl Fleet {
    /// Starts two nodes and Kamailio with a few users.
    pub fn start(name: &str) -> Result<Self> {
        Self::start_with(name, &Plan::default(), &Site::default())
    }

    /// Starts a Kamailio like this in front of nodes like this.
    pub fn start_with(name: &str, plan: &Plan, site: &Site) -> Result<Self> {
        let ports = Ports::claim()?;
        let site = Site { kamailio: Some(ports.sip), ..site.clone() };
        let nodes = [Lab::start(&format!("{name}-a"), &site)?, Lab::start(&format!("{name}-b"), &site)?];
        Self::behind(nodes, ports, plan, None)
    }

    /// Starts all of it in a network namespace, with nodes that listen on all addresses.
    pub fn start_in(namespace: &Namespace, ports: Ports, name: &str, plan: &Plan) -> Result<Self> {
        let site = Site { kamailio: Some(ports.sip), listens: Some(Ipv4Addr::UNSPECIFIED.into()), ..Site::default() };
        let node =
            |name: &str| -> Result<Lab> { Lab::in_namespace(namespace, Ports::claim()?, lab::home_of(name)?, &site) };
        let nodes = [node(&format!("{name}-a"))?, node(&format!("{name}-b"))?];
        Self::behind(nodes, ports, plan, Some(namespace))
    }

    fn behind(nodes: [Lab; 2], ports: Ports, plan: &Plan, namespace: Option<&Namespace>) -> Result<Self> {
        let directory = nodes[0].directory().join("kamailio");
        let kamailio = Kamailio::start(&directory, ports, &[&nodes[0], &nodes[1]], plan, namespace)?;
        Ok(Self { nodes, kamailio })
    }

    /// A browser that has registered with Kamailio.
    pub fn registered(&self, browser: Browser, account: &str, voice: f64) -> Result<Phone> {
        let mut phone = Phone::with_voice(&self.nodes[0], browser, account, voice)?;
        phone.register_at(&self.kamailio.server())?;
        Ok(phone)
    }

    /// Whether this node has a call of `account`.
    pub fn has_call_of(&self, node: usize, account: &str) -> Result<bool> {
        Ok(self.nodes[node].asterisk().cli("core show channels concise")?.contains(&format!("!{account}!")))
    }

    /// The first node that has a call.
    pub fn node_in_call(&self) -> Result<&Lab> {
        for node in &self.nodes {
            let channels = node.asterisk().cli("core show channels count")?;
            if !channels.contains("0 active channels") {
                return Ok(node);
            }
        }
        Err(Failure::new("no node has a call"))
    }
}
