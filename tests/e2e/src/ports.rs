//! Ports for one Asterisk that no other test on this machine uses at the same time.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

/// The ports of one test, free again on drop.
#[derive(Debug)]
pub struct Ports {
    /// Asterisk's SIP over UDP.
    pub sip: u16,
    /// WebSocket.
    pub ws: u16,
    /// WebSocket over TLS.
    pub wss: u16,
    /// The SIP port of the plain phone.
    pub plain: u16,
    /// The manager interface.
    pub manager: u16,
    /// A proxy in front of [`Ports::ws`].
    pub proxy: u16,
    /// The ports of calls.
    pub rtp: RangeInclusive<u16>,
    /// Listeners at the first port of each block, which nobody connects to. They reserve the blocks; the kernel releases them
    /// however the process ends.
    _claims: Vec<TcpListener>,
}

impl Ports {
    /// Finds the first block whose ports are all free.
    pub fn claim() -> io::Result<Self> {
        Self::claim_blocks(1)
    }

    /// Finds the first row of blocks that are all free, for more calls than one has ports for.
    pub fn claim_blocks(count: u16) -> io::Result<Self> {
        let blocks = (FIRST..LAST - BLOCK * (count - 1)).step_by(usize::from(BLOCK));
        let mut ports = blocks.filter_map(|first| Self::claim_row(first, count).ok());
        ports.next().ok_or_else(|| io::Error::other(format!("no free ports between {FIRST} and {LAST}")))
    }

    fn claim_row(first: u16, count: u16) -> io::Result<Self> {
        let heads = (0..count).map(|number| TcpListener::bind((Ipv4Addr::LOCALHOST, first + number * BLOCK)));
        let claims = heads.collect::<io::Result<Vec<_>>>()?;
        // A phone may have SIP over TLS at the port after its own.
        let [sip, ws, wss, plain, proxy, manager] = [0, 1, 2, 3, 5, 6].map(|offset| first + offset);
        let rtp = first + 8..=first + BLOCK * count - 1;
        for port in [ws, wss, plain + 1, manager, proxy] {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        }
        for port in [sip, plain] {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
        }
        Ok(Self { sip, ws, wss, plain, manager, proxy, rtp, _claims: claims })
    }
}

/// The number of ports in a block. A call takes two, and those of an earlier call stay in use for half a minute.
const BLOCK: u16 = 200;

/// The first port: below the kernel's ephemeral ports, and above those of services.
const FIRST: u16 = 12_000;
const LAST: u16 = 32_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tests_at_a_time_have_no_port_in_common() {
        let (one, other) = (Ports::claim().unwrap(), Ports::claim().unwrap());
        let all = |ports: &Ports| ports.sip..=*ports.rtp.end();
        assert!(all(&one).all(|port| !all(&other).contains(&port)), "{one:?} {other:?}");
    }
}
