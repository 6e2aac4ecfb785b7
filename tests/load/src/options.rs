//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use e2e::dialog::Over;

use crate::stream::Codec;

/// The options of the command line, as `--help` prints them.
pub const USAGE: &str = "\
cargo xtask load [options]

  --calls N          calls at once (50); a bridged call has two legs
  --seconds N        length of the steady state in each round (5)
  --rounds N         rounds, of which medians are shown (5)
  --rate N           calls begun and ended per second (50)
  --kind KIND        plain, sdes, dtls or ice: the media of callers (plain); ice is DTLS over ICE, as browsers have it
  --shape SHAPE      echo, or bridge to a plain phone (echo)
  --over TRANSPORT   udp, or ws for a WebSocket for each caller, as browsers have it (ws for ice and Opus, udp for the others)
  --share            show the media modules' part of the CPU too, by perf
  --gcm              the caller's DTLS prefers AES-GCM
  --opus             compare echoed Opus with echoed G.711, both with ours, over WebSockets
  --capture          compare calls that `rtp set capture` writes into a file with calls that it does not, both with ours
  --watched          compare calls with metrics, a call log and call reports on with calls without, both with ours
  --ours DIR         modules to measure (built by the command, for the Asterisk of ASTERISK_PREFIX)
  --others DIR       modules to compare with (the originals of ASTERISK_PREFIX)
  --only SIDE        measure `ours` or `others` alone
  --limit            find the number of calls at which packets are lost, with the server on a processor of its own
  --web              measure WebSockets: the cost of an echo of 1 KiB, the memory of an idle session
  --table            measure everything that contrib/docs/performance.md has, with --seconds and --rounds, and write its table;
                     takes half an hour";

/// The protection and the transport of a leg's media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RTP.
    Plain,
    /// SRTP with keys in the description (RFC 4568).
    Sdes,
    /// SRTP with keys of DTLS (RFC 5764).
    Dtls,
    /// SRTP with keys of DTLS, over ICE.
    Ice,
}

impl Kind {
    /// All of them, with the names of the command line, which are those of the server's accounts too.
    pub const ALL: [(&str, Self); 4] =
        [("plain", Self::Plain), ("sdes", Self::Sdes), ("dtls", Self::Dtls), ("ice", Self::Ice)];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Whether its keys come by DTLS.
    pub fn is_dtls(self) -> bool {
        matches!(self, Self::Dtls | Self::Ice)
    }
}

/// The other end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The server's `Echo`.
    Echo,
    /// Another leg, which is plain.
    Bridge,
}

impl Shape {
    const ALL: [(&str, Self); 2] = [("echo", Self::Echo), ("bridge", Self::Bridge)];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, shape)| *shape == self).map_or("", |(name, _)| name)
    }
}

/// The usual transport of callers' SIP with this media.
fn usual(kind: Kind) -> Over {
    if kind == Kind::Ice { Over::Ws } else { Over::Udp }
}

/// One of the two sets of modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those that are compared with.
    Others,
    /// Those of this tree.
    Ours,
}

/// A load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Calls at once.
    pub calls: usize,
    /// The length of the steady state.
    pub steady: Duration,
    /// Calls begun and ended per second.
    pub rate: u32,
    /// The media of callers.
    pub kind: Kind,
    /// The other end of calls.
    pub shape: Shape,
    /// The transport of callers' SIP; `None` for the usual one.
    pub over: Option<Over>,
    /// The callers' DTLS prefers AES-GCM.
    pub gcm: bool,
    /// The codec of echoed calls is Opus.
    pub opus: bool,
    /// The part of the media modules is sampled.
    pub share: bool,
    /// A feature that is on.
    pub with: Option<With>,
}

/// A feature whose cost can be compared with calls without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    /// `rtp set capture all`.
    Capture,
    /// Metrics, a call log and call reports, which nobody reads.
    Watch,
}

/// A thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A load.
    Load,
    /// The number of calls of a load at which packets are lost.
    Limit,
    /// WebSockets.
    Web,
    /// Everything that the document has.
    Table,
}

/// The command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The thing to measure.
    pub task: Task,
    /// The load.
    pub load: Load,
    /// The number of rounds.
    pub rounds: usize,
    /// The directory of the modules to measure.
    pub ours: Option<PathBuf>,
    /// The directory of the modules to compare with.
    pub others: Option<PathBuf>,
    /// The sides to measure.
    pub sides: Vec<Side>,
}

impl Load {
    /// The codec of callers.
    pub fn codec(&self) -> Codec {
        if self.opus { Codec::Opus } else { Codec::Ulaw }
    }

    /// The transport of callers' SIP.
    pub fn over(&self) -> Over {
        self.over.unwrap_or(usual(self.kind))
    }
}

impl Options {
    /// Parses the words of a command line.
    ///
    /// # Errors
    /// A sentence that names the word which is wrong.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let (kind, shape, steady) = (Kind::Plain, Shape::Echo, Duration::from_secs(5));
        let load = Load {
            calls: 50,
            steady,
            rate: 50,
            kind,
            shape,
            over: None,
            gcm: false,
            opus: false,
            share: false,
            with: None,
        };
        let mut options =
            Self { task: Task::Load, load, rounds: 5, ours: None, others: None, sides: vec![Side::Others, Side::Ours] };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value.\n{USAGE}"));
            match word.as_str() {
                "--calls" => options.load.calls = number(word, value()?, 1..=2000)?,
                "--seconds" => options.load.steady = Duration::from_secs(number(word, value()?, 1..=3600)? as u64),
                "--rounds" => options.rounds = number(word, value()?, 1..=1000)?,
                "--rate" => options.load.rate = number(word, value()?, 1..=1000)? as u32,
                "--kind" => options.load.kind = named(word, value()?, &Kind::ALL)?,
                "--shape" => options.load.shape = named(word, value()?, &Shape::ALL)?,
                "--over" => options.load.over = Some(named(word, value()?, &[("udp", Over::Udp), ("ws", Over::Ws)])?),
                "--limit" => options.task = Task::Limit,
                "--web" => options.task = Task::Web,
                "--table" => options.task = Task::Table,
                "--share" => options.load.share = true,
                "--gcm" => options.load.gcm = true,
                "--opus" => options.load.opus = true,
                "--capture" => options.load.with = Some(With::Capture),
                "--watched" => options.load.with = Some(With::Watch),
                "--ours" => options.ours = Some(value()?.into()),
                "--others" => options.others = Some(value()?.into()),
                "--only" => {
                    options.sides = vec![named(word, value()?, &[("ours", Side::Ours), ("others", Side::Others)])?];
                }
                _ => return Err(format!("{word}: there is no such option.\n{USAGE}")),
            }
        }
        // The module of the WebSocket makes Opus understandable to the host. G.711 goes the same way.
        if options.load.opus && options.load.over.replace(Over::Ws) == Some(Over::Udp) {
            return Err("--opus: Opus is understood over WebSockets alone.".to_owned());
        }
        if options.load.opus && (options.load.shape != Shape::Echo || options.task != Task::Load) {
            return Err("--opus: only echoed calls can be compared.".to_owned());
        }
        if options.load.with.is_some() && (options.load.opus || options.task != Task::Load) {
            return Err("--capture and --watched are for a load of one codec.".to_owned());
        }
        Ok(options)
    }
}

fn number(option: &str, text: &str, range: std::ops::RangeInclusive<usize>) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("{option} {text}: a number from {} to {} is wanted.", range.start(), range.end()))
}

fn named<T: Copy>(option: &str, text: &str, all: &[(&str, T)]) -> Result<T, String> {
    let found = all.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        format!("{option} {text}: use {}.", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn every_option_has_its_place() {
        let options = parse(
            "--calls 300 --seconds 10 --rounds 3 --rate 20 --kind ice --shape bridge --over udp --share --gcm --ours a --others b --only ours --limit",
        )
        .unwrap();
        let steady = Duration::from_secs(10);
        let over = Some(Over::Udp);
        let load = Load {
            calls: 300,
            steady,
            rate: 20,
            kind: Kind::Ice,
            shape: Shape::Bridge,
            over,
            gcm: true,
            opus: false,
            share: true,
            with: None,
        };
        let (ours, others) = (Some("a".into()), Some("b".into()));
        let sides = vec![Side::Ours];
        assert_eq!(options, Options { task: Task::Limit, load, rounds: 3, ours, others, sides });
    }

    #[test]
    fn without_options_both_sides_echo_fifty_plain_calls() {
        let options = parse("").unwrap();
        assert_eq!((options.load.calls, options.load.kind, options.load.shape), (50, Kind::Plain, Shape::Echo));
        assert_eq!((options.rounds, options.sides), (5, vec![Side::Others, Side::Ours]));
    }

    #[test]
    fn opus_is_echoed_over_websockets() {
        let options = parse("--opus").unwrap();
        assert_eq!((options.load.kind, options.load.over(), options.load.opus), (Kind::Plain, Over::Ws, true));
        for wrong in ["--opus --over udp", "--opus --shape bridge", "--opus --limit"] {
            assert!(parse(wrong).unwrap_err().starts_with("--opus: "), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_word_is_named_with_what_is_possible() {
        assert_eq!(parse("--kind zrtp").unwrap_err(), "--kind zrtp: use plain, sdes, dtls, ice.");
        assert_eq!(parse("--calls many").unwrap_err(), "--calls many: a number from 1 to 2000 is wanted.");
        assert_eq!(parse("--calls 0").unwrap_err(), "--calls 0: a number from 1 to 2000 is wanted.");
        assert!(parse("--rounds").unwrap_err().starts_with("--rounds wants a value."));
        assert!(parse("--tset").unwrap_err().starts_with("--tset: there is no such option."));
    }
}
