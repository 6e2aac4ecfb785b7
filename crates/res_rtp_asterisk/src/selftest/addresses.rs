//! The clock, and the addresses that calls are bound to and that browsers are told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use asterisk::config::{Config, Load, Reload};
use openssl::asn1::Asn1Time;

use super::step::Step;
use crate::gathering::settings::Gathering;
use crate::transport::interfaces;

/// The address that `chan_sip` binds the sockets of a call to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The address; unspecified for all of its family.
    pub ip: IpAddr,
    /// The key of `sip.conf` that says so, if one does.
    pub key: Option<&'static str>,
}

/// Judges the time of day, since 1970.
pub fn clock(now: Duration) -> Step {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let date = Asn1Time::from_unix(seconds).map_or_else(|_| format!("{seconds} s since 1970"), |time| time.to_string());
    if seconds < FIRST_OF_2020 {
        let why =
            format!("this machine's clock says {date}, and certificates are judged by it; set it, by NTP for instance");
        return Step::failed("Clock", why);
    }
    Step::ok("Clock", date)
}

/// Reads which address calls are bound to: `udpbindaddr` or `bindaddr` of `sip.conf`, or all of IPv4.
pub fn bound() -> Bound {
    let any = Bound { ip: Ipv4Addr::UNSPECIFIED.into(), key: None };
    let Load::Loaded(config) = Config::load(c"sip.conf", Reload::Always) else { return any };
    let named = ["udpbindaddr", "bindaddr"].into_iter().find_map(|key| {
        let ip = address(config.section(c"general").named(key).last()?.value)?;
        Some(Bound { ip, key: Some(key) })
    });
    named.unwrap_or(any)
}

/// Parses an address that may have a port behind it.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Returns the addresses that browsers are told.
pub fn find(bound: &Bound, gathering: &Gathering) -> Vec<IpAddr> {
    interfaces::host_addresses(bound.ip, gathering)
}

/// Judges the addresses that browsers are told.
pub fn step(bound: &Bound, found: &[IpAddr]) -> Step {
    const NAME: &str = "Addresses";
    let list = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (found, bound.key) {
        ([], Some(key)) if !bound.ip.is_unspecified() => {
            let why = format!(
                "ice_permit, ice_deny and ice_acl in rtp.conf do not allow {}, which is {key} in sip.conf",
                bound.ip
            );
            Step::failed(NAME, why)
        }
        ([], _) => Step::failed(
            NAME,
            "browsers are told no address of this machine: ice_interfaces, ice_permit, ice_deny or ice_acl in rtp.conf leave none, or no \
             interface is up",
        ),
        _ if found.iter().all(IpAddr::is_loopback) => {
            Step::ok(NAME, format!("{list}, which only browsers on this machine reach"))
        }
        _ => Step::ok(NAME, list),
    }
}

/// 2020-01-01, before any release of these modules.
const FIRST_OF_2020: i64 = 1_577_836_800;

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(ip: &str, key: Option<&'static str>) -> Bound {
        Bound { ip: ip.parse().unwrap(), key }
    }

    #[test]
    fn a_clock_that_was_not_set_is_named() {
        let line = clock(Duration::from_secs(86_400)).to_string();
        assert!(line.starts_with("Clock: FAILED: this machine's clock says Jan  2 00:00:00 1970 GMT, "), "{line}");
        assert_eq!(clock(Duration::from_secs(1_796_000_000)).to_string(), "Clock: ok, Nov 30 00:53:20 2026 GMT");
    }

    #[test]
    fn addresses_of_sip_conf_may_have_ports() {
        for (text, ip) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:5060", "192.0.2.1"),
            ("[::]:5060", "::"),
            ("[::]", "::"),
            ("::", "::"),
        ] {
            assert_eq!(address(text), Some(ip.parse().unwrap()), "{text}");
        }
        assert_eq!(address("pbx.example.org"), None);
    }

    #[test]
    fn a_machine_without_an_address_for_browsers_is_told_which_keys_to_change() {
        let any = bound("0.0.0.0", None);
        let line = |bound: &Bound, found: &[&str]| {
            step(bound, &found.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<_>>()).to_string()
        };
        assert_eq!(line(&any, &["192.0.2.1", "2001:db8::1"]), "Addresses: ok, 192.0.2.1, 2001:db8::1");
        assert_eq!(line(&any, &["127.0.0.1"]), "Addresses: ok, 127.0.0.1, which only browsers on this machine reach");
        assert!(
            line(&any, &[])
                .starts_with("Addresses: FAILED: browsers are told no address of this machine: ice_interfaces, ")
        );
        let refused = line(&bound("192.0.2.1", Some("udpbindaddr")), &[]);
        assert!(
            refused
                .contains("ice_permit, ice_deny and ice_acl in rtp.conf do not allow 192.0.2.1, which is udpbindaddr"),
            "{refused}"
        );
    }
}
