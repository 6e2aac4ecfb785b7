//! Reads `callreport`, `callreport_permit`, `callreport_deny` and `callreport_acl` of `rtp.conf`.

use std::net::IpAddr;

use crate::config::Lines;
use crate::gathering::acl::{Acl, Keys};

/// Whether clients may read the reports of their own calls, and from which addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallReports {
    /// Whether there are reports at all.
    pub is_on: bool,
    /// The addresses that may read them; an empty list is for everybody.
    acl: Acl,
}

impl CallReports {
    /// Reads the keys.
    pub fn read(lines: &mut Lines<'_>) -> Self {
        Self { is_on: lines.boolean("callreport", false), acl: Acl::read_closed(lines, KEYS) }
    }

    /// Returns whether a client at this address may read a report. Behind a proxy nobody can tell whose the address is, so it counts only
    /// where all addresses may.
    pub fn allows(&self, ip: Option<IpAddr>, is_through_proxy: bool) -> bool {
        let is_in = |ip: IpAddr| self.acl.allows(ip.to_canonical());
        self.acl.is_empty() || !is_through_proxy && ip.is_some_and(is_in)
    }
}

const KEYS: Keys =
    Keys { permit: "callreport_permit", deny: "callreport_deny", blacklist: "callreport_deny", acl: "callreport_acl" };

#[cfg(test)]
mod tests {
    use asterisk::config::Entry;

    use super::*;

    fn read(written: &[(&'static str, &'static str)]) -> CallReports {
        let entry = |(line, (name, value))| Entry { name, value, file: "rtp.conf", line };
        let entries = (1..).zip(written.iter().copied()).map(entry).collect();
        CallReports::read(&mut Lines { entries, ..Lines::default() })
    }

    #[test]
    fn there_are_no_reports_unless_they_are_asked_for() {
        assert!(!read(&[]).is_on && read(&[("callreport", "yes")]).is_on);
    }

    #[test]
    fn a_list_of_networks_keeps_out_others_and_what_comes_through_a_proxy() {
        let (inside, outside) = ("::ffff:10.0.0.1".parse().ok(), "192.0.2.1".parse().ok());
        let anybody = read(&[("callreport", "yes")]);
        assert!(anybody.allows(outside, true) && anybody.allows(None, false));
        let some = read(&[("callreport_permit", "10.0.0.0/8")]);
        assert!(some.allows(inside, false) && !some.allows(inside, true));
        assert!(!some.allows(outside, false) && !some.allows(None, false));
    }
}
