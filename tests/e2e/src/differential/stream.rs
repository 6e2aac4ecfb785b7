//! Streams as data: who sends which datagram when, and what else happens in the call.

use std::time::Duration;

use crate::rtp::Rtp;

/// One call and everything that its parties do in it.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its name, which is that of its facts.
    pub name: &'static str,
    /// The configuration that it runs on.
    pub setting: Setting,
    /// The account of the caller; `guest` has none.
    pub account: &'static str,
    /// The number that is called: a word of the dialplan, such as `echo`.
    pub number: &'static str,
    /// The streams of the caller's description.
    pub offer: Vec<Section>,
    /// The streams of the callee's description, if it is not as the caller's.
    pub answer: Option<Vec<Section>>,
    /// The events after the answer, in any order.
    pub steps: Vec<Step>,
    /// How long the call goes on after the last step.
    pub rest: Duration,
    /// Whether the host's reports are facts: it stays up for several of them.
    pub is_about_reports: bool,
    /// Whether it belongs to the reduced set, which runs on hosts of continuous integration.
    pub is_reduced: bool,
    /// Whether the host plays music, whose packets go when its threads have time.
    pub has_music: bool,
}

/// A configuration of the two Asterisks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Strict RTP off.
    Plain,
    /// With video and text.
    Rich,
    /// Strict RTP on.
    Strict,
    /// The host listens on IPv6.
    Six,
    /// Three pairs of ports, which is what one call takes.
    Scarce,
    /// The streams run one after the other, with the console's debug switches.
    Alone,
}

/// A stream of a description.
#[derive(Clone, Debug)]
pub struct Section {
    /// `audio`, `video` or `text`.
    pub kind: &'static str,
    /// Payload types and their names.
    pub formats: Vec<(u8, &'static str)>,
    /// Attributes without `a=`.
    pub attributes: Vec<&'static str>,
}

/// A party of the call, or somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The phone that calls.
    Caller,
    /// The phone that is called, where the number connects to one.
    Callee,
    /// A socket that no description names.
    Stranger,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub struct Step {
    /// When, counted from the answer.
    pub at: Duration,
    /// The event.
    pub action: Action,
}

/// An event of a call.
#[derive(Clone, Debug)]
pub enum Action {
    /// A datagram for the host's port of the `section`th stream.
    Send {
        /// The sender. A stranger sends to the host's port for the caller.
        who: Who,
        /// The stream.
        section: usize,
        /// Whether it goes from port to port of RTCP.
        is_rtcp: bool,
        /// The octets.
        bytes: Vec<u8>,
    },
    /// Another description within the call: the first attributes of each stream are these.
    Describe(Who, &'static str),
    /// A description whose streams go to an address of nobody.
    Move(Who),
    /// A transfer of the caller to another number, by the callee if there is one.
    Transfer(&'static str),
    /// A console command, whose output is a fact.
    Console(&'static str),
    /// A phone hangs up.
    Hangup(Who),
}

impl Stream {
    /// A call with one stream of audio.
    pub fn new(name: &'static str, number: &'static str, formats: &[(u8, &'static str)]) -> Self {
        let offer = vec![Section::audio(formats)];
        let (steps, rest) = (Vec::new(), Duration::from_millis(300));
        let setting = Setting::Plain;
        Self {
            name,
            setting,
            account: "guest",
            number,
            offer,
            answer: None,
            steps,
            rest,
            is_about_reports: false,
            is_reduced: false,
            has_music: false,
        }
    }

    /// Adds what a [`Talk`] has gathered.
    pub fn with(mut self, talk: Talk) -> Self {
        self.steps.extend(talk.steps);
        self
    }

    /// Adds a recorded stream of the caller: lines of milliseconds, `rtp` or `rtcp`, and octets in hex; `#` begins a comment. Lines that
    /// are none of these are left out.
    pub fn recorded(mut self, text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        self.steps.extend(lines.filter_map(|line| {
            let mut words = line.split(' ');
            let at = Duration::from_millis(100 + words.next()?.parse::<u64>().ok()?);
            let is_rtcp = words.next()? == "rtcp";
            let digits = words.next()?.as_bytes().chunks(2);
            let octet = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            let bytes = digits.map(octet).collect::<Option<_>>()?;
            Some(Step { at, action: Action::Send { who: Who::Caller, section: 0, is_rtcp, bytes } })
        }));
        self
    }

    /// Adds something that happens `at` milliseconds after the answer.
    pub fn at(mut self, at: u64, action: Action) -> Self {
        self.steps.push(Step { at: Duration::from_millis(at), action });
        self
    }

    /// Runs on this configuration.
    pub fn on(mut self, setting: Setting) -> Self {
        self.setting = setting;
        self
    }

    /// Calls from this account.
    pub fn from(mut self, account: &'static str) -> Self {
        self.account = account;
        self
    }

    /// Adds a stream to the offer.
    pub fn and(mut self, section: Section) -> Self {
        self.offer.push(section);
        self
    }

    /// Adds an attribute to the last stream of the offer.
    pub fn attribute(mut self, attribute: &'static str) -> Self {
        if let Some(section) = self.offer.last_mut() {
            section.attributes.push(attribute);
        }
        self
    }

    /// The callee answers with other formats.
    pub fn answered(mut self, formats: &[(u8, &'static str)]) -> Self {
        self.answer = Some(vec![Section::audio(formats)]);
        self
    }

    /// Stays up for this long after the last step.
    pub fn resting(mut self, milliseconds: u64) -> Self {
        self.rest = Duration::from_millis(milliseconds);
        self
    }

    /// Takes reports as facts.
    pub fn with_reports(mut self) -> Self {
        self.is_about_reports = true;
        self.resting(1700)
    }

    /// Belongs to the reduced set.
    pub fn reduced(mut self) -> Self {
        self.is_reduced = true;
        self
    }

    /// Has the host play music: single increments of timestamps are no facts.
    pub fn with_music(mut self) -> Self {
        self.has_music = true;
        self
    }

    /// The payload types of telephone-events.
    pub fn event_types(&self) -> Vec<u8> {
        self.offer.iter().flat_map(|section| section.types("telephone-event")).collect()
    }
}

impl Section {
    /// A stream of audio.
    pub fn audio(formats: &[(u8, &'static str)]) -> Self {
        Self { kind: "audio", formats: formats.to_vec(), attributes: Vec::new() }
    }

    /// The payload types of formats whose name begins with this.
    pub fn types(&self, name: &str) -> Vec<u8> {
        self.formats.iter().filter(|(_, format)| format.starts_with(name)).map(|(number, _)| *number).collect()
    }

    /// A stream of video.
    pub fn video(formats: &[(u8, &'static str)]) -> Self {
        Self { kind: "video", ..Self::audio(formats) }
    }

    /// A stream of text.
    pub fn text(formats: &[(u8, &'static str)], attributes: &[&'static str]) -> Self {
        Self { kind: "text", attributes: attributes.to_vec(), ..Self::audio(formats) }
    }
}

/// A sender of packets, which goes forward in time with each.
#[derive(Clone, Debug)]
pub struct Talk {
    /// The next packet: change its fields as you like.
    pub next: Rtp,
    /// The time of the next packet, from the answer.
    pub at: Duration,
    /// The time between two packets.
    pub every: Duration,
    /// The timestamp's increment from packet to packet.
    pub step: u32,
    /// The sender.
    pub who: Who,
    /// The number of the stream in the description.
    pub section: usize,
    payload: Payload,
    count: u16,
    steps: Vec<Step>,
}

/// How payloads are made.
#[derive(Clone, Debug)]
enum Payload {
    /// Octets of one value, with a number in front.
    Numbered(usize),
    /// Frames of a codec, with a number at the end.
    Frames(Vec<u8>),
}

impl Talk {
    /// Packets of 20 ms with 160 octets at 8 kHz, numbered in their first two octets, beginning after 100 ms.
    pub fn new(payload_type: u8) -> Self {
        let next =
            Rtp { payload_type, sequence: 1000, timestamp: 160_000, ssrc: 0x1111_1111, marker: true, ..Rtp::default() };
        let (at, every) = (Duration::from_millis(100), Duration::from_millis(20));
        let payload = Payload::Numbered(160);
        Self { next, at, every, step: 160, who: Who::Caller, section: 0, payload, count: 0, steps: Vec::new() }
    }

    /// Other packets: the octets of a payload, the milliseconds between two and the timestamp's increment.
    pub fn framed(mut self, octets: usize, every: u64, step: u32) -> Self {
        (self.payload, self.every, self.step) = (Payload::Numbered(octets), Duration::from_millis(every), step);
        self
    }

    /// Payloads that are this frame, but for its last octet.
    pub fn frames(mut self, frame: &[u8], every: u64, step: u32) -> Self {
        (self.payload, self.every, self.step) = (Payload::Frames(frame.to_vec()), Duration::from_millis(every), step);
        self
    }

    /// Another sender.
    pub fn by(mut self, who: Who) -> Self {
        self.who = who;
        self.next.ssrc = self.next.ssrc.wrapping_mul(3);
        self
    }

    /// Sends `count` packets.
    pub fn send(mut self, count: usize) -> Self {
        for _ in 0..count {
            self.next.payload = self.payload();
            self.push(self.next.write());
            self = self.skip(1);
        }
        self
    }

    /// Lets the time of `count` packets pass, which are lost.
    pub fn skip(mut self, count: u16) -> Self {
        for _ in 0..count {
            self.next.marker = false;
            self.next.sequence = self.next.sequence.wrapping_add(1);
            self.next.timestamp = self.next.timestamp.wrapping_add(self.step);
            self.at += self.every;
            self.count += 1;
        }
        self
    }

    /// Lets time pass in which nothing is sent; the timestamp goes on as the clock does.
    pub fn pause(mut self, packets: u32) -> Self {
        self.at += self.every * packets;
        self.next.timestamp = self.next.timestamp.wrapping_add(self.step * packets);
        self.next.marker = true;
        self
    }

    /// Changes something of the packets to come.
    pub fn change(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Sends the packets of a number of places again or in another order: `order` counts from the next packet.
    pub fn shuffled(mut self, order: &[usize]) -> Self {
        let start = self.steps.len();
        let (at, every) = (self.at, self.every);
        self = self.send(order.iter().max().map_or(0, |last| last + 1));
        let sent = self.steps.split_off(start);
        self.steps.extend(order.iter().enumerate().map(|(place, number)| {
            let at = at + every * place as u32;
            Step { at, action: sent[*number].action.clone() }
        }));
        self.at = at + every * order.len() as u32;
        self
    }

    /// Presses a key for a number of packets of 20 ms, with `ends` end packets (RFC 4733 §2.5).
    pub fn press(self, payload_type: u8, key: u8, packets: u16, ends: usize) -> Self {
        let timestamp = self.next.timestamp;
        let step = self.step as u16;
        let mut talk = self;
        for number in 1..=packets {
            talk = talk.event(payload_type, key, number * step, false, number == 1, timestamp);
        }
        for _ in 0..ends {
            talk = talk.event(payload_type, key, (packets + 1) * step, true, false, timestamp);
        }
        talk
    }

    /// Sends one packet of a telephone-event, and lets its 20 ms pass.
    pub fn event(mut self, payload_type: u8, key: u8, duration: u16, end: bool, marker: bool, timestamp: u32) -> Self {
        let [high, low] = duration.to_be_bytes();
        let payload = vec![key, u8::from(end) << 7 | 10, high, low];
        let event = Rtp { payload_type, marker, timestamp, payload, ..self.next.clone() };
        self.push(event.write());
        self.skip(1)
    }

    /// Sends a datagram as it is, at the time of the next packet.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.push(bytes.to_vec());
        self.at += self.every;
        self
    }

    /// Sends a datagram from the socket of RTCP.
    pub fn report(mut self, bytes: &[u8]) -> Self {
        let (who, section) = (self.who, self.section);
        let action = Action::Send { who, section, is_rtcp: true, bytes: bytes.to_vec() };
        self.steps.push(Step { at: self.at, action });
        self
    }

    fn push(&mut self, bytes: Vec<u8>) {
        let (who, section) = (self.who, self.section);
        self.steps.push(Step { at: self.at, action: Action::Send { who, section, is_rtcp: false, bytes } });
    }

    fn payload(&self) -> Vec<u8> {
        let [high, low] = self.count.to_be_bytes();
        match &self.payload {
            Payload::Numbered(octets) => {
                let mut payload = vec![0x55; *octets];
                payload.iter_mut().zip([high, low]).for_each(|(octet, part)| *octet = part);
                payload
            }
            Payload::Frames(frame) => {
                let mut payload = frame.clone();
                payload.iter_mut().last().into_iter().for_each(|last| *last = low);
                payload
            }
        }
    }
}
