//! The range of RTP ports: whether a pair of it can be bound.

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use ::story::event::Unbound;
use ::story::verdict::NoSocket;

use super::addresses::Bound;
use super::step::Step;
use crate::diagnosis::drivers;
use crate::transport::ports;

/// The pairs of ports of a range.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    free: u32,
    forbidden: u32,
    tried: u32,
    all: u32,
}

/// Tries the pairs from `rtpstart` to `rtpend`.
pub fn step(bound: &Bound, range: (u16, u16)) -> Step {
    let counted = count(bound.ip, range, Instant::now() + PATIENCE);
    Step::of("RTP ports", judge(bound, range, ports::usage().0, counted))
}

fn count(ip: IpAddr, range: (u16, u16), end: Instant) -> io::Result<Counted> {
    let first = range.0.next_multiple_of(2);
    let pairs = (first..=range.1).step_by(2).filter(|port| *port < range.1);
    let mut counted =
        Counted { free: 0, forbidden: 0, tried: 0, all: u32::try_from(pairs.clone().count()).unwrap_or(u32::MAX) };
    for port in pairs {
        if Instant::now() >= end {
            break;
        }
        counted.tried += 1;
        // Bound for a moment. A call that looks for a pair in this moment takes the next one.
        let both = UdpSocket::bind((ip, port)).and_then(|rtp| Ok((rtp, UdpSocket::bind((ip, port + 1))?)));
        match both.map_err(|error| (ports::why(&error), error)) {
            Ok(_) => counted.free += 1,
            Err((Unbound::PortsInUse, _)) => {}
            Err((Unbound::Forbidden, _)) => counted.forbidden += 1,
            Err((_, error)) => return Err(error),
        }
    }
    Ok(counted)
}

fn judge(
    bound: &Bound,
    (first, last): (u16, u16),
    used: usize,
    counted: io::Result<Counted>,
) -> Result<String, String> {
    let range = format!("rtpstart = {first} to rtpend = {last}");
    match counted {
        Err(error) if ports::why(&error) != Unbound::NoAddress => {
            Err(NoSocket { why: ports::why(&error), ip: bound.ip, ports: (first, last) }
                .advice(drivers::of_browsers())
                .1)
        }
        Err(error) => {
            let key = bound.key.map(|key| format!("; correct {key} in {}", bound.place)).unwrap_or_default();
            Err(format!("no socket can be bound to {}: {error}{key}", bound.ip))
        }
        Ok(Counted { all: 0, .. }) => {
            Err(format!("there is no pair of ports from {range} in rtp.conf; widen the range"))
        }
        Ok(Counted { forbidden, tried, .. }) if tried > 0 && forbidden == tried => {
            Err(NoSocket { why: Unbound::Forbidden, ip: bound.ip, ports: (first, last) }
                .advice(drivers::of_browsers())
                .1)
        }
        Ok(Counted { free: 0, tried, .. }) => Err(format!(
            "all {tried} pairs from {range} are in use, {used} of them by calls; widen the range in rtp.conf"
        )),
        Ok(Counted { free, tried, all, .. }) if tried < all => {
            Ok(format!("{free} of the first {tried} pairs from {range} are free"))
        }
        Ok(Counted { free, all, .. }) => Ok(format!("{free} of {all} pairs from {range} are free")),
    }
}

/// Time for trying pairs.
const PATIENCE: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> Bound {
        Bound { ip: [0, 0, 0, 0].into(), key: Some("bindaddr"), place: "sip.conf".to_owned() }
    }

    fn judged(counted: io::Result<Counted>) -> Result<String, String> {
        judge(&any(), (10_000, 10_003), 1, counted)
    }

    #[test]
    fn a_range_that_is_used_up_is_to_be_widened() {
        let counted = |free, tried, all| judged(Ok(Counted { free, forbidden: 0, tried, all }));
        assert_eq!(
            counted(0, 2, 2).unwrap_err(),
            "all 2 pairs from rtpstart = 10000 to rtpend = 10003 are in use, 1 of them by calls; widen the range in rtp.conf"
        );
        assert_eq!(counted(1, 2, 2).unwrap(), "1 of 2 pairs from rtpstart = 10000 to rtpend = 10003 are free");
        assert!(counted(1, 2, 9).unwrap().starts_with("1 of the first 2 pairs "));
        assert!(counted(0, 0, 0).unwrap_err().contains("no pair of ports"));
    }

    #[test]
    fn a_range_is_to_be_widened_only_if_it_is_in_use() {
        let error = |number| judged(Err(io::Error::from_raw_os_error(number))).unwrap_err();
        assert!(error(libc::EMFILE).starts_with("no file descriptors are left; raise maxfiles in asterisk.conf"));
        assert!(error(libc::ENFILE).contains("fs.file-max"));
        let forbidden = |forbidden| judged(Ok(Counted { free: 0, forbidden, tried: 2, all: 2 })).unwrap_err();
        assert!(forbidden(2).contains("permits none of the ports from rtpstart = 10000 to rtpend = 10003"));
        assert!(forbidden(1).contains("are in use"));
    }

    #[test]
    fn an_address_that_this_machine_has_not_is_named_with_its_key() {
        for (key, place) in [("udpbindaddr", "sip.conf"), ("bind", "[udp] of pjsip.conf")] {
            let foreign = Bound { ip: [192, 0, 2, 1].into(), key: Some(key), place: place.to_owned() };
            let counted = count(foreign.ip, (10_000, 10_003), Instant::now() + PATIENCE);
            let sentence = judge(&foreign, (10_000, 10_003), 0, counted).unwrap_err();
            assert!(sentence.starts_with("no socket can be bound to 192.0.2.1: "), "{sentence}");
            assert!(sentence.ends_with(&format!("; correct {key} in {place}")), "{sentence}");
        }
    }

    #[test]
    fn pairs_in_use_are_counted() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let occupied = UdpSocket::bind((ip, 0)).unwrap();
        let port = occupied.local_addr().unwrap().port();
        let first = port & !1;
        let counted = count(ip, (first, first | 1), Instant::now() + PATIENCE).unwrap();
        assert_eq!(counted, Counted { free: 0, forbidden: 0, tried: 1, all: 1 });
        drop(occupied);
    }
}
