//! RTCP: reports of the peer, and what the host makes of broken ones.

use e2e::differential::stream::{Stream, Talk, Who};

use super::PCMU;

pub fn streams() -> Vec<Stream> {
    let reported = |name, report: &[u8]| {
        let talk = Talk::new(0).send(40).report(report).send(20);
        Stream::new(name, "echo", PCMU).with(talk).with_reports()
    };
    vec![
        Stream::new("reports-of-the-host", "echo", PCMU).with(Talk::new(0).send(60)).with_reports().reduced(),
        Stream::new("reports-without-media", "hear", PCMU).with(Talk::new(0).send(60)).with_reports(),
        reported("sender-report", &compound(&[sender(&[])])).reduced(),
        reported("sender-report-with-block", &compound(&[sender(&[block(25, 5)])])),
        reported("receiver-report", &compound(&[receiver(&[block(64, 12)])])),
        reported("receiver-report-of-nobody", &compound(&[receiver(&[])])),
        reported("two-blocks", &compound(&[receiver(&[block(1, 1), block(2, 2)])])),
        reported("bye", &compound(&[receiver(&[]), vec![0x81, 203, 0, 1, 0x11, 0x11, 0x11, 0x11]])),
        reported("bye-with-reason", &compound(&[receiver(&[]), bye_with_reason()])),
        reported("source-description", &compound(&[sender(&[]), description()])),
        reported("application", &compound(&[receiver(&[]), vec![0x80, 204, 0, 2, 0, 0, 0, 1, b'n', b'a', b'm', b'e']])),
        reported("extended-report", &compound(&[receiver(&[]), vec![0x80, 207, 0, 1, 0, 0, 0, 1]])),
        reported("report-alone", &[0x80, 201, 0, 1, 0, 0, 0, 1]),
        reported("report-of-three-octets", &[0x80, 201, 0]),
        reported("report-longer-than-it-is", &[0x80, 200, 0, 60, 0, 0, 0, 1]),
        reported("report-of-too-many-blocks", &[0x9F, 201, 0, 1, 0, 0, 0, 1]),
        reported("report-of-version-1", &[0x40, 201, 0, 1, 0, 0, 0, 1]),
        Stream::new("report-of-a-stranger", "echo", PCMU).with(Talk::new(0).send(60)).with(
            Talk::new(0).by(Who::Stranger).change(|talk| talk.at *= 6).report(&compound(&[receiver(&[block(64, 12)])])),
        ),
    ]
}

fn compound(packets: &[Vec<u8>]) -> Vec<u8> {
    packets.concat()
}

/// A sender report of the phone (RFC 3550 §6.4.1).
fn sender(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![0x11; 4];
    body.extend([0xE0, 0, 0, 0, 0, 0, 0, 0]);
    body.extend([0, 2, 0x71, 0, 0, 0, 0, 40, 0, 0, 0x19, 0]);
    headed(200, blocks, &body)
}

fn receiver(blocks: &[Vec<u8>]) -> Vec<u8> {
    headed(201, blocks, &[0x11; 4])
}

fn headed(kind: u8, blocks: &[Vec<u8>], body: &[u8]) -> Vec<u8> {
    let content = [body, &blocks.concat()].concat();
    let [high, low] = ((content.len() / 4) as u16).to_be_bytes();
    [&[0x80 | blocks.len() as u8, kind, high, low][..], &content].concat()
}

/// A block about a source of any number: fraction and number of lost packets.
fn block(fraction: u8, lost: u8) -> Vec<u8> {
    let mut block = vec![0x33; 4];
    block.extend([fraction, 0, 0, lost]);
    block.extend([0, 0, 4, 0, 0, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0]);
    block
}

fn bye_with_reason() -> Vec<u8> {
    [&[0x81, 203, 0, 3, 0x11, 0x11, 0x11, 0x11][..], b"\x04gone\0\0\0"].concat()
}

fn description() -> Vec<u8> {
    [&[0x81, 202, 0, 4, 0x11, 0x11, 0x11, 0x11][..], b"\x01\x08a@b.test\0\0"].concat()
}
