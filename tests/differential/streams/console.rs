//! The console: commands, their answers, and lines about packets.

use e2e::differential::stream::{Action, Setting, Stream, Talk};

const FORMATS: &[(u8, &str)] = &[(0, "PCMU/8000"), (13, "CN/8000"), (101, "telephone-event/8000")];

/// Commands with every form of their arguments.
const COMMANDS: &[&str] = &[
    "rtp set debug on",
    "rtp set debug off",
    "rtp set debug ip 127.0.0.1",
    "rtp set debug ip 127.0.0.1:4000",
    "rtp set debug ip localhost",
    "rtp set debug ip no-such-host.invalid",
    "rtp set debug ip",
    "rtp set debug",
    "rtp set debug maybe",
    "rtp set debug on off",
    "rtp set debug ON",
    "RTP Set Debug Off",
    "rtcp set debug on",
    "rtcp set debug off",
    "rtcp set debug ip 127.0.0.1",
    "rtcp set debug ip 127.0.0.1:4001",
    "rtcp set debug ip localhost",
    "rtcp set debug ip",
    "rtcp set debug",
    "rtcp set debug maybe",
    "rtcp set debug OFF",
    "rtcp set stats on",
    "rtcp set stats off",
    "rtcp set stats",
    "rtcp set stats maybe",
    "rtcp set stats ON",
    "rtcp set stats OFF",
    "rtcp set stats on off",
];

pub fn streams() -> Vec<Stream> {
    let commands = Stream::new("console-commands", "hear", FORMATS).on(Setting::Alone);
    let commands = COMMANDS.iter().fold(commands, |stream, command| stream.at(0, Action::Console(command)));
    vec![
        commands,
        debugged("console-rtp", &["rtp set debug on"], &["rtp set debug off"]),
        debugged("console-rtcp", &["rtcp set debug on"], &["rtcp set debug off"]),
        debugged("console-stats", &["rtcp set stats on"], &["rtcp set stats off"]),
        debugged(
            "console-everything",
            &["core set debug 1", "rtp set debug on"],
            &["core set debug 0", "rtp set debug off"],
        ),
        debugged("console-channelstats", &[], &["sip show channelstats"]),
    ]
}

/// A call with one of everything, between commands.
fn debugged(name: &'static str, before: &[&'static str], after: &[&'static str]) -> Stream {
    let report =
        [&[0x81, 201, 0, 7, 0, 0, 0, 1][..], &[0x33; 4], &[25, 0, 0, 3], &[0, 0, 4, 0], &[0, 0, 0, 80], &[0; 8]];
    let silence = e2e::rtp::Rtp { payload_type: 13, payload: vec![70], ..Talk::new(0).next };
    let talk = Talk::new(0)
        .change(|talk| talk.at *= 10)
        .send(20)
        .press(101, 5, 6, 3)
        .raw(&e2e::rtp::Rtp { sequence: 1029, ..silence }.write())
        .skip(1)
        .change(|talk| talk.next.payload_type = 77)
        .send(2)
        .change(|talk| talk.next.payload_type = 0)
        .report(&report.concat())
        .send(40);
    let end = 2600;
    let stream = Stream::new(name, "echo", FORMATS).on(Setting::Alone).with(talk);
    let stream = before.iter().fold(stream, |stream, command| stream.at(0, Action::Console(command)));
    after.iter().fold(stream, |stream, command| stream.at(end, Action::Console(command)))
}
