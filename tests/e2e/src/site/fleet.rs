//! The accounts of a node behind Kamailio: the samples of `contrib/kamailio`, with the ports of a test.

use crate::driver::Driver;
use crate::ports::Ports;

/// The text of `sip.conf` or `pjsip.conf`. `kamailio` is the UDP port at which Kamailio expects the node's calls.
pub fn accounts(driver: Driver, ports: &Ports, kamailio: u16) -> String {
    let sample = match driver {
        Driver::ChanSip => include_str!("../../../../contrib/kamailio/sip.conf"),
        Driver::ChanPjsip => include_str!("../../../../contrib/kamailio/pjsip.conf"),
    };
    let changed = [("5060", kamailio.to_string()), ("5160", ports.sip.to_string()), ("from-sip", "calls".to_owned())];
    changed.iter().fold(sample.to_owned(), |text, (old, new)| text.replace(old, new))
}
