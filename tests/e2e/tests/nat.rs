//! Calls through routers that translate addresses: see `e2e::nat`. All need root, for networks of their own.

mod as_root {
    use e2e::failure::Result;
    use e2e::nat::cell::{Gathering, Pbx, Running, Servers};
    use e2e::nat::{Family, Nat};
    use e2e::phone::Browser;

    #[test]
    #[ignore = "needs root, for networks of its own"]
    fn a_public_pbx_is_reached_through_tls_where_udp_is_blocked() -> Result {
        let pbx = Pbx { nat: None, gathering: Gathering::Interfaces, family: Family::Ipv4 };
        let running = Running::start("nat-blocked", pbx, &[Nat::UdpBlocked])?;
        running.connects(Browser::Chromium, Nat::UdpBlocked, Servers::Turn).map(drop)
    }
}

#[test]
#[ignore = "writes contrib/docs/nat.md; takes half an hour: cargo xtask nat"]
fn table() -> e2e::failure::Result {
    use e2e::failure::{Failure, ensure};
    use e2e::nat::table::{PBXS, Part, document};
    use e2e::phone::Browser;

    let only = std::env::var("NAT_ONLY").unwrap_or_default();
    let mut parts = Vec::new();
    for (number, pbx) in PBXS.into_iter().enumerate().filter(|(_, pbx)| pbx.to_string().contains(&only)) {
        parts.push(Part::measure(pbx, &Browser::ALL, number)?);
    }
    let text = document(&parts, &Browser::ALL, "");
    match std::env::var_os("NAT_TABLE") {
        Some(file) => std::fs::write(file, text)?,
        None => println!("{text}"),
    }
    let missing: Vec<_> = parts.iter().flat_map(Part::missing).collect();
    ensure(missing.is_empty(), || Failure::new(missing.join("\n")).to_string())
}
