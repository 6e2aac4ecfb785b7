//! Video: frames of several packets at 90 kHz, and requests for a key frame.

use e2e::differential::stream::{Section, Setting, Stream, Talk, Who};

use super::PCMU;

pub fn streams() -> Vec<Stream> {
    all().into_iter().map(|stream| stream.on(Setting::Rich)).collect()
}

fn all() -> Vec<Stream> {
    let pictures = |name, number: &'static str, payload_type, format| {
        Stream::new(name, number, PCMU)
            .and(Section::video(&[(payload_type, format)]))
            .with(Talk::new(0).send(30))
            .with(camera(payload_type, 10))
    };
    let h264 = |name, number| pictures(name, number, 99, "H264/90000");
    vec![
        h264("video-h264", "trace"),
        h264("video-h264-bridged", "bridge"),
        h264("video-h264-through-the-core", "core"),
        pictures("video-h263", "trace", 34, "H263/90000"),
        pictures("video-h263-1998", "trace", 98, "H263-1998/90000"),
        pictures("video-h261", "trace", 31, "H261/90000"),
        pictures("video-mpeg4", "trace", 104, "MP4V-ES/90000"),
        Stream::new("video-loss", "trace", PCMU)
            .and(Section::video(&[(99, "H264/90000")]))
            .with(Talk::new(0).send(30))
            .with(pictures_of(camera(99, 3).skip(2), 5)),
        h264("video-new-source", "trace").with(later(camera(99, 0).change(|talk| talk.next.ssrc = 9), 99)),
        h264("video-pli", "trace").with(asked(&[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2])),
        h264("video-fir", "trace").with(asked(&[0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0])),
        h264("video-fir-of-rfc-2032", "trace").with(asked(&[0x80, 192, 0, 1, 0, 0, 0, 1])),
        h264("video-pli-bridged", "bridge").with(asked(&[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2])),
        h264("video-pli-of-the-callee", "core").with(asked(&[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]).by(Who::Callee)),
    ]
}

/// Pictures of three packets each, 30 in a second.
fn camera(payload_type: u8, pictures: usize) -> Talk {
    let talk = Talk::new(payload_type).framed(300, 11, 0).change(|talk| {
        talk.section = 1;
        talk.next.marker = false;
    });
    pictures_of(talk, pictures)
}

fn pictures_of(mut talk: Talk, pictures: usize) -> Talk {
    for _ in 0..pictures {
        talk = talk.send(2).change(|talk| talk.next.marker = true).send(1).change(|talk| talk.next.timestamp += 3000);
    }
    talk
}

fn later(talk: Talk, payload_type: u8) -> Talk {
    let next = camera(payload_type, 4);
    talk.change(|talk| talk.at = next.at * 6).send(3)
}

/// A request of feedback after half a second.
fn asked(request: &[u8]) -> Talk {
    // A compound begins with a report (RFC 3550 §6.1).
    let compound = [&[0x80, 201, 0, 1, 0, 0, 0, 1][..], request].concat();
    Talk::new(0).change(|talk| (talk.section, talk.at) = (1, talk.at * 5)).report(&compound)
}
