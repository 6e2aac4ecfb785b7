//! The range of RTP ports: whether a pair of it can be bound.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::addresses::Bound;
use super::step::Step;
use crate::transport::ports;

/// The pairs of ports of a range.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    free: u32,
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
    let mut counted = Counted { free: 0, tried: 0, all: u32::try_from(pairs.clone().count()).unwrap_or(u32::MAX) };
    for port in pairs {
        if Instant::now() >= end {
            break;
        }
        counted.tried += 1;
        counted.free += u32::from(is_free(ip, port)?);
    }
    Ok(counted)
}

/// Binds a pair for a moment. A call that looks for a pair in this moment takes the next one.
fn is_free(ip: IpAddr, port: u16) -> io::Result<bool> {
    let both = UdpSocket::bind((ip, port)).and_then(|rtp| UdpSocket::bind((ip, port + 1)).map(|rtcp| (rtp, rtcp)));
    match both {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(false),
        Err(error) => Err(error),
    }
}

fn judge(
    bound: &Bound,
    (first, last): (u16, u16),
    used: usize,
    counted: io::Result<Counted>,
) -> Result<String, String> {
    let range = format!("rtpstart = {first} to rtpend = {last}");
    match counted {
        Err(error) => {
            let key = bound.key.map(|key| format!("; correct {key} in sip.conf")).unwrap_or_default();
            Err(format!("no socket can be bound to {}: {error}{key}", bound.ip))
        }
        Ok(Counted { all: 0, .. }) => {
            Err(format!("there is no pair of ports from {range} in rtp.conf; widen the range"))
        }
        Ok(Counted { free: 0, tried, .. }) => Err(format!(
            "all {tried} pairs from {range} are in use, {used} of them by calls; widen the range in rtp.conf"
        )),
        Ok(Counted { free, tried, all }) if tried < all => {
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
        Bound { ip: [0, 0, 0, 0].into(), key: Some("bindaddr") }
    }

    #[test]
    fn a_range_that_is_used_up_is_to_be_widened() {
        let counted = |free, tried, all| judge(&any(), (10_000, 10_003), 1, Ok(Counted { free, tried, all }));
        assert_eq!(
            counted(0, 2, 2).unwrap_err(),
            "all 2 pairs from rtpstart = 10000 to rtpend = 10003 are in use, 1 of them by calls; widen the range in rtp.conf"
        );
        assert_eq!(counted(1, 2, 2).unwrap(), "1 of 2 pairs from rtpstart = 10000 to rtpend = 10003 are free");
        assert!(counted(1, 2, 9).unwrap().starts_with("1 of the first 2 pairs "));
        assert!(counted(0, 0, 0).unwrap_err().contains("no pair of ports"));
    }

    #[test]
    fn an_address_that_this_machine_has_not_is_named_with_its_key() {
        let foreign = Bound { ip: [192, 0, 2, 1].into(), key: Some("udpbindaddr") };
        let counted = count(foreign.ip, (10_000, 10_003), Instant::now() + PATIENCE);
        let sentence = judge(&foreign, (10_000, 10_003), 0, counted).unwrap_err();
        assert!(sentence.starts_with("no socket can be bound to 192.0.2.1: "), "{sentence}");
        assert!(sentence.ends_with("; correct udpbindaddr in sip.conf"), "{sentence}");
    }

    #[test]
    fn pairs_in_use_are_counted() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let occupied = UdpSocket::bind((ip, 0)).unwrap();
        let port = occupied.local_addr().unwrap().port();
        let first = port & !1;
        let counted = count(ip, (first, first | 1), Instant::now() + PATIENCE).unwrap();
        assert_eq!(counted, Counted { free: 0, tried: 1, all: 1 });
        drop(occupied);
    }
}
