//! Sources that are heard, and the way of media: strict RTP, symmetric RTP, strangers.

use e2e::differential::stream::{Action, Setting, Stream, Talk, Who};

use super::PCMU;

pub fn streams() -> Vec<Stream> {
    let strict = |name| Stream::new(name, "trace", PCMU).on(Setting::Strict);
    let plain = |name| Stream::new(name, "trace", PCMU);
    let talk = || Talk::new(0);
    vec![
        strict("strict-steady").with(talk().send(40)),
        strict("strict-with-a-stranger").with(talk().send(60)).with(stranger(30, 20)),
        strict("strict-with-an-early-stranger").with(talk().send(60)).with(stranger(3, 30)),
        strict("strict-with-a-stranger-first").with(stranger(0, 20)).with(after(talk(), 10).send(50)),
        strict("strict-moves-early").with(talk().send(20)).with(moved(20, 60)),
        strict("strict-moves-late").with(talk().send(130)).with(moved(130, 60)),
        strict("strict-few-packets-of-a-stranger").with(talk().send(60)).with(stranger(40, 3)),
        strict("strict-comedia").from("comedia").with(stranger(5, 50)),
        strict("strict-new-description")
            .with(talk().send(40))
            .at(1000, Action::Move(Who::Caller))
            .with(after(talk(), 60).send(40)),
        strict("strict-bridged").with(talk().send(60)).with(stranger(30, 20)),
        plain("open-with-a-stranger").with(talk().send(40)).with(stranger(20, 10)),
        plain("comedia").from("comedia").with(stranger(0, 40)),
        plain("comedia-moves").from("comedia").with(talk().send(30)).with(moved(30, 30)),
        plain("comedia-new-description")
            .from("comedia")
            .with(talk().send(40))
            .at(1000, Action::Move(Who::Caller))
            .with(after(talk(), 60).send(40)),
        plain("new-description")
            .with(talk().send(40))
            .at(1000, Action::Move(Who::Caller))
            .with(after(talk(), 60).send(40)),
    ]
}

/// The talk, later by a number of packets.
fn after(talk: Talk, packets: u16) -> Talk {
    talk.skip(packets)
}

/// Somebody else talks from the `from`th packet on.
fn stranger(from: u16, packets: usize) -> Talk {
    after(Talk::new(0).by(Who::Stranger), from).change(|talk| talk.next.payload.clear()).send(packets)
}

/// The phone goes on from another port, with the source that it has.
fn moved(from: u16, packets: usize) -> Talk {
    stranger(from, 0).change(|talk| talk.next.ssrc = Talk::new(0).next.ssrc).send(packets)
}
