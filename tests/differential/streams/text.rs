//! Text: T.140, plain and with redundancy (RFC 4103, RFC 2198).

use e2e::differential::stream::{Action, Section, Setting, Stream, Talk, Who};

use super::PCMU;

const PLAIN: &[(u8, &str)] = &[(98, "t140/1000")];
const RED: &[(u8, &str)] = &[(100, "red/1000"), (98, "t140/1000")];
const OTHER_RED: &[(u8, &str)] = &[(112, "red/1000"), (111, "t140/1000")];

pub fn streams() -> Vec<Stream> {
    let all = [echoed(), broken(), bridged(), all_held()].concat();
    all.into_iter().map(|stream| stream.on(Setting::Rich)).collect()
}

fn plain(name: &'static str, number: &'static str) -> Stream {
    Stream::new(name, number, PCMU).and(Section::text(PLAIN, &[])).with(Talk::new(0).send(100))
}

fn red(name: &'static str, number: &'static str) -> Stream {
    Stream::new(name, number, PCMU).and(Section::text(RED, &["fmtp:100 98/98/98"])).with(Talk::new(0).send(100))
}

/// A sender of text, 300 ms for each packet.
fn typist(payload_type: u8) -> Talk {
    Talk::new(payload_type).change(|talk| {
        talk.section = 1;
        (talk.every, talk.step) = (std::time::Duration::from_millis(300), 300);
    })
}

/// Sends words in one packet each; `None` is lost.
fn words(talk: Talk, words: &[Option<&str>]) -> Talk {
    words.iter().fold(talk, |talk, word| match word {
        Some(word) => written(talk, word.as_bytes()),
        None => talk.skip(1),
    })
}

/// Sends words with two generations; those of `lost` do not arrive.
fn redundant(talk: Talk, primary: u8, words: &[&str], lost: &[usize]) -> Talk {
    let mut talk = talk;
    for (number, word) in words.iter().enumerate() {
        let old = |back: usize| number.checked_sub(back).map_or("", |number| words[number]);
        let payload = generations(primary, &[(600, old(2)), (300, old(1))], word);
        talk = if lost.contains(&number) { talk.skip(1) } else { written(talk, &payload) };
    }
    talk
}

fn written(talk: Talk, payload: &[u8]) -> Talk {
    let packet = e2e::rtp::Rtp { payload: payload.to_vec(), ..talk.next.clone() }.write();
    talk.change(|talk| talk.next.marker = false)
        .change(|talk| {
            let at = talk.at;
            *talk = talk.clone().raw(&packet);
            talk.at = at;
        })
        .skip(1)
}

/// A payload of RFC 2198 §3.
fn generations(primary: u8, old: &[(u32, &str)], word: &str) -> Vec<u8> {
    let heads = old.iter().flat_map(|(offset, word)| {
        let block = u32::from(0x80 | primary) << 24 | offset << 10 | word.len() as u32;
        block.to_be_bytes()
    });
    let blocks = old.iter().flat_map(|(_, word)| word.bytes());
    heads.chain([primary]).chain(blocks).chain(word.bytes()).collect()
}

fn echoed() -> Vec<Stream> {
    let said = ["one ", "two ", "three ", "four ", "five "];
    let all = [Some("one "), Some("two "), Some("three "), Some("four ")];
    vec![
        plain("text-plain", "trace").with(words(typist(98), &all)),
        plain("text-plain-loss", "trace").with(words(typist(98), &[Some("one "), None, Some("three "), Some("four ")])),
        plain("text-plain-out", "type"),
        plain("text-no-utf-8", "trace").with(written(written(typist(98), b"a\xFFb"), b"\xE2\x82.")),
        red("text-red", "trace").with(redundant(typist(100), 98, &said, &[])),
        red("text-red-loss-of-one", "trace").with(redundant(typist(100), 98, &said, &[1])),
        red("text-red-loss-of-two", "trace").with(redundant(typist(100), 98, &said, &[1, 2])),
        red("text-red-loss-of-three", "trace").with(redundant(typist(100), 98, &said, &[1, 2, 3])),
        red("text-red-out", "type"),
        red("text-plain-where-red-is-offered", "trace").with(words(typist(98), &all)),
        red("text-umlauts", "trace").with(redundant(typist(100), 98, &["ä", "→", "🙂", "\u{8}", "e"], &[2])),
    ]
}

/// Payloads whose lengths do not add up.
fn broken() -> Vec<Stream> {
    let send = |payload: &[u8]| written(written(typist(100), payload), &generations(98, &[(300, "")], "after "));
    vec![
        red("text-red-of-nothing", "trace").with(send(&[])),
        red("text-red-without-end", "trace").with(send(&[0xE2, 0, 0])),
        red("text-red-longer-than-it-is", "trace").with(send(&[0xE2, 0, 3, 0xFF, 98, b'x'])),
        red("text-red-of-heads-alone", "trace").with(send(&[0xE2; 40])),
        red("text-red-of-an-unknown-type", "trace").with(send(&generations(77, &[(300, "old ")], "new "))),
        red("text-of-1300-octets", "trace").with(send(&generations(98, &[], &"long ".repeat(260)))),
    ]
}

fn bridge(name: &'static str, number: &'static str, to: &[(u8, &'static str)], attributes: &[&'static str]) -> Stream {
    let answer = vec![Section::audio(PCMU), Section::text(to, attributes)];
    Stream { answer: Some(answer), ..red(name, number) }.with(Talk::new(0).by(Who::Callee).send(100)).with(redundant(
        typist(100),
        98,
        &["one ", "two ", "three ", "four "],
        &[1],
    ))
}

fn bridged() -> Vec<Stream> {
    vec![
        bridge("text-bridged", "bridge", RED, &["fmtp:100 98/98/98"]),
        bridge("text-through-the-core", "core", RED, &["fmtp:100 98/98/98"]),
        bridge("text-bridged-to-plain", "bridge", PLAIN, &[]),
        bridge("text-bridged-to-other-numbers", "bridge", OTHER_RED, &["fmtp:112 111/111/111"]),
    ]
}

/// Text without redundancy: the originals begin redundancy anew with each description, and do not survive it.
fn all_held() -> Vec<Stream> {
    let all = [("text-held", "bridge"), ("text-held-through-the-core", "core")];
    all.map(|(name, number)| {
        let answer = vec![Section::audio(PCMU), Section::text(PLAIN, &[])];
        let typed = words(typist(98), &[Some("one "), Some("two "), Some("three "), Some("four ")]);
        let speaks = Talk::new(0).by(Who::Callee).send(100);
        held(Stream { answer: Some(answer), ..plain(name, number) }.with(speaks).with(typed))
    })
    .into()
}

/// The callee holds the call for a second while the caller types.
fn held(stream: Stream) -> Stream {
    let describe = |attribute| Action::Describe(Who::Callee, attribute);
    stream.at(250, describe("sendonly")).at(1250, describe("sendrecv")).with_music()
}
