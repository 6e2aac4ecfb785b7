//! Bodies of fuzz targets.

use std::time::Duration;

use pcap_file::pcapng::{Block, PcapNgReader};

use crate::{Batch, Capture, Content, Direction, Packet, Queue, Written, in_clear};

/// Captures arbitrary datagrams and messages, and reads the file back: each packet is in it with its octets.
pub fn datagrams(data: &[u8]) {
    let packets: Vec<Packet<'_>> = data.split(|octet| *octet == b'|').filter_map(packet).collect();
    let (mut queue, mut batch) = (Queue::new(usize::MAX), Batch::default());
    assert!(packets.iter().all(|packet| queue.push(packet)));
    queue.take(&mut batch);
    let file = write(&batch);
    let mut reader = PcapNgReader::new(&file[..]).expect("our own file begins well");
    let mut expected = packets.iter();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(block) = block.expect("our own blocks are whole") {
            let packet = expected.next().expect("as many packets as were written");
            let clear = in_clear(packet.octets).filter(|_| packet.content == Content::Sip);
            assert!(block.data.ends_with(clear.as_ref().map_or(packet.octets, |clear| &clear.message)));
        }
    }
    assert!(expected.next().is_none());
}

fn write(batch: &Batch) -> Vec<u8> {
    let mut capture = Capture::begin(Vec::new(), u64::MAX, "fuzzing").expect("memory takes all");
    for packet in batch.packets() {
        assert_eq!(capture.write(&packet).expect("memory takes all"), Written::Yes);
    }
    capture.finish(Duration::ZERO, 0).expect("memory takes all")
}

/// Makes a packet whose first octet chooses protocol, direction and family.
fn packet(data: &[u8]) -> Option<Packet<'_>> {
    let (choice, octets) = data.split_first()?;
    let content = *Content::ALL.get(usize::from(choice & 7))?;
    let direction = if choice & 8 == 0 { Direction::In } else { Direction::Out };
    let (v4, v6) = ("192.0.2.1:5004".parse().ok()?, "[2001:db8::1]:4000".parse().ok()?);
    let (from, to) = if choice & 16 == 0 { (v4, v6) } else { (v6, v4) };
    Some(Packet { at: Duration::from_secs(u64::from(*choice)), content, direction, from, to, octets })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_datagrams_are_read_back(data: Vec<u8>) {
            super::datagrams(&data);
        }
    }

    #[test]
    fn a_description_is_read_back() {
        super::datagrams(b"\0A\r\nl: 1\r\n\r\nm=audio 9 RTP/SAVP 0\r\n|\x19\x80\0|\x0f");
    }
}
