//! Audio: loss, order, jumps, codecs, framing.

use e2e::differential::stream::{Setting, Stream, Talk};

use super::PCMU;

pub fn streams() -> Vec<Stream> {
    [order(), unread(), codecs()].concat()
}

fn echo(name: &'static str, talk: Talk) -> Stream {
    Stream::new(name, "trace", PCMU).with(talk)
}

/// Packets that a network loses, repeats and reorders.
fn order() -> Vec<Stream> {
    let talk = || Talk::new(0);
    vec![
        echo("steady", talk().send(50)).reduced(),
        echo("loss", talk().send(10).skip(1).send(10).skip(3).send(10).skip(20).send(10)).reduced(),
        echo("duplicates", talk().send(10).shuffled(&[0, 0, 1, 2, 2, 2, 3]).send(10)).reduced(),
        echo("reordering", talk().send(10).shuffled(&[1, 0, 2, 5, 4, 3, 6, 9, 8, 7]).send(10)).reduced(),
        echo("late-by-many", talk().send(10).shuffled(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0]).send(10)),
        echo("sequence-wraps", talk().change(|talk| talk.next.sequence = 65_520).send(40)).reduced(),
        echo("timestamp-wraps", talk().change(|talk| talk.next.timestamp = u32::MAX - 1600).send(40)).reduced(),
        echo("new-ssrc", talk().send(15).change(|talk| talk.next.ssrc = 7).send(15)).reduced(),
        echo("new-ssrc-and-numbers", talk().send(15).change(new_source).send(15)),
        echo("sequence-jumps-ahead", talk().send(15).change(|talk| talk.next.sequence += 5000).send(15)),
        echo("sequence-jumps-back", talk().send(15).change(|talk| talk.next.sequence -= 500).send(15)),
        echo("timestamp-jumps-ahead", talk().send(15).change(|talk| talk.next.timestamp += 800_000).send(15)),
        echo("timestamp-jumps-back", talk().send(15).change(|talk| talk.next.timestamp -= 80_000).send(15)),
        echo("sequence-stands-still", still()),
        echo("timestamp-stands-still", talk().change(|talk| talk.step = 0).send(30)),
        echo("markers", talk().send(5).pause(10).send(5).pause(25).send(5)),
        echo(
            "no-markers",
            talk()
                .change(|talk| talk.next.marker = false)
                .send(5)
                .pause(10)
                .change(|talk| talk.next.marker = false)
                .send(5),
        ),
    ]
}

/// Packets that come while the dialplan waits for something else than the channel.
fn unread() -> Vec<Stream> {
    let late = |name, number, talk: Talk| Stream::new(name, number, PCMU).with(talk).resting(800);
    let talk = || Talk::new(0).pause(25);
    vec![
        late("unread", "late", talk().send(90)),
        late("unread-for-long", "latest", talk().send(190)),
        late("unread-strictly", "late", talk().send(90)).on(Setting::Strict),
        late("unread-with-a-digit", "late", talk().send(20).press(101, 5, 5, 3).send(60)),
    ]
}

fn new_source(talk: &mut Talk) {
    (talk.next.ssrc, talk.next.sequence, talk.next.timestamp, talk.next.marker) = (7, 40_000, 9_000_000, true);
}

fn still() -> Talk {
    (0..30).fold(Talk::new(0), |talk, _| talk.send(1).change(|talk| talk.next.sequence = 1000))
}

/// Codecs and the times of their packets.
fn codecs() -> Vec<Stream> {
    let one = |name, number, rtpmap, talk: Talk| {
        let formats: &[(u8, &'static str)] = &[(number, rtpmap), (101, "telephone-event/8000")];
        Stream::new(name, "trace", formats).with(talk.change(|talk| talk.next.payload_type = number).send(20))
    };
    let talk = || Talk::new(0);
    vec![
        one("pcma", 8, "PCMA/8000", talk()).reduced(),
        one("pcmu-30", 0, "PCMU/8000", talk().framed(240, 30, 240)),
        one("pcmu-40", 0, "PCMU/8000", talk().framed(320, 40, 320)),
        one("pcmu-60", 0, "PCMU/8000", talk().framed(480, 60, 480)),
        one("pcmu-10", 0, "PCMU/8000", talk().framed(80, 10, 80)),
        one("g722", 9, "G722/8000", talk()).reduced(),
        one("gsm", 3, "GSM/8000", talk().frames(&[0xD5; 33], 20, 160)).reduced(),
        one("gsm-40", 3, "GSM/8000", talk().frames(&[0xD5; 66], 40, 320)),
        one("g729", 18, "G729/8000", talk().frames(&[0x11; 20], 20, 160)),
        one("g729-cn", 18, "G729/8000", talk().frames(&[0x11; 12], 20, 160)),
        one("g723", 4, "G723/8000", talk().frames(&[0; 24], 30, 240)),
        one("g723-low", 4, "G723/8000", talk().frames(&[1; 20], 30, 240)),
        one("g726", 97, "G726-32/8000", talk().framed(80, 20, 160)),
        one("aal2-g726", 98, "AAL2-G726-32/8000", talk().framed(80, 20, 160)),
        one("ilbc-30", 99, "iLBC/8000", talk().framed(50, 30, 240)),
        one("speex", 110, "speex/8000", talk().frames(&SPEEX, 20, 160)),
        one("speex-wide", 117, "speex/16000", talk().frames(&SPEEX, 20, 320)),
        one("l16", 118, "L16/8000", talk().framed(320, 20, 160)),
        one("l16-wide", 119, "L16/16000", talk().framed(640, 20, 320)),
        one("adpcm", 5, "DVI4/8000", talk().framed(80, 20, 160)),
    ]
}

/// A frame of narrow band at 8 kbit/s: four bits of mode 3 behind a bit for the band.
const SPEEX: [u8; 20] = [0x1D; 20];
