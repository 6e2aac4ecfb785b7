//! A node behind Kamailio: the accounts of `contrib/kamailio`, with other ports.

use std::fs;
use std::io;

use crate::asterisk::Home;
use crate::driver::Driver;
use crate::ports::Ports;

/// The text of `sip.conf` or `pjsip.conf`. `kamailio` is the UDP port at which Kamailio expects the node's calls.
pub fn accounts(driver: Driver, ports: &Ports, kamailio: u16) -> String {
    let sample = match driver {
        Driver::ChanSip => include_str!("../../../../contrib/kamailio/sip.conf"),
        Driver::ChanPjsip => include_str!("../../../../contrib/kamailio/pjsip.conf"),
    };
    let changed = [("5060", kamailio), ("5160", ports.sip)];
    changed.iter().fold(sample.to_owned(), |text, (old, new)| text.replace(old, &new.to_string()))
}

/// Makes a node of a host with the configuration of `contrib/samples`: it calls browsers through Kamailio.
pub fn put_behind(kamailio: u16, driver: Driver, home: &Home, ports: &Ports) -> io::Result<()> {
    home.configure(driver.configuration(), &accounts(driver, ports, kamailio))?;
    let dialplan = fs::read_to_string(home.etc().join("extensions.conf"))?;
    home.configure("extensions.conf", &dialplan.replace("/${EXTEN},", "/${EXTEN}@kamailio,"))
}
