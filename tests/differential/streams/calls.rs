//! Events of calls: two parties, hold, transfer, other addresses, silence, IPv6, no free ports.

use e2e::differential::stream::{Action, Setting, Stream, Talk, Who};

use super::PCMU;

pub fn streams() -> Vec<Stream> {
    [bridged(), held(), quiet(), elsewhere(), recorded()].concat()
}

fn both(name: &'static str, number: &'static str, formats: &[(u8, &'static str)]) -> Stream {
    let payload_type = formats[0].0;
    Stream::new(name, number, formats)
        .with(Talk::new(payload_type).send(50))
        .with(Talk::new(payload_type).by(Who::Callee).send(50))
}

fn bridged() -> Vec<Stream> {
    const PCMA: &[(u8, &str)] = &[(8, "PCMA/8000"), (101, "telephone-event/8000")];
    let one_way = |name, number, talk: Talk| Stream::new(name, number, PCMU).with(talk);
    let loss = || Talk::new(0).send(10).skip(2).send(10).shuffled(&[1, 0, 2]).send(10);
    let source = || Talk::new(0).send(15).change(|talk| (talk.next.ssrc, talk.next.sequence) = (7, 9)).send(15);
    vec![
        both("bridged", "bridge", PCMU).reduced(),
        both("through-the-core", "core", PCMU).reduced(),
        both("taped", "taped", PCMU),
        both("bridged-g722", "bridge", &[(9, "G722/8000"), (101, "telephone-event/8000")]),
        both("bridged-g729", "bridge", &[(18, "G729/8000")]),
        Stream::new("transcoded", "bridge", PCMU)
            .answered(PCMA)
            .with(Talk::new(0).send(50))
            .with(Talk::new(8).by(Who::Callee).send(50)),
        one_way("bridged-loss", "bridge", loss()),
        one_way("through-the-core-loss", "core", loss()),
        one_way("bridged-new-source", "bridge", source()),
        one_way("through-the-core-new-source", "core", source()),
        one_way("bridged-markers", "bridge", Talk::new(0).send(5).pause(10).send(5).pause(25).send(5)),
        one_way("bridged-extension", "bridge", Talk::new(0).change(extend).send(20)),
        one_way("bridged-pcmu-40", "bridge", Talk::new(0).framed(320, 40, 320).send(15)),
        one_way("bridged-pcmu-60", "bridge", Talk::new(0).framed(480, 60, 480).send(10)),
        one_way(
            "bridged-unknown-type",
            "bridge",
            Talk::new(0).send(5).change(|talk| talk.next.payload_type = 77).send(5),
        ),
        both("bridged-mapped", "bridge", &[(97, "iLBC/8000")]).answered(&[(105, "iLBC/8000")]),
        both("direct", "bridge", PCMU).from("direct"),
    ]
}

fn extend(talk: &mut Talk) {
    talk.next.extension = Some((0xBEDE, vec![0x10, 7, 0, 0]));
}

fn held() -> Vec<Stream> {
    let hold = |name, number, who, attribute| {
        both(name, number, PCMU)
            .at(400, Action::Describe(who, attribute))
            .at(800, Action::Describe(who, "sendrecv"))
            .with(Talk::new(0).skip(60).send(20))
            .with_music()
    };
    vec![
        hold("held-by-the-caller", "bridge", Who::Caller, "sendonly"),
        hold("held-by-the-callee", "bridge", Who::Callee, "sendonly"),
        hold("held-inactive", "bridge", Who::Caller, "inactive"),
        hold("held-through-the-core", "core", Who::Caller, "sendonly"),
        both("transferred", "core", PCMU).at(500, Action::Transfer("whistle")).resting(1000),
        both("callee-hangs-up", "bridge", PCMU).at(1300, Action::Hangup(Who::Callee)).resting(500),
        both("callee-moves", "bridge", PCMU)
            .at(1200, Action::Move(Who::Callee))
            .with(Talk::new(0).skip(70).send(20))
            .with(Talk::new(0).by(Who::Callee).skip(70).send(20)),
    ]
}

fn quiet() -> Vec<Stream> {
    let plain = |name, number| Stream::new(name, number, PCMU);
    vec![
        plain("silent-too-long", "hear").from("timeouts").with(Talk::new(0).send(10)).resting(4500),
        plain("held-too-long", "hear")
            .from("timeouts")
            .with(Talk::new(0).send(10))
            .at(400, Action::Describe(Who::Caller, "sendonly"))
            .resting(5500),
        plain("kept-alive", "hear").from("keepalive").with(Talk::new(0).send(10)).resting(2600),
        plain("early", "early").resting(600),
        plain("recorded", "record")
            .with(Talk::new(0).send(30).skip(2).send(10).shuffled(&[1, 0]).send(5))
            .resting(300)
            .reduced(),
        plain("framed-out", "whistle").from("framed").resting(500),
        plain("framed-as-asked", "whistle").from("autoframing").attribute("ptime:40").resting(500),
        plain("framed-echo", "echo").from("framed").with(Talk::new(0).send(30)),
        plain("framed-as-asked-echo", "echo").from("autoframing").attribute("ptime:60").with(Talk::new(0).send(30)),
    ]
}

fn elsewhere() -> Vec<Stream> {
    vec![
        Stream::new("six", "trace", PCMU).on(Setting::Six).with(Talk::new(0).send(30)),
        Stream::new("six-loss", "trace", PCMU).on(Setting::Six).with(Talk::new(0).send(10).skip(3).send(10)),
        both("six-bridged", "bridge", PCMU).on(Setting::Six),
        Stream::new("six-digits", "trace", PCMU)
            .on(Setting::Six)
            .with(Talk::new(0).send(5).press(101, 5, 6, 3).send(5)),
        both("no-port-for-the-callee", "core", PCMU).on(Setting::Scarce),
    ]
}

/// Streams of real phones.
fn recorded() -> Vec<Stream> {
    let baresip = include_str!("../recorded/baresip.txt");
    vec![
        Stream::new("recorded-baresip", "trace", PCMU).recorded(baresip).reduced(),
        Stream::new("recorded-baresip-bridged", "bridge", PCMU).recorded(baresip),
        Stream::new("recorded-baresip-read", "read", PCMU).recorded(baresip).resting(2500),
    ]
}
