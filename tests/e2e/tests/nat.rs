//! Calls through routers that translate addresses: see `e2e::nat`.

use std::fs;

use e2e::failure::{Result, ensure};
use e2e::nat::table::{Part, document, measure};
use e2e::phone::Browser;

/// A few telling cells. They need root, for networks of their own.
mod as_root {
    use e2e::failure::Result;
    use e2e::nat::cell::{Gathering, Pbx, Running, Servers};
    use e2e::nat::{Family, Nat};
    use e2e::phone::Browser;

    #[test]
    #[ignore = "needs root, for networks of its own"]
    fn a_public_pbx_is_reached_from_behind_every_router() -> Result {
        let homes = [Nat::UdpBlocked, Nat::Symmetric];
        let running = start("nat-public", None, Gathering::Interfaces, Family::Ipv4, &homes)?;
        running.connects(Browser::Chromium, Nat::UdpBlocked, Servers::TurnOverTls)?;
        running.connects(Browser::Firefox, Nat::Symmetric, Servers::None).map(drop)
    }

    #[test]
    #[ignore = "needs root, for networks of its own"]
    fn a_pbx_in_a_cloud_finds_its_address_by_stun() -> Result {
        let running =
            start("nat-stun", Some(Nat::OneToOne), Gathering::Stun, Family::Ipv4, &[Nat::Cone, Nat::UdpBlocked])?;
        running.connects(Browser::Chromium, Nat::Cone, Servers::Stun)?;
        running.connects(Browser::Chromium, Nat::UdpBlocked, Servers::Turn).map(drop)
    }

    #[test]
    #[ignore = "needs root, for networks of its own"]
    fn a_pbx_in_a_cloud_is_told_its_address() -> Result {
        let running = start("nat-named", Some(Nat::OneToOne), Gathering::Named, Family::Ipv4, &[Nat::Cone])?;
        running.connects(Browser::Chromium, Nat::Cone, Servers::Stun).map(drop)
    }

    #[test]
    #[ignore = "needs root, for networks of its own"]
    fn a_pbx_whose_ports_nobody_can_foresee_is_reached_through_its_relay() -> Result {
        let running = start("nat-relay", Some(Nat::Symmetric), Gathering::Turn, Family::Ipv4, &[Nat::Symmetric])?;
        running.connects(Browser::Chromium, Nat::Symmetric, Servers::Stun)?;
        running.connects(Browser::Firefox, Nat::Symmetric, Servers::Stun).map(drop)
    }

    #[test]
    #[ignore = "needs root, for networks of its own"]
    fn a_browser_with_ipv6_alone_reaches_a_pbx_with_both() -> Result {
        let running = start("nat-ipv6", None, Gathering::Interfaces, Family::Ipv6, &[Nat::Cone])?;
        running.connects(Browser::Chromium, Nat::Cone, Servers::None).map(drop)
    }

    fn start(name: &str, nat: Option<Nat>, gathering: Gathering, family: Family, homes: &[Nat]) -> Result<Running> {
        Running::start(name, Pbx { nat, gathering, family }, homes)
    }
}

/// `NAT_TABLE` names the file to write, `NAT_ONLY` a part of the title of the PBXs to call.
#[test]
#[ignore = "takes half an hour: cargo xtask nat"]
fn table() -> Result {
    let only = std::env::var("NAT_ONLY").unwrap_or_default();
    let parts = measure(&Browser::ALL, &only)?;
    let text = document(&parts, &Browser::ALL)?;
    match std::env::var_os("NAT_TABLE") {
        Some(file) => fs::write(file, text)?,
        None => println!("{text}"),
    }
    let missing: Vec<_> = parts.iter().flat_map(Part::missing).collect();
    ensure(missing.is_empty(), || missing.join("\n"))
}
