//! The clock, and the addresses that calls are bound to and that browsers are told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use asterisk::config::{Config, Load, Reload};
use openssl::asn1::Asn1Time;
use story::Driver;

use super::http::is_true;
use super::step::Step;
use crate::gathering::settings::Gathering;
use crate::transport::interfaces;

/// The address that the channel driver binds the sockets of a call to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The address; unspecified for all of its family.
    pub ip: IpAddr,
    /// The key of the driver's configuration that says so, if one does.
    pub key: Option<&'static str>,
    /// The file of the key, with its section where there are many.
    pub place: String,
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

/// Reads which address the calls of a driver are bound to.
pub fn bound(driver: Driver) -> Bound {
    let any = || Bound { ip: unset(driver), key: None, place: driver.file().to_owned() };
    let Load::Loaded(config) = Config::load(driver.names().file, Reload::Always) else { return any() };
    let sections: Vec<Section<'_>> =
        config.sections().map(|(name, lines)| (name, lines.map(|line| (line.name, line.value)).collect())).collect();
    let named = match driver {
        Driver::ChanSip => bound_in_sip_conf(&sections),
        Driver::ChanPjsip => bound_in_pjsip_conf(&sections),
    };
    named.unwrap_or_else(any)
}

/// Returns the address without a setting: all of IPv4, or with chan_pjsip all of both families where the machine has IPv6.
fn unset(driver: Driver) -> IpAddr {
    let has_both = || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
    match driver {
        Driver::ChanPjsip if has_both() => Ipv6Addr::UNSPECIFIED.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// The name of a section, and its keys with their values.
type Section<'a> = (&'a str, Vec<(&'a str, &'a str)>);

/// Returns the value of a key in a section.
fn value<'a>((_, lines): &Section<'a>, key: &str) -> Option<&'a str> {
    lines.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.trim())
}

/// Finds `udpbindaddr` or `bindaddr`.
fn bound_in_sip_conf(sections: &[Section<'_>]) -> Option<Bound> {
    let general = sections.iter().find(|(name, _)| *name == "general")?;
    ["udpbindaddr", "bindaddr"].into_iter().find_map(|key| {
        let ip = address(value(general, key)?)?;
        Some(Bound { ip, key: Some(key), place: Driver::ChanSip.file().to_owned() })
    })
}

/// Finds the address of the first endpoint that is a browser's: its `media_address`, with `bind_rtp_to_media_address`, or `bind` of the
/// transport that it names. An endpoint that names no transport is bound to all addresses.
fn bound_in_pjsip_conf(sections: &[Section<'_>]) -> Option<Bound> {
    let is_of = |section: &Section<'_>, kind| value(section, "type") == Some(kind);
    let is_on = |section: &Section<'_>, key| value(section, key).is_some_and(is_true);
    let is_browser = |section: &&Section<'_>| {
        let has_dtls = value(section, "media_encryption").is_some_and(|way| way.eq_ignore_ascii_case("dtls"));
        is_of(section, "endpoint") && (has_dtls || is_on(section, "webrtc"))
    };
    let endpoint = sections.iter().find(is_browser)?;
    let of = |section: &Section<'_>, key| {
        let ip = address(value(section, key)?)?;
        Some(Bound { ip, key: Some(key), place: format!("[{}] of {}", section.0, Driver::ChanPjsip.file()) })
    };
    let own = Some("media_address").filter(|_| is_on(endpoint, "bind_rtp_to_media_address"));
    own.and_then(|key| of(endpoint, key)).or_else(|| {
        let name = value(endpoint, "transport")?;
        of(sections.iter().find(|section| section.0 == name && is_of(section, "transport"))?, "bind")
    })
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
                "ice_permit, ice_deny and ice_acl in rtp.conf do not allow {}, which is {key} in {}",
                bound.ip, bound.place
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
        Bound { ip: ip.parse().unwrap(), key, place: "sip.conf".to_owned() }
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
    fn calls_of_sip_conf_are_bound_to_its_address() {
        let general = |lines| [("general", lines)];
        let bound = bound_in_sip_conf(&general(vec![("bindaddr", "192.0.2.1"), ("UdpBindAddr", "192.0.2.2:5060")]));
        assert_eq!(
            bound.as_ref().map(|bound| (bound.ip.to_string(), bound.key)),
            Some(("192.0.2.2".to_owned(), Some("udpbindaddr")))
        );
        assert_eq!(bound_in_sip_conf(&general(vec![("context", "from-sip")])), None);
    }

    #[test]
    fn calls_of_pjsip_conf_are_bound_to_the_transport_that_the_endpoint_of_a_browser_names() {
        let transport = ("udp", vec![("type", "transport"), ("protocol", "udp"), ("bind", "192.0.2.1:5060")]);
        let phone = ("2001", vec![("type", "endpoint"), ("transport", "tcp")]);
        let of = |lines: &[(&'static str, &'static str)]| {
            let browser = [("type", "endpoint"), ("webrtc", "yes")].iter().chain(lines).copied().collect();
            let browser = ("1001", browser);
            bound_in_pjsip_conf(&[transport.clone(), phone.clone(), browser])
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("transport", "other")]), None);
        let by_transport = of(&[("transport", "udp"), ("media_address", "192.0.2.9")]).unwrap();
        assert_eq!((by_transport.key, by_transport.place.as_str()), (Some("bind"), "[udp] of pjsip.conf"));
        let own = [("transport", "udp"), ("media_address", "192.0.2.9"), ("bind_rtp_to_media_address", "yes")];
        let own = of(&own).unwrap();
        assert_eq!((own.key, own.place.as_str()), (Some("media_address"), "[1001] of pjsip.conf"));
        let refused = step(&own, &[]).to_string();
        assert!(
            refused.ends_with("do not allow 192.0.2.9, which is media_address in [1001] of pjsip.conf"),
            "{refused}"
        );
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
