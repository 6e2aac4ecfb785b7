//! One stream on one Asterisk, and the facts of it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use super::facts::{self, Facts, note};
use super::host::Host;
use super::log::{self, LogReader, Names};
use super::stream::{Action, Section, Setting, Stream, Who};
use crate::failure::{Failure, Result};
use crate::plain_phone::SipPhone;
use crate::rtp::{Media, Rtp};
use crate::sip::{Description, Message};

/// How long the call may take to be written to the log, after it has ended.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the host may take to end the callee's leg, if it does.
const ENDING: Duration = Duration::from_secs(1);

/// How long the callee waits to be called.
const RINGING: Duration = Duration::from_secs(5);

/// Places the call and returns its facts.
pub fn play(host: &Host, stream: &Stream) -> Result<Facts> {
    let log = LogReader::new(host.lab().asterisk().home().log())?;
    let mut call = Call::place(host, stream)?;
    call.go_through_the_steps()?;
    let lines = call.logged(&log)?;
    call.until_the_callee_is_told();
    let mut facts = std::mem::take(&mut call.facts);
    let names = call.names();
    for (who, party) in &call.parties {
        party.facts(&mut facts, *who, stream);
    }
    log::facts(&mut facts, &lines, &names);
    if stream.setting == Setting::Alone {
        log::debug(&mut facts, &log.lines()?, &names);
    }
    note(&mut facts, "recorded", recorded(&call)?);
    if stream.is_about_reports {
        log::events(&mut facts, &host.events(), &names);
    }
    Ok(facts)
}

/// A phone with its streams.
struct Party {
    phone: SipPhone,
    media: Vec<Media>,
    sections: Vec<Section>,
    /// The host's address for each stream.
    host: Vec<Option<SocketAddr>>,
    version: u32,
}

struct Call<'a> {
    host: &'a Host,
    stream: &'a Stream,
    number: String,
    parties: BTreeMap<Who, Party>,
    stranger: UdpSocket,
    facts: Facts,
    has_ended: bool,
}

impl<'a> Call<'a> {
    fn place(host: &'a Host, stream: &'a Stream) -> Result<Self> {
        let mut caller = Party::new(host, stream, stream.account, &stream.offer)?;
        let sections = stream.answer.as_ref().unwrap_or(&stream.offer);
        let mut callee = stream.has_callee().then(|| Party::new(host, stream, "x", sections)).transpose()?;
        let number = match &callee {
            Some(callee) => format!("{}-{}-{}", stream.number, callee.phone.port(), stream.name),
            None => format!("{}-{}", stream.number, stream.name),
        };
        let (mut facts, description) = (Facts::new(), caller.description(None));
        let answer = thread::scope(|scope| {
            let called = callee.as_mut().map(|callee| scope.spawn(|| callee.is_called()));
            let answer = caller.phone.dial(&number, &description)?;
            if let Some(called) = called {
                let offer = called.join().map_err(|_| Failure::new("the callee panicked"))?;
                note(&mut facts, "callee.offer", offer.unwrap_or_else(|_| "none".to_owned()));
            }
            Ok::<_, Failure>(answer)
        })?;
        note(&mut facts, "caller.answer", described(&answer));
        caller.learn(&answer);
        let parties = [(Who::Caller, Some(caller)), (Who::Callee, callee)];
        let parties = parties.into_iter().filter_map(|(who, party)| Some((who, party?))).collect();
        let stranger = UdpSocket::bind((stream.setting.loopback(), 0))?;
        let has_ended = answer.status() != Some(200);
        Ok(Self { host, stream, number, parties, stranger, facts, has_ended })
    }

    fn go_through_the_steps(&mut self) -> Result {
        if self.has_ended {
            return Ok(());
        }
        let began = Instant::now();
        let mut steps = self.stream.steps.clone();
        steps.sort_by_key(|step| step.at);
        let end = steps.last().map_or(Duration::ZERO, |step| step.at) + self.stream.rest;
        for step in steps {
            thread::sleep((began + step.at).saturating_duration_since(Instant::now()));
            self.act(&step.action)?;
        }
        thread::sleep((began + end).saturating_duration_since(Instant::now()));
        let host_hung_up = self.party(Who::Caller)?.phone.received("BYE", Duration::ZERO).is_ok();
        note(&mut self.facts, "caller.hangup", if host_hung_up { "by the host" } else { "" });
        if !self.has_ended && !host_hung_up {
            self.party(Who::Caller)?.phone.bye()?;
        }
        Ok(())
    }

    fn act(&mut self, action: &Action) -> Result {
        match action {
            Action::Send { who: Who::Stranger, section, is_rtcp, bytes } => {
                let to = self.party(Who::Caller)?.host.get(*section).copied().flatten();
                let to = to.map(|to| SocketAddr::new(to.ip(), to.port() + u16::from(*is_rtcp)));
                to.map_or(Ok(0), |to| self.stranger.send_to(bytes, to)).map(drop)?;
            }
            Action::Send { who, section, is_rtcp, bytes } => self.party(*who)?.send(*section, *is_rtcp, bytes)?,
            Action::Describe(who, attribute) => self.describe(*who, Some(attribute))?,
            Action::Move(who) => self.move_away(*who)?,
            Action::Transfer(number) => {
                let to = format!("sip:{number}-{}@{}", self.stream.name, self.host.sip(self.stream.setting));
                let who = if self.parties.contains_key(&Who::Callee) { Who::Callee } else { Who::Caller };
                let response = self.party(who)?.phone.refer(&to)?;
                note(&mut self.facts, "transfer", response.first);
            }
            Action::Console(command) => {
                let output = self.host.lab().asterisk().cli(command)?;
                let output = log::decimals(&self.names().in_place_of_numbers(output.trim_end())).replace('\n', "\n  ");
                note(&mut self.facts, &format!("console.{command}"), output);
            }
            Action::Hangup(who) => {
                self.party(*who)?.phone.bye()?;
                self.has_ended = true;
            }
        }
        Ok(())
    }

    fn describe(&mut self, who: Who, attribute: Option<&str>) -> Result {
        let party = self.party(who)?;
        let description = party.description(attribute);
        let answer = party.phone.re_invite(&description)?;
        party.learn(&answer);
        let name = format!("{}.answer {}", who.name(), attribute.unwrap_or("elsewhere"));
        note(&mut self.facts, &name, described(&answer));
        Ok(())
    }

    /// The streams go on at new sockets.
    fn move_away(&mut self, who: Who) -> Result {
        let address = self.stream.setting.loopback();
        let party = self.party(who)?;
        party.media = party.media.iter().map(|_| Media::bind(address)).collect::<std::io::Result<_>>()?;
        self.describe(who, None)
    }

    fn party(&mut self, who: Who) -> Result<&mut Party> {
        let name = self.stream.name;
        self.parties.get_mut(&who).ok_or_else(|| Failure::new(format!("{name} has no {}", who.name())))
    }

    /// The lines of the call, once all are there.
    fn logged(&self, log: &LogReader) -> Result<Vec<log::Line>> {
        let end = Instant::now() + PATIENCE;
        loop {
            let lines = log::of_call(&log.lines()?, &self.number);
            if lines.iter().any(|line| line.message.contains("fact end=")) || Instant::now() > end {
                return Ok(lines);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for the callee's BYE, which comes after the last line of the log.
    fn until_the_callee_is_told(&self) {
        let Some(callee) = self.parties.get(&Who::Callee) else { return };
        let end = Instant::now() + ENDING;
        while !callee.phone.methods().iter().any(|method| method == "BYE") && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn names(&self) -> Names {
        let mut names = Vec::new();
        for (who, party) in &self.parties {
            for (place, media) in party.media.iter().enumerate() {
                let (kind, ip, who) = (party.sections[place].kind, media.ip(), who.name());
                let ours = [(media.port(), "rtp"), (media.port() + 1, "rtcp")];
                names.extend(ours.map(|(port, what)| (SocketAddr::new(ip, port), format!("{who} {kind} {what}"))));
                if let Some(host) = party.host.get(place).copied().flatten() {
                    let theirs = [(host.port(), "rtp"), (host.port() + 1, "rtcp")];
                    names.extend(theirs.map(|(port, what)| {
                        (SocketAddr::new(host.ip(), port), format!("host's {what} for {who} {kind}"))
                    }));
                }
            }
        }
        names.extend(self.stranger.local_addr().map(|address| (address, "stranger".to_owned())));
        Names(names)
    }
}

impl Party {
    fn new(host: &Host, stream: &Stream, user: &str, sections: &[Section]) -> Result<Self> {
        let media = sections.iter().map(|_| Media::bind(stream.setting.loopback()));
        Ok(Self {
            phone: SipPhone::new(host.sip(stream.setting), user)?,
            media: media.collect::<std::io::Result<_>>()?,
            sections: sections.to_vec(),
            host: Vec::new(),
            version: 0,
        })
    }

    fn description(&mut self, attribute: Option<&str>) -> String {
        self.version += 1;
        let description = Description::new(self.media.first().map_or([127, 0, 0, 1].into(), Media::ip));
        let sections = self.sections.iter().zip(&self.media);
        let all = sections.fold(description, |all, (section, media)| {
            let attributes: Vec<_> = attribute.into_iter().chain(section.attributes.iter().copied()).collect();
            all.with(section.kind, media.port(), &section.formats, &attributes)
        });
        all.text(self.version)
    }

    /// Waits for the call, answers it, and says what was offered.
    fn is_called(&mut self) -> Result<String> {
        let invite = self.phone.rung(RINGING)?;
        self.learn(&invite);
        let description = self.description(None);
        self.phone.answer(&description)?;
        Ok(described(&invite))
    }

    fn learn(&mut self, description: &Message) {
        if !description.body.is_empty() {
            self.host = (0..self.sections.len())
                .map(|number| description.media(number).filter(|address| address.port() != 0))
                .collect();
        }
    }

    fn send(&self, section: usize, is_rtcp: bool, bytes: &[u8]) -> std::io::Result<()> {
        let (Some(media), Some(Some(to))) = (self.media.get(section), self.host.get(section)) else { return Ok(()) };
        if is_rtcp { media.send_rtcp(bytes, *to) } else { media.send(bytes, *to) }
    }

    fn facts(&self, facts: &mut Facts, who: Who, stream: &Stream) {
        let requests = self.phone.methods();
        let requests = facts::runs(requests.iter().filter(|method| *method != "ACK"));
        note(facts, &format!("{}.requests", who.name()), requests);
        for (place, media) in self.media.iter().enumerate() {
            let name = format!("{}.{}", who.name(), self.sections[place].kind);
            match self.sections[place].kind {
                "text" => facts::text(facts, &name, &media.packets(), &self.sections[place].types("red")),
                _ => facts::packets(facts, &name, &media.packets(), &sent(stream, place), stream),
            }
            let arrived = media.arrived();
            let other = arrived.iter().filter(|one| Rtp::parse(&one.bytes).is_none());
            let kinds = other.map(|one| facts::control(&one.bytes, one.is_rtcp));
            let is_telling = |kind: &String| stream.is_about_reports || !facts::is_report(kind);
            let mut kinds: Vec<_> = kinds.filter(is_telling).collect();
            kinds.sort();
            kinds.dedup();
            note(facts, &format!("{name}.control"), kinds.join(", "));
            let host = self.host.get(place).copied().flatten();
            let others = arrived.iter().filter(|one| !one.is_rtcp && Some(one.from) != host).count();
            note(
                facts,
                &format!("{name}.from"),
                if others > 0 { "another address than the described one" } else { "" },
            );
        }
    }
}

/// The packets that `Record` wrote, if the number has it.
fn recorded(call: &Call) -> Result<String> {
    let file = call.host.lab().directory().join("spool").join(&call.number).with_extension("ulaw");
    if call.stream.number != "record" {
        return Ok(String::new());
    }
    let packets: Vec<_> = std::fs::read(file)?.chunks(160).map(<[u8]>::to_vec).collect();
    Ok(facts::payloads(packets.iter().map(Vec::as_slice), &sent(call.stream, 0)))
}

/// The payloads that were sent in one stream, in their order.
fn sent(stream: &Stream, place: usize) -> Vec<Vec<u8>> {
    let mut steps = stream.steps.clone();
    steps.sort_by_key(|step| step.at);
    let payloads = steps.iter().filter_map(|step| match &step.action {
        Action::Send { section, is_rtcp: false, bytes, .. } if *section == place => Some(Rtp::parse(bytes)?.payload),
        _ => None,
    });
    let mut all: Vec<Vec<u8>> = Vec::new();
    for payload in payloads {
        if !all.contains(&payload) {
            all.push(payload);
        }
    }
    all
}

/// The streams of a description without ports, or a status without one.
fn described(message: &Message) -> String {
    let sections = (0..).map_while(|number| message.section(number));
    let lines = sections.flat_map(str::lines).map(|line| {
        let mut words: Vec<_> = line.split(' ').collect();
        if line.starts_with("m=") && words.len() > 1 && words[1] != "0" {
            words[1] = "PORT";
        }
        words.join(" ")
    });
    let lines: Vec<_> = lines.collect();
    if message.status().is_some_and(|status| status >= 300) { message.first.clone() } else { lines.join("\n  ") }
}

impl Who {
    /// A word for facts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
            Self::Stranger => "stranger",
        }
    }
}

impl Stream {
    /// Whether the number connects to a second phone.
    pub fn has_callee(&self) -> bool {
        ["bridge", "core", "taped"].contains(&self.number)
    }
}
