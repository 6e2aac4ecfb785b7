//! The host's log of one call, and what it told the manager interface, as facts.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::facts::{Facts, counted, note, runs};

/// The part of the log that is written from now on.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    from: u64,
}

impl LogReader {
    /// Begins at the present end.
    pub fn new(path: PathBuf) -> io::Result<Self> {
        let from = path.metadata()?.len();
        Ok(Self { path, from })
    }

    /// The lines that were written since.
    pub fn lines(&self) -> io::Result<Vec<Line>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).lines().filter_map(Line::parse).collect())
    }
}

/// A line: `[date] LEVEL[thread][C-00000001] file.c: message`.
#[derive(Clone, Debug)]
pub struct Line {
    /// `NOTICE`, `VERBOSE` and so on.
    pub level: String,
    /// The number of the call, if the thread serves one.
    pub call: Option<String>,
    /// The source file.
    pub file: String,
    /// The rest.
    pub message: String,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.strip_prefix('[')?.split_once("] ")?;
        let (level, rest) = rest.split_once('[')?;
        let (head, rest) = rest.split_once(' ')?;
        let call = head.split_once("[C-").map(|(_, call)| call.trim_end_matches([']', ':']).to_owned());
        let (file, message) = rest.split_once(": ").unwrap_or(("", rest));
        Some(Self { level: level.to_owned(), call, file: file.to_owned(), message: message.to_owned() })
    }
}

/// The lines of the call that dialled `number`.
pub fn of_call(lines: &[Line], number: &str) -> Vec<Line> {
    let begins = format!("[{number}@calls:1]");
    let call = lines.iter().find(|line| line.message.contains(&begins)).and_then(|line| line.call.clone());
    lines.iter().filter(|line| call.is_some() && line.call == call).cloned().collect()
}

/// Notes what the dialplan says, the frames that it read, and what was logged above the level of verbose.
pub fn facts(facts: &mut Facts, lines: &[Line], names: &Names) {
    for line in lines {
        let said = line.message.trim().split_once("fact ").and_then(|(_, fact)| fact.split_once('='));
        match said {
            Some(("statistics", all)) => statistics(facts, all),
            Some(("end", _)) | None => {}
            Some((name, value)) => note(facts, name, value),
        }
    }
    let logged = lines.iter().filter(|line| is_telling(line));
    let logged =
        logged.map(|line| format!("{} {}: {}", line.level, line.file, names.in_place_of_numbers(&line.message)));
    note(facts, "log", counted(logged).join("\n  "));
    let frames = frames(lines);
    note(facts, "frames", runs(&frames));
    note(facts, "frames.keys", runs(frames.iter().filter(|frame| frame.starts_with("DTMF"))));
}

/// Whether a line is above the level of verbose. Of digits it is what came from the engine: the rest depends on the time. So does
/// whether a phone's answer about a transfer still belongs to the call.
fn is_telling(line: &Line) -> bool {
    match line.level.as_str() {
        "NOTICE" | "WARNING" | "ERROR" => !line.message.contains("on REFER Notify message"),
        "DTMF" => line.message.contains(" received on "),
        _ => false,
    }
}

/// The engine's lines on the console, each kind of line once in the order of its first.
pub fn debug(facts: &mut Facts, lines: &[Line], names: &Names) {
    let mut said: Vec<String> = Vec::new();
    for line in lines.iter().filter(|line| line.level == "VERBOSE" && !is_the_dialplan(line)) {
        let text = format!("{}: {}", line.file, names.in_place_of_numbers(&line.message));
        if !said.contains(&text) {
            said.push(text);
        }
    }
    note(facts, "debug", said.join("\n  "));
}

fn is_the_dialplan(line: &Line) -> bool {
    ["pbx.c", "app_verbose.c", "app_dial.c", "asterisk.c", "manager.c", "chan_sip.c", "netsock2.c", "logger.c"]
        .contains(&line.file.as_str())
}

/// Frames that a channel read: kind, format, milliseconds, samples and octets.
fn frames(lines: &[Line]) -> Vec<String> {
    let mut frames: Vec<String> = Vec::new();
    let mut is_read = false;
    for line in lines.iter().filter(|line| line.level == "VERBOSE") {
        let message = line.message.trim();
        if let Some((direction, _)) = message.split_once(" on Channel ") {
            is_read = direction.contains("Read");
        } else if is_read && let Some(kind) = message.strip_prefix("FrameType: ") {
            frames.push(kind.to_owned());
        } else if is_read
            && let Some((name, value)) = message.split_once(": ")
            && ["Codec", "MS", "Samples", "Bytes", "Digit", "SubClass"].contains(&name)
            && let Some(frame) = frames.last_mut()
        {
            *frame += &format!(" {value}");
        }
    }
    // The engine reads a frame of no kind for what is not media; how often the channel wakes up is no fact.
    frames.retain(|frame| !frame.starts_with("NULL"));
    frames
}

/// The fields of `CHANNEL(rtpqos,audio,all)`: counts as they are, sources and times by their kind.
fn statistics(facts: &mut Facts, all: &str) {
    for (name, value) in all.split(';').filter_map(|field| field.split_once('=')) {
        let value = match name {
            "ssrc" | "themssrc" => {
                if value == "0" {
                    "0"
                } else {
                    "#"
                }
            }
            "rxjitter" | "txjitter" | "rtt" => magnitude(value),
            _ => value,
        };
        note(facts, &format!("statistics.{name}"), value);
    }
}

/// Tells ticks from seconds, on a busy machine too.
fn magnitude(value: &str) -> &'static str {
    match value.parse::<f64>() {
        Ok(value) if value < 0.5 => "seconds",
        Ok(_) => "ticks",
        Err(_) => "no number",
    }
}

/// Names of addresses, in place of which they stand in texts.
#[derive(Clone, Debug, Default)]
pub struct Names(pub Vec<(SocketAddr, String)>);

impl Names {
    /// Whether a text has one of the addresses.
    pub fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|(address, _)| has_word(text, &address.to_string()))
    }

    /// The text with names for addresses and channels, and without the numbers that differ from run to run.
    pub fn in_place_of_numbers(&self, text: &str) -> String {
        let named = self.0.iter().fold(text.to_owned(), |text, (address, name)| {
            let address = address.to_string();
            if has_word(&text, &address) { text.replace(&address, &format!("<{name}>")) } else { text }
        });
        let words: Vec<_> = named.split(' ').map(without_numbers).collect();
        words.join(" ")
    }
}

/// Whether `word` is in the text and no digit follows it.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| !text[at + word.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

/// Puts a sign in the place of a channel's name, of a pointer and of a long number.
fn without_numbers(word: &str) -> String {
    if word.contains("SIP/") && word.contains('-') {
        return "<channel>".to_owned();
    }
    if word.starts_with("call-") {
        return "<call>".to_owned();
    }
    if word.contains("0x") {
        return "<pointer>".to_owned();
    }
    let mut written = String::new();
    let mut digits = String::new();
    for letter in word.chars().chain(['\0']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        written += if digits.len() >= 5 { "#" } else { &digits };
        digits.clear();
        written.extend((letter != '\0').then_some(letter));
    }
    written
}

/// Events of the manager interface about this call: each kind once, with the form of its values.
pub fn events(facts: &mut Facts, events: &[Vec<String>], names: &Names) {
    for event in events {
        let Some(name) = event.first().and_then(|first| first.strip_prefix("Event: ")) else { continue };
        let is_about_rtp = name.starts_with("RTCP") && event.iter().any(|line| names.are_in(line));
        if is_about_rtp {
            let lines: Vec<_> =
                event[1..].iter().filter(|line| !line.starts_with("Channel")).map(|line| form(line, names)).collect();
            note(facts, &format!("event.{name}"), lines.join("\n  "));
        }
    }
}

/// The text with 9 for each decimal number, so that their form stays.
pub fn decimals(text: &str) -> String {
    let word = |word: &str| {
        if word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit()) {
            word.replace(|letter: char| letter.is_ascii_digit(), "9")
        } else {
            word.to_owned()
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// A header with 9 for each number, so that decimals and units stay.
fn form(line: &str, names: &Names) -> String {
    let line = names.in_place_of_numbers(line);
    let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
    if name == "PT" || value.starts_with('<') {
        return line;
    }
    let mut form = String::new();
    let mut is_decimal = false;
    for letter in value.chars() {
        let is_number = letter.is_ascii_digit() || letter == '#';
        if is_number && (is_decimal || !form.ends_with('9')) {
            form.push('9');
        } else if !is_number {
            is_decimal = letter == '.';
            form.push(letter);
        }
    }
    format!("{name}: {form}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_numbers_have_names() {
        let names = Names(vec![(SocketAddr::from(([127, 0, 0, 1], 4000)), "caller".to_owned())]);
        let text = "Got  RTP packet from    127.0.0.1:4000 (type 00, seq 001000) on SIP/x-00000001";
        let named = "Got  RTP packet from    <caller> (type 00, seq #) on <channel>";
        assert_eq!(names.in_place_of_numbers(text), named);
        assert!(!names.are_in("127.0.0.1:40001"));
        assert_eq!(form("DLSR: 12.3400(sec)", &names), "DLSR: 9.9999(sec)");
    }

    #[test]
    fn a_line_has_its_call() {
        let line = Line::parse("[Nov 29 10:00:00] WARNING[12][C-00000003] chan_sip.c: Something").unwrap();
        assert_eq!((line.level.as_str(), line.call.as_deref()), ("WARNING", Some("00000003")));
        assert_eq!((line.file.as_str(), line.message.as_str()), ("chan_sip.c", "Something"));
    }
}
