//! The modules on a host that they do not support.

use host_tests::{Host, Kind, Loading, modules};

#[test]
fn a_foreign_host_is_declined_in_one_line_that_names_both_versions() {
    let host = Host::start(Kind::Foreign);
    for module in modules::ALL {
        assert_eq!(host.load(module), Loading::NotRegistered);
        let log = host.log();
        let lines: Vec<_> = log.lines().collect();
        assert_eq!(lines.len(), 1, "{module}: {log}");
        assert!(lines[0].contains("16.28.0~dfsg-0+deb11u4") && lines[0].contains("Asterisk 11"), "{module}: {log}");
        assert!(lines[0].contains(module), "{log}");
        assert!(!host.is_mapped(module), "{module} stays in memory");
    }
}
