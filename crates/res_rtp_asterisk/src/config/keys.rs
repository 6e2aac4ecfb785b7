//! The keys of `rtp.conf`, to tell a misspelt one from one that is for others.

use asterisk::config::Entry;

/// Returns a line for the log for each entry of section `[general]` that changes nothing.
pub fn remarks(entries: &[Entry<'_>]) -> Vec<String> {
    entries.iter().filter_map(remark).collect()
}

fn remark(entry: &Entry<'_>) -> Option<String> {
    let is = |key: &&str| entry.name.eq_ignore_ascii_case(key);
    if USED.iter().any(is) {
        return None;
    }
    let Entry { file, line, name, value } = entry;
    Some(match WITHOUT_EFFECT.iter().find(|(key, _)| is(key)) {
        Some((_, reason)) => format!("{file}, line {line}: {name} = '{value}' has no effect: {reason}"),
        None => format!("{file}, line {line}: unknown key '{name}' is ignored, check its name"),
    })
}

/// The keys that are read.
pub(super) const USED: [&str; 43] = [
    "rtpstart",
    "rtpend",
    "rtpchecksums",
    "dtmftimeout",
    "rtcpinterval",
    "strictrtp",
    "probation",
    "icesupport",
    "rtcpmux",
    "consenttimeout",
    "dtlsminversion",
    "dtls_mtu",
    "statistics",
    "bridgethreads",
    "calllog",
    "capture_size",
    "capture_time",
    "callreport",
    "callreport_permit",
    "callreport_deny",
    "callreport_acl",
    "stunaddr",
    "stunpool",
    "stun_permit",
    "stun_deny",
    "stun_blacklist",
    "stun_acl",
    "ice_interfaces",
    "ice_external_address",
    "ice_permit",
    "ice_deny",
    "ice_blacklist",
    "ice_acl",
    "turnaddr",
    "turnusername",
    "turnpassword",
    "turnsecret",
    "turnpool",
    "turncafile",
    "metrics",
    "metrics_permit",
    "metrics_deny",
    "metrics_acl",
];

/// Keys of Asterisk 16 and 22 for what we do anyway or never.
const WITHOUT_EFFECT: [(&str, &str); 3] = [
    ("srtpreplayprotection", "a packet that has come before is always refused (RFC 3711 §3.3.2)"),
    ("stun_software_attribute", "STUN datagrams do not tell our version"),
    ("stunaddr_reresolve_ttl_0", "the name of a STUN server is looked up again when its address expires"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn remarks_on(written: &[(&'static str, &'static str)]) -> Vec<String> {
        let entry = |(line, (name, value))| Entry { name, value, file: "rtp.conf", line };
        let entries: Vec<_> = (1..).zip(written.iter().copied()).map(entry).collect();
        remarks(&entries)
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let said = remarks_on(&[("RTPstart", "10000"), ("rtpstrat", "10000"), ("srtpreplayprotection", "no")]);
        assert_eq!(said.len(), 2);
        assert!(said[0].starts_with("rtp.conf, line 2: unknown key 'rtpstrat'"), "{said:?}");
        assert!(said[1].starts_with("rtp.conf, line 3: srtpreplayprotection = 'no' has no effect: "), "{said:?}");
    }
}
