//! Reads `metrics`, `metrics_permit`, `metrics_deny` and `metrics_acl` of `rtp.conf`.

use std::net::IpAddr;

use crate::config::Lines;
use crate::gathering::acl::{Acl, Keys};

/// Whether there are metrics, and the addresses that may read them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Whether there is a page at all.
    pub is_on: bool,
    /// The addresses that may read it; an empty list is for this machine alone.
    acl: Acl,
}

impl Metrics {
    /// Reads the keys.
    pub fn read(lines: &mut Lines<'_>) -> Self {
        Self { is_on: lines.boolean("metrics", false), acl: Acl::read_closed(lines, KEYS) }
    }

    /// Returns whether a client at this address may read the page.
    pub fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if self.acl.is_empty() { ip.is_loopback() } else { self.acl.allows(ip) }
    }
}

const KEYS: Keys =
    Keys { permit: "metrics_permit", deny: "metrics_deny", blacklist: "metrics_deny", acl: "metrics_acl" };

#[cfg(test)]
mod tests {
    use asterisk::config::Entry;

    use super::*;

    fn read(written: &[(&'static str, &'static str)]) -> (Metrics, Vec<String>) {
        let entry = |(line, (name, value))| Entry { name, value, file: "rtp.conf", line };
        let inside = [("deny", "0.0.0.0/0"), ("permit", "10.0.0.0/8")];
        let mut lines = Lines {
            entries: (1..).zip(written.iter().copied()).map(entry).collect(),
            acls: vec![("inside", (1..).zip(inside).map(entry).collect())],
            ..Lines::default()
        };
        let metrics = Metrics::read(&mut lines);
        (metrics, lines.problems)
    }

    fn allows(written: &[(&'static str, &'static str)]) -> [bool; 4] {
        let (metrics, problems) = read(written);
        assert_eq!(problems, [""; 0]);
        ["127.0.0.1", "::ffff:10.0.0.1", "192.0.2.1", "2001:db8::1"].map(|ip| metrics.allows(ip.parse().unwrap()))
    }

    #[test]
    fn there_is_no_page_unless_it_is_asked_for_and_then_for_this_machine() {
        assert!(!read(&[]).0.is_on && read(&[("metrics", "yes")]).0.is_on);
        assert_eq!(allows(&[("metrics", "yes")]), [true, false, false, false]);
        let (metrics, problems) = read(&[("metrics", "perhaps")]);
        assert!(!metrics.is_on && problems[0].ends_with("; using no"), "{problems:?}");
    }

    #[test]
    fn only_addresses_that_a_line_permits_may_read_it() {
        assert_eq!(allows(&[("metrics_permit", "10.0.0.0/8")]), [false, true, false, false]);
        assert_eq!(allows(&[("metrics_permit", "10.0.0.0/8"), ("metrics_deny", "10.0.0.1")]), [false; 4]);
        assert_eq!(allows(&[("metrics_deny", "10.0.0.1")]), [false; 4], "nobody is permitted");
        assert_eq!(allows(&[("metrics_permit", "::/0")]), [false, false, false, true]);
    }

    #[test]
    fn a_list_of_acl_conf_counts_as_the_host_counts_it() {
        assert_eq!(allows(&[("metrics_acl", "inside")]), [false, true, false, true]);
        assert_eq!(allows(&[("metrics_acl", "inside"), ("metrics_permit", "192.0.2.0/24")]), [false; 4]);
    }
}
