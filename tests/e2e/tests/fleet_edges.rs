//! The ways into a fleet: browsers with TLS to Kamailio, and browsers whose media goes by coturn alone.

use e2e::failure::Result;
use e2e::fleet::Fleet;
use e2e::kamailio::Plan;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::site::{Site, VOICE};

#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn browsers_register_and_call_over_tls() -> Result {
    let fleet = Fleet::start_with("fleet-tls", &Plan { tls: true, ..Plan::default() }, &Site::default())?;
    for (browser, account) in [(Browser::Chromium, "1001"), (Browser::Firefox, "1002")] {
        let mut phone = Phone::open(&fleet.nodes[0], browser, account)?;
        phone.register_at(&fleet.kamailio.tls_server())?;
        phone.call("mirror", RtcpMux::Require)?;
        phone.hears(VOICE)?;
        phone.hangup()?;
    }
    Ok(())
}

/// A browser whose network lets no UDP out, in network namespaces.
mod as_root {
    use std::fs;
    use std::net::SocketAddr;
    use std::process::Command;
    use std::time::Duration;

    use e2e::failure::{Failure, Result, ensure};
    use e2e::fleet::Fleet;
    use e2e::kamailio::Plan;
    use e2e::lab;
    use e2e::nat::coturn::{self, Coturn};
    use e2e::nat::{Family, Nat, World};
    use e2e::phone::{Browser, Phone};
    use e2e::ports::Ports;
    use e2e::site::VOICE;
    use serde_json::{Value, json};

    const SECRET: &str = "what-coturn-and-the-page's-server-know";

    #[test]
    #[cfg_attr(kamailio, ignore = "needs root, for networks of its own")]
    #[cfg_attr(not(kamailio), ignore = "there is no Kamailio")]
    fn by_relay_alone_calls_have_audio_and_a_wrong_secret_is_logged() -> Result {
        let ports = Ports::claim()?;
        let world = World::build(None, &[Nat::UdpBlocked], Family::Ipv4, &ports)?;
        let plan = Plan { address: world.address_of_pbx(), ..Plan::default() };
        let fleet = Fleet::start_in(world.pbx(), ports, "fleet-relay", &plan)?;
        let home = lab::home_of("fleet-relay-coturn")?;
        home.make_certificate()?;
        let _coturn = Coturn::start_with_secret(world.internet(), &world.addresses_of_server(), &home, SECRET)?;

        let server = format!("ws://{}/", SocketAddr::new(world.address_of_pbx(), fleet.kamailio.port()));
        let place = world.behind(Nat::UdpBlocked)?;
        let tcp = format!("turn:{}?transport=tcp", SocketAddr::new(world.address_of_server(), coturn::PORT));
        let tls = format!("turns:{}?transport=tcp", SocketAddr::new(world.address_of_server(), coturn::TLS_PORT));
        for (browser, account, url) in [(Browser::Chromium, "1001", &tls), (Browser::Firefox, "1002", &tcp)] {
            let mut phone = Phone::in_namespace(place, &fleet.nodes[0], browser, account)?;
            phone.register_at(&server)?;
            let found = phone.call_by_way_of("mirror", relay(url, account, SECRET)?, PATIENCE)?;
            println!("{browser:?}: {found}");
            ensure(found["local"] == "relay", || format!("the call is not relayed: {found}"))?;
            phone.hears(VOICE)?;
            phone.hangup()?;
            if browser == Browser::Chromium {
                let found = phone.call_by_way_of("mirror", relay(url, account, "another")?, PATIENCE / 2)?;
                ensure(found["milliseconds"].is_null(), || format!("a wrong secret was taken: {found}"))?;
                let log = fs::read_to_string(coturn::log(&home))?;
                ensure(log.contains("Cannot find credentials of user"), || {
                    "coturn's log has no line of it".to_owned()
                })?;
            }
        }
        Ok(())
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    /// `iceServers` with a name and a password as `contrib/coturn/README.md` makes them.
    fn relay(url: &str, who: &str, secret: &str) -> Result<Value> {
        const SCRIPT: &str = r#"name="$(( $(date +%s) + 3600 )):$1"; printf '%s\n' "$name"
            printf %s "$name" | openssl dgst -sha1 -hmac "$2" -binary | base64"#;
        let output = Command::new("sh").args(["-c", SCRIPT, "sh", who, secret]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (name, password) = text.trim().split_once('\n').ok_or_else(|| Failure::new("no password was made"))?;
        Ok(json!([{ "urls": [url], "username": name, "credential": password }]))
    }
}
