//! Lists of subnets that are permitted and denied, with the host's meaning: the rules of a list apply in order and the last that
//! matches counts; an address that no rule matches is permitted. Named lists are sections of the host's `acl.conf`, and each has to
//! permit the address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use asterisk::config::Entry;

use crate::config::Lines;

/// The rules for addresses from the keys `…_permit`, `…_deny` and `…_acl`. The default permits everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acl(Vec<Vec<Rule>>);

/// The keys of one list of rules.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// Permits subnets.
    pub permit: &'static str,
    /// Denies subnets.
    pub deny: &'static str,
    /// Denies subnets as well: the older word of Asterisk 16.
    pub blacklist: &'static str,
    /// Names lists of `acl.conf`.
    pub acl: &'static str,
}

/// One subnet of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    permits: bool,
    subnet: Subnet,
}

/// The addresses that share the first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Subnet {
    ip: IpAddr,
    /// The bits that are compared; those of an IPv4 address are the last 32.
    mask: u128,
}

impl Acl {
    /// Reads the keys, in the order of the lines.
    pub fn read(lines: &mut Lines<'_>, keys: Keys) -> Self {
        let mut lists = Self::lists(lines, keys);
        lists.retain(|list| !list.is_empty());
        Self(lists)
    }

    /// Reads the keys like [`Self::read`], but an address that no rule of these keys matches is denied, unless they have no other rule
    /// than lists of `acl.conf`. A line that is unusable, or names a list that is missing, denies everybody: the host does so, and it
    /// may have been the line that was to keep somebody out.
    pub fn read_closed(lines: &mut Lines<'_>, keys: Keys) -> Self {
        let problems = lines.problems.len();
        let mut lists = Self::lists(lines, keys);
        if lines.problems.len() > problems {
            return Self(vec![EVERYBODY.map(|subnet| Rule { permits: false, subnet }).into()]);
        }
        if let Some(own) = lists.first_mut().filter(|own| !own.is_empty()) {
            own.splice(0..0, EVERYBODY.map(|subnet| Rule { permits: false, subnet }));
        }
        lists.retain(|list| !list.is_empty());
        Self(lists)
    }

    /// The rules of the keys themselves, then the lists that they name.
    fn lists(lines: &mut Lines<'_>, keys: Keys) -> Vec<Vec<Rule>> {
        let mut lists = vec![Vec::new()];
        for entry in lines.entries.clone() {
            let is = |key: &str| entry.name.eq_ignore_ascii_case(key);
            match () {
                () if entry.value.trim().is_empty() => {}
                () if is(keys.permit) => lists[0].extend(read_rules(lines, &entry, true)),
                () if is(keys.deny) || is(keys.blacklist) => lists[0].extend(read_rules(lines, &entry, false)),
                () if is(keys.acl) => {
                    entry.value.split(',').for_each(|name| lists.extend(named(lines, &entry, name.trim())));
                }
                () => {}
            }
        }
        lists
    }

    /// Returns whether the rules permit this address.
    pub fn allows(&self, ip: IpAddr) -> bool {
        let permits =
            |list: &Vec<Rule>| list.iter().rfind(|rule| rule.subnet.contains(ip)).is_none_or(|rule| rule.permits);
        self.0.iter().all(permits)
    }

    /// Returns whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The subnets of all addresses.
const EVERYBODY: [Subnet; 2] = [
    Subnet { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), mask: 0 },
    Subnet { ip: IpAddr::V6(Ipv6Addr::UNSPECIFIED), mask: 0 },
];

/// Reads a line with one or more subnets; `!` before a subnet turns its meaning around, as in Asterisk 16.
fn read_rules(lines: &mut Lines<'_>, entry: &Entry<'_>, permits: bool) -> Vec<Rule> {
    let rule = |text: &str| {
        let (negated, subnet) = text.trim().strip_prefix('!').map_or((false, text.trim()), |subnet| (true, subnet));
        Some(Rule { permits: permits != negated, subnet: subnet.parse().ok()? })
    };
    let rules: Option<Vec<Rule>> = entry.value.split(',').map(rule).collect();
    let wanted = "an IP address, or one with /bits or /mask; the line is ignored".to_owned();
    lines.usable(rules.ok_or_else(|| entry.bad(wanted).to_string())).unwrap_or_default()
}

/// Reads a list of the host's `acl.conf`.
fn named(lines: &mut Lines<'_>, entry: &Entry<'_>, name: &str) -> Option<Vec<Rule>> {
    let found = lines.acls.iter().find(|(section, _)| section.eq_ignore_ascii_case(name));
    let Some(rules) = found.map(|(_, entries)| entries.clone()) else {
        let wanted = format!("a list of addresses in acl.conf ('{name}' is none); the list is ignored");
        lines.problems.push(entry.bad(wanted).to_string());
        return None;
    };
    let mut list = Vec::new();
    for rule in rules {
        match rule.name.to_ascii_lowercase().as_str() {
            "permit" => list.extend(read_rules(lines, &rule, true)),
            "deny" => list.extend(read_rules(lines, &rule, false)),
            _ => {}
        }
    }
    Some(list)
}

impl Subnet {
    fn contains(&self, ip: IpAddr) -> bool {
        self.ip.is_ipv4() == ip.is_ipv4() && bits(self.ip) & self.mask == bits(ip) & self.mask
    }
}

impl FromStr for Subnet {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (ip, mask) = text.split_once('/').map_or((text, None), |(ip, mask)| (ip, Some(mask)));
        let ip: IpAddr = ip.trim().parse().map_err(drop)?;
        let width: u32 = if ip.is_ipv4() { 32 } else { 128 };
        let all = u128::MAX >> (128 - width);
        let mask = match mask.map(str::trim) {
            None => all,
            Some(mask) => match (mask.parse::<u32>(), mask.parse::<IpAddr>()) {
                (Ok(len), _) if len <= width => all & u128::MAX.checked_shl(width - len).unwrap_or(0),
                (_, Ok(mask)) if mask.is_ipv4() == ip.is_ipv4() => bits(mask),
                _ => return Err(()),
            },
        };
        Ok(Self { ip, mask })
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn read(written: &[(&'static str, &'static str)]) -> (Acl, Vec<String>) {
        let entry = |file| move |(line, (name, value))| Entry { name, value, file, line };
        let keys = Keys { permit: "ice_permit", deny: "ice_deny", blacklist: "ice_blacklist", acl: "ice_acl" };
        let acls = [("deny", "0.0.0.0/0"), ("permit", "10.0.0.0/8")];
        let mut lines = Lines {
            entries: (1..).zip(written.iter().copied()).map(entry("rtp.conf")).collect(),
            acls: vec![("inside", (1..).zip(acls).map(entry("acl.conf")).collect())],
            ..Lines::default()
        };
        (Acl::read(&mut lines, keys), lines.problems)
    }

    #[test]
    fn without_rules_everything_is_permitted() {
        let (acl, _) = read(&[("stun_deny", "0.0.0.0/0")]);
        assert!(acl.is_empty() && acl.allows(ip("192.0.2.1")) && acl.allows(ip("2001:db8::1")));
    }

    #[test]
    fn the_last_rule_that_matches_counts() {
        let (acl, _) = read(&[("ice_permit", "10.1.0.0/16"), ("ice_deny", "10.0.0.0/8"), ("ice_permit", "10.2.3.4")]);
        assert!(!acl.allows(ip("10.1.0.1")), "permitted first, denied last");
        assert!(acl.allows(ip("10.2.3.4")) && acl.allows(ip("192.0.2.1")));
    }

    #[test]
    fn masks_are_bits_or_addresses_and_families_do_not_mix() {
        let (acl, problems) =
            read(&[("ICE_deny", "0.0.0.0/0, ::/0"), ("ice_permit", "192.0.2.0/255.255.255.0,2001:db8::/32")]);
        assert_eq!(problems, [""; 0]);
        for (address, allowed) in
            [("192.0.2.77", true), ("192.0.3.1", false), ("2001:db8:1::1", true), ("2001:db9::1", false)]
        {
            assert_eq!(acl.allows(ip(address)), allowed, "{address}");
        }
        assert!(read(&[("ice_deny", "0.0.0.0/0")]).0.allows(ip("2001:db8::1")));
        assert!(!read(&[("ice_permit", "!192.0.2.1")]).0.allows(ip("192.0.2.1")));
    }

    #[test]
    fn a_named_list_has_to_permit_as_well() {
        let (acl, problems) = read(&[("ice_deny", "10.9.0.0/16"), ("ice_acl", "inside")]);
        assert_eq!(problems, [""; 0]);
        assert!(acl.allows(ip("10.1.2.3")) && !acl.allows(ip("10.9.2.3")) && !acl.allows(ip("192.0.2.1")));
        let (acl, problems) = read(&[("ice_acl", "outside")]);
        assert!(
            acl.is_empty() && problems[0].contains("rtp.conf, line 1: ice_acl = 'outside' is not a list"),
            "{problems:?}"
        );
    }
}
