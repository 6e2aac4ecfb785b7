//! The header of an "exported PDU", Wireshark's format for a packet of any protocol without those below it
//! (`LINKTYPE_WIRESHARK_UPPER_PDU`, 252): tags of two octets, their length in two octets, and the value, in network order.

use std::net::IpAddr;

use crate::packet::{Content, Packet};

/// Writes the packet with its header into `frame`, in place of what is there.
pub fn write(packet: &Packet<'_>, frame: &mut Vec<u8>) {
    frame.clear();
    put(frame, Tag::Dissector, dissector(packet.content));
    put_address(frame, [Tag::FromIpv4, Tag::FromIpv6], packet.from.ip());
    put_address(frame, [Tag::ToIpv4, Tag::ToIpv6], packet.to.ip());
    put(frame, Tag::PortType, &port_type(packet.content).to_be_bytes());
    put(frame, Tag::FromPort, &port(packet.content, packet.from.port()).to_be_bytes());
    put(frame, Tag::ToPort, &port(packet.content, packet.to.port()).to_be_bytes());
    put(frame, Tag::End, &[]);
    frame.extend_from_slice(packet.octets);
}

/// The tags that we write.
#[derive(Debug, Clone, Copy)]
#[repr(u16)]
enum Tag {
    End = 0,
    Dissector = 12,
    FromIpv4 = 20,
    ToIpv4 = 21,
    FromIpv6 = 22,
    ToIpv6 = 23,
    PortType = 24,
    FromPort = 25,
    ToPort = 26,
}

/// Writes a tag. Values fill up to four octets, and the length counts what fills them.
fn put(frame: &mut Vec<u8>, tag: Tag, value: &[u8]) {
    let len = value.len().next_multiple_of(4);
    frame.extend_from_slice(&(tag as u16).to_be_bytes());
    frame.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
    frame.extend_from_slice(value);
    frame.resize(frame.len() + len - value.len(), 0);
}

fn put_address(frame: &mut Vec<u8>, [v4, v6]: [Tag; 2], ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => put(frame, v4, &ip.octets()),
        IpAddr::V6(ip) => put(frame, v6, &ip.octets()),
    }
}

/// Returns Wireshark's name of the protocol.
fn dissector(content: Content) -> &'static [u8] {
    match content {
        Content::Sip => b"sip",
        Content::Rtp => b"rtp",
        Content::Rtcp => b"rtcp",
        Content::Dtls => b"dtls",
        Content::Stun => b"stun-udp",
    }
}

/// Returns Wireshark's number for the protocol that the ports belong to: a WebSocket is on TCP, the rest on UDP.
fn port_type(content: Content) -> u32 {
    if content == Content::Sip { 2 } else { 3 }
}

/// Returns a port as it is written. Once Wireshark has seen a ServerHello with `use_srtp` (RFC 5764 §4.1.1), it takes what follows on
/// the same ports for encrypted. So those of DTLS are moved out of the range of ports, by a number that is easily taken away again.
fn port(content: Content, port: u16) -> u32 {
    let aside = if content == Content::Dtls { ASIDE } else { 0 };
    aside + u32::from(port)
}

/// The number that is added to ports of DTLS.
const ASIDE: u32 = 100_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::packet::Direction;

    #[test]
    fn a_packet_says_what_it_is_and_where_it_went() {
        let (from, to) = ("192.0.2.1:5004".parse().unwrap(), "192.0.2.2:4000".parse().unwrap());
        let (content, direction) = (Content::Rtp, Direction::In);
        let packet = Packet { at: Duration::ZERO, content, direction, from, to, octets: &[0x80, 0] };
        let mut frame = vec![9; 100];
        write(&packet, &mut frame);
        let expected = [
            &[0, 12, 0, 4][..],
            b"rtp\0",
            &[0, 20, 0, 4, 192, 0, 2, 1, 0, 21, 0, 4, 192, 0, 2, 2],
            &[0, 24, 0, 4, 0, 0, 0, 3, 0, 25, 0, 4, 0, 0, 0x13, 0x8c, 0, 26, 0, 4, 0, 0, 0x0f, 0xa0],
            &[0, 0, 0, 0, 0x80, 0],
        ];
        assert_eq!(frame, expected.concat());
    }

    #[test]
    fn dtls_has_ports_of_its_own() {
        assert_eq!((port(Content::Dtls, 5004), port(Content::Rtp, 5004)), (105_004, 5004));
    }
}
