//! The stories of calls: of those that are up, for the console.

use std::fmt::Write as _;
use std::time::Instant;

use ::story::timeline::Line;
use ::story::{Event, Facts};
use asterisk::rtp::channel_names;

use crate::clock;
use crate::diagnosis::counters::Refused;
use crate::globals::globals;
use crate::session::Session;

/// One session, to be told.
#[derive(Debug, Clone)]
pub struct Told {
    /// The channel's name, while there is one.
    pub channel: Option<String>,
    /// The events in the order of time.
    pub lines: Vec<Line>,
    /// The number of events in the middle that were left out.
    pub left_out: u32,
    /// Our port for media.
    pub port: u16,
    /// The facts at the time that the story was read.
    pub facts: Facts,
}

/// Finds the sessions that `wanted` names: a port, or a channel.
pub fn find(wanted: &str) -> Vec<Told> {
    let Some(globals) = globals() else { return Vec::new() };
    let (port, channels) = (wanted.parse::<u16>().ok(), channel_names());
    let channel_of = |session: &Session| {
        channels.iter().find(|(instance, _)| *instance == session.instance()).map(|(_, name)| name.clone())
    };
    let told = globals.worker().tasks().all().into_iter().filter_map(|session| {
        let channel = channel_of(&session);
        let is_wanted = channel.as_deref() == Some(wanted)
            || port.is_some() && session.peek(|state| state.transport().port()) == port;
        is_wanted.then(|| read(&session, channel)).flatten()
    });
    told.collect()
}

fn read(session: &Session, channel: Option<String>) -> Option<Told> {
    session.peek(|state| {
        let timeline = state.transport().story().timeline();
        let facts = Facts { media: Some(state.facts(clock::now())), ..Facts::default() };
        Told {
            channel,
            lines: timeline.lines().collect(),
            left_out: timeline.left_out(),
            port: state.transport().port(),
            facts,
        }
    })
}

impl Told {
    /// Returns the story in words: a line for each event with the milliseconds since the first one, then the verdict.
    pub fn text(&self, _now: Instant) -> String {
        let mut text = format!("Session on port {}", self.port);
        if let Some(channel) = &self.channel {
            let _ = write!(text, ", channel {channel}");
        }
        text.push('\n');
        let began = self.lines.first().map(|line| line.at);
        for line in &self.lines {
            let at = line.at.saturating_duration_since(began.unwrap_or(line.at)).as_millis();
            let _ = writeln!(text, "  {at:>9} ms  {}", words(line));
        }
        if self.left_out > 0 {
            let _ = writeln!(text, "  {} events in the middle are left out", self.left_out);
        }
        let _ = writeln!(text, "Verdict: {}", self.facts.verdict());
        text
    }
}

/// Returns the event of a line in words, with its addresses.
pub fn words(line: &Line) -> String {
    let event = match line.event {
        Event::Refused(reason) => {
            let reason = Refused::numbered(reason).map_or("unknown", Refused::name);
            format!("RTP: first packet refused or not sent: {reason}")
        }
        event => event.to_string(),
    };
    match (line.from, line.to) {
        (Some(from), Some(to)) => format!("{event}: {from} to {to}"),
        (Some(address), None) | (None, Some(address)) => format!("{event}: {address}"),
        (None, None) => event,
    }
}
