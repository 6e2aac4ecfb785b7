//! Reads `rtp.conf`: every key of Asterisk's own module, `rtcpmux`, `consenttimeout`, `dtlsminversion`, `statistics` and `bridgethreads`; the keys of candidates are
//! read by `gathering/settings.rs`.
//!
//! An invalid value is logged as an error that names file, line and key, and the key keeps its default. Other keys are not
//! affected. A key that changes nothing is logged as well.

mod keys;

use std::ops::RangeInclusive;
use std::time::Duration;

use asterisk::config::{Config, Entry, Load, Reload};
use asterisk::rtp::Figures;
use capture::Limits;
use dtls_srtp::{MAX_DATAGRAM_LEN, MinVersion};
use rtp::rtcp::mux::Policy;

use crate::gathering::settings::Gathering;
use crate::metrics::settings::Metrics;
use crate::relay::settings::Relays;
use crate::reports::settings::CallReports;

/// The settings of `rtp.conf`. A session keeps the settings that were in force when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// First and last UDP port for media (`rtpstart`, `rtpend`).
    pub ports: (u16, u16),
    /// Whether the kernel computes UDP checksums (`rtpchecksums`).
    pub checksums: bool,
    /// Longest duration of a received digit whose end packet was lost, in samples at 8000 Hz (`dtmftimeout`).
    pub dtmf_timeout: u32,
    /// Time between two RTCP reports (`rtcpinterval`).
    pub rtcp_interval: Duration,
    /// Whether media is accepted from one learned source address only (`strictrtp`).
    pub strict_rtp: bool,
    /// Consecutive packets that make strict RTP switch to a new source address (`probation`).
    pub probation: u32,
    /// Whether sessions offer ICE (`icesupport`). The channel driver may still turn it off for a peer.
    pub ice: bool,
    /// Whether RTCP shares the RTP port (RFC 5761) in sessions with ICE and DTLS (`rtcpmux`). `Auto` offers `a=rtcp-mux` together
    /// with candidates of both components, and sends reports over the component that the peer's reports arrive on. `No` never
    /// offers it.
    pub rtcp_mux: Policy,
    /// Time without a sign of the peer after which a call with ICE ends, once consent is lost (RFC 7675) or the peer has closed its
    /// DTLS (`consenttimeout`). `None`, written as 0, means never.
    pub consent_timeout: Option<Duration>,
    /// The oldest version of DTLS that a handshake may agree on (`dtlsminversion`).
    pub dtls_min_version: MinVersion,
    /// Largest datagram of a DTLS handshake, in octets (`dtls_mtu`).
    pub dtls_mtu: u32,
    /// Which addresses are offered as candidates, and how further ones are found.
    pub gathering: Gathering,
    /// The TURN servers, and how many of their addresses are kept ready.
    pub relays: Relays,
    /// How statistics and events tell the figures that Asterisk 11's own module tells wrong (`statistics`).
    pub figures: Figures,
    /// Whether packets between two bridged phones pass by threads of our own, not by those of their channels (`bridgethreads`).
    pub bridge_threads: bool,
    /// The file that gets a line of JSON for each call that has ended (`calllog`); `None` for no file.
    pub call_log: Option<String>,
    /// The limits of a capture whose command names none (`capture_size`, `capture_time`).
    pub capture: Limits,
    /// Whether a client may read the report of its own call over HTTP, and from where.
    pub call_reports: CallReports,
    /// Whether there is a page for Prometheus, and for whom.
    pub metrics: Metrics,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ports: (5000, 31000),
            checksums: true,
            dtmf_timeout: 1200,
            rtcp_interval: Duration::from_secs(5),
            strict_rtp: true,
            probation: 4,
            ice: true,
            rtcp_mux: Policy::Auto,
            consent_timeout: Some(Duration::from_secs(DEFAULT_CONSENT_TIMEOUT.into())),
            dtls_min_version: MinVersion::default(),
            dtls_mtu: LARGEST_DTLS,
            gathering: Gathering::default(),
            relays: Relays::default(),
            figures: Figures::default(),
            bridge_threads: true,
            call_log: None,
            capture: Limits::default(),
            call_reports: CallReports::default(),
            metrics: Metrics::default(),
        }
    }
}

impl Settings {
    /// Reads `rtp.conf`. A missing file gives the defaults when the module is loaded. Returns `None` when the settings stay as they are:
    /// the file is unchanged, cannot be parsed, or is missing at a reload.
    pub fn load(reload: Reload) -> Option<Self> {
        let config = match Config::load(c"rtp.conf", reload) {
            Load::Loaded(config) => config,
            Load::Missing if reload == Reload::IfChanged => {
                asterisk::notice!("rtp.conf was not found, the settings stay as they are");
                return None;
            }
            Load::Missing => {
                asterisk::notice!("rtp.conf was not found, using defaults");
                return Some(Self::default());
            }
            Load::Unchanged | Load::Invalid => return None,
        };
        let acls = match Config::load(c"acl.conf", Reload::Always) {
            Load::Loaded(acls) => Some(acls),
            Load::Missing | Load::Unchanged | Load::Invalid => None,
        };
        let mut lines = Lines {
            entries: config.section(c"general").collect(),
            host_candidates: config.section(c"ice_host_candidates").collect(),
            acls: acls.iter().flat_map(Config::sections).map(|(name, entries)| (name, entries.collect())).collect(),
            problems: Vec::new(),
        };
        let settings = Self::read(&mut lines);
        lines.problems.iter().for_each(|problem| asterisk::error!("{problem}"));
        keys::remarks(&lines.entries).iter().for_each(|remark| asterisk::warning!("{remark}"));
        Some(settings)
    }

    fn read(lines: &mut Lines<'_>) -> Self {
        let default = Self::default();
        let interval = u32::try_from(default.rtcp_interval.as_millis()).unwrap_or(u32::MAX);
        let interval = lines.number("rtcpinterval", 500..=60_000, Outside::Nearest, interval);
        let consent = lines.number("consenttimeout", 0..=3600, Outside::Nearest, DEFAULT_CONSENT_TIMEOUT);
        Self {
            ports: lines.ports(default.ports),
            checksums: lines.boolean("rtpchecksums", default.checksums),
            dtmf_timeout: lines.number("dtmftimeout", 0..=64_000, Outside::Default, default.dtmf_timeout),
            rtcp_interval: Duration::from_millis(interval.into()),
            strict_rtp: lines.strict_rtp(default.strict_rtp),
            probation: lines.number("probation", 1..=1000, Outside::Default, default.probation),
            ice: lines.boolean("icesupport", default.ice),
            rtcp_mux: lines.mux(default.rtcp_mux),
            consent_timeout: Some(Duration::from_secs(consent.into())).filter(|timeout| !timeout.is_zero()),
            dtls_min_version: lines.dtls_version(default.dtls_min_version),
            dtls_mtu: lines.number("dtls_mtu", 256..=LARGEST_DTLS, Outside::Nearest, default.dtls_mtu),
            gathering: Gathering::read(lines),
            relays: Relays::read(&lines.entries, &mut lines.problems),
            figures: lines.figures(default.figures),
            bridge_threads: lines.boolean("bridgethreads", default.bridge_threads),
            call_log: lines.call_log(),
            capture: lines.capture(),
            call_reports: CallReports::read(lines),
            metrics: Metrics::read(lines),
        }
    }
}

/// The default of `consenttimeout` in seconds: the lifetime of consent (RFC 7675 §5.1).
const DEFAULT_CONSENT_TIMEOUT: u32 = 30;

/// The default and the limit of `dtls_mtu`.
const LARGEST_DTLS: u32 = MAX_DATAGRAM_LEN as u32;

/// The lines that settings are read from, and the errors found in them.
#[derive(Debug, Default)]
pub struct Lines<'a> {
    /// The lines of section `[general]`.
    pub entries: Vec<Entry<'a>>,
    /// The lines of section `[ice_host_candidates]`.
    pub host_candidates: Vec<Entry<'a>>,
    /// The sections of `acl.conf`.
    pub acls: Vec<(&'a str, Vec<Entry<'a>>)>,
    /// The errors found so far.
    pub problems: Vec<String>,
}

/// The value used for a number that is out of range, per key as in Asterisk's own module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// The nearest number in range.
    Nearest,
    /// The key's default.
    Default,
}

impl<'a> Lines<'a> {
    /// Returns the first entry of `key`: Asterisk's own module ignores repetitions.
    fn find(&self, key: &str) -> Option<Entry<'a>> {
        self.entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(key)).copied()
    }

    /// Returns the first entry of `key`, unless its value is empty.
    pub fn value(&self, key: &str) -> Option<Entry<'a>> {
        self.find(key).filter(|entry| !entry.value.trim().is_empty())
    }

    /// Takes note of an error. Returns the value that was read without one.
    pub fn usable<T>(&mut self, read: Result<T, String>) -> Option<T> {
        read.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// Reads a number. Notes an error if it is none or out of `range`, and returns `default` or what `outside` says.
    pub fn number(&mut self, key: &str, range: RangeInclusive<u32>, outside: Outside, default: u32) -> u32 {
        let Some(entry) = self.find(key) else { return default };
        let (first, last) = (*range.start(), *range.end());
        entry.number(range).unwrap_or_else(|bad| {
            let used = match entry.value.trim().parse::<i64>() {
                Ok(number) if outside == Outside::Nearest && number < i64::from(first) => first,
                Ok(_) if outside == Outside::Nearest => last,
                _ => default,
            };
            self.problems.push(format!("{bad}; using {used}"));
            used
        })
    }

    /// Reads yes or no. Notes an error if it is neither, and returns `default`.
    pub fn boolean(&mut self, key: &str, default: bool) -> bool {
        let Some(entry) = self.find(key) else { return default };
        entry.boolean().unwrap_or_else(|bad| {
            self.problems.push(format!("{bad}; using {}", if default { "yes" } else { "no" }));
            default
        })
    }

    /// Reads `calllog`, an absolute path.
    fn call_log(&mut self) -> Option<String> {
        let entry = self.value("calllog")?;
        let path = entry.value.trim();
        if !path.starts_with('/') {
            self.problems.push(format!("{}; using no file", entry.bad("an absolute path".to_owned())));
            return None;
        }
        Some(path.to_owned())
    }

    /// Reads `capture_size` and `capture_time`.
    fn capture(&mut self) -> Limits {
        let default = Limits::default();
        let size = self.limit("capture_size", ("a size from 1KB to 100GB", "100MB"), |limits| limits.octets != 0);
        let time = self.limit("capture_time", ("a time from 1s to 24h", "10min"), |limits| !limits.time.is_zero());
        Limits {
            octets: size.map_or(default.octets, |size| size.octets),
            time: time.map_or(default.time, |time| time.time),
        }
    }

    /// Reads a limit of captures that is of the kind of `is_kind`, which sees the other one as zero. An error tells which values there are,
    /// and the default.
    fn limit(&mut self, key: &str, (values, default): (&str, &str), is_kind: fn(&Limits) -> bool) -> Option<Limits> {
        let entry = self.find(key)?;
        let nothing = Limits { octets: 0, time: Duration::ZERO };
        let limit = nothing.with(entry.value.trim()).ok().filter(is_kind);
        if limit.is_none() {
            self.problems.push(format!("{}; using {default}", entry.bad(values.to_owned())));
        }
        limit
    }

    /// Reads `strictrtp`. Asterisk 16 has the word `seqno` for a probation by sequence numbers alone, which ours is.
    fn strict_rtp(&mut self, default: bool) -> bool {
        let is_seqno = self.find("strictrtp").is_some_and(|entry| entry.value.trim().eq_ignore_ascii_case("seqno"));
        is_seqno || self.boolean("strictrtp", default)
    }

    /// Reads first and last port. A range without room for two ports is an error and gives `default`.
    fn ports(&mut self, default: (u16, u16)) -> (u16, u16) {
        let first = self.port("rtpstart", default.0);
        let last = self.port("rtpend", default.1);
        if first < last {
            return (first, last);
        }
        // At least one of the keys is set, or the range would be the default one.
        if let Some(entry) = self.find("rtpend").or_else(|| self.find("rtpstart")) {
            let bad = entry.bad(format!("the end of a range that begins at {first} and ends at {last}"));
            self.problems.push(format!("{bad}; using {} to {}", default.0, default.1));
        }
        default
    }

    fn port(&mut self, key: &str, default: u16) -> u16 {
        // Every unprivileged port is allowed.
        u16::try_from(self.number(key, 1024..=65_535, Outside::Nearest, default.into())).unwrap_or(default)
    }

    fn mux(&mut self, default: Policy) -> Policy {
        let Some(entry) = self.find("rtcpmux") else { return default };
        match entry.boolean() {
            _ if entry.value.trim().eq_ignore_ascii_case("auto") => Policy::Auto,
            Ok(true) => Policy::Yes,
            Ok(false) => Policy::No,
            Err(_) => {
                self.problems.push(format!("{}; using auto", entry.bad("auto, yes or no".to_owned())));
                default
            }
        }
    }

    fn figures(&mut self, default: Figures) -> Figures {
        let Some(entry) = self.find("statistics") else { return default };
        match entry.value.trim().to_ascii_lowercase().as_str() {
            "correct" => Figures::Correct,
            "original" => Figures::Original,
            _ => {
                self.problems.push(format!("{}; using correct", entry.bad("correct or original".to_owned())));
                default
            }
        }
    }

    fn dtls_version(&mut self, default: MinVersion) -> MinVersion {
        let Some(entry) = self.find("dtlsminversion") else { return default };
        match entry.value.trim() {
            "1.0" => MinVersion::Dtls10,
            "1.2" => MinVersion::Dtls12,
            _ => {
                self.problems.push(format!("{}; using 1.2", entry.bad("1.0 or 1.2".to_owned())));
                default
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(written: &[(&'static str, &'static str)]) -> (Settings, Vec<String>) {
        let entry = |(line, (name, value))| Entry { name, value, file: "rtp.conf", line };
        let entries = (1..).zip(written.iter().copied()).map(entry).collect();
        let mut lines = Lines { entries, ..Lines::default() };
        let settings = Settings::read(&mut lines);
        (settings, lines.problems)
    }

    #[test]
    fn an_empty_file_is_the_defaults_of_the_original() {
        let (settings, problems) = read(&[]);
        assert_eq!((settings.ports, settings.dtmf_timeout), ((5000, 31_000), 1200));
        assert_eq!(settings.rtcp_interval, Duration::from_secs(5));
        assert_eq!((settings.strict_rtp, settings.probation, settings.ice), (true, 4, true));
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn every_key_is_read() {
        let (settings, problems) = read(&[
            ("rtpstart", "10000"),
            ("rtpend", "20000"),
            ("rtpchecksums", "no"),
            ("dtmftimeout", "3000"),
            ("rtcpinterval", "1000"),
            ("strictrtp", "no"),
            ("probation", "8"),
            ("icesupport", "false"),
            ("rtcpmux", "no"),
            ("consenttimeout", "45"),
            ("dtlsminversion", "1.0"),
            ("dtls_mtu", "600"),
            ("statistics", "original"),
            ("bridgethreads", "no"),
            ("calllog", "/var/log/asterisk/calls.json"),
            ("capture_size", "2GB"),
            ("capture_time", "30min"),
            ("callreport", "yes"),
            ("metrics", "yes"),
        ]);
        let expected = Settings {
            ports: (10_000, 20_000),
            checksums: false,
            dtmf_timeout: 3000,
            rtcp_interval: Duration::from_secs(1),
            strict_rtp: false,
            probation: 8,
            ice: false,
            rtcp_mux: Policy::No,
            consent_timeout: Some(Duration::from_secs(45)),
            dtls_min_version: MinVersion::Dtls10,
            dtls_mtu: 600,
            gathering: Gathering::default(),
            relays: Relays::default(),
            figures: Figures::Original,
            bridge_threads: false,
            call_log: Some("/var/log/asterisk/calls.json".to_owned()),
            capture: Limits { octets: 2_000_000_000, time: Duration::from_secs(1800) },
            call_reports: read(&[("callreport", "yes")]).0.call_reports,
            metrics: read(&[("metrics", "yes")]).0.metrics,
        };
        assert_eq!(settings, expected);
        assert_eq!(problems, [""; 0]);
        assert_eq!(read(&[("rtcpmux", "Auto")]).0.rtcp_mux, Policy::Auto);
        assert!(read(&[("strictrtp", "SeqNo")]).0.strict_rtp);
        assert_eq!(read(&[("rtcpmux", "on")]).0.rtcp_mux, Policy::Yes);
        assert_eq!(read(&[("consenttimeout", "0")]).0.consent_timeout, None);
    }

    #[test]
    fn a_broken_value_is_named_and_costs_its_own_key_only() {
        let broken = [
            ("rtpstart", "many"),
            ("rtpend", "70000"),
            ("dtmftimeout", "-1"),
            ("rtcpinterval", "10"),
            ("strictrtp", "perhaps"),
            ("probation", "0"),
            ("icesupport", ""),
            ("rtcpmux", "sometimes"),
            ("consenttimeout", "never"),
            ("dtlsminversion", "1.3"),
            ("dtls_mtu", "1500"),
            ("statistics", "wrong"),
            ("bridgethreads", "many"),
            ("calllog", "calls.json"),
            ("capture_size", "30min"),
            ("capture_time", "25h"),
            ("callreport", "some"),
            ("metrics", "some"),
        ];
        let (settings, problems) = read(&broken);
        let Settings { ports, rtcp_interval, .. } = settings;
        assert_eq!((ports, rtcp_interval), ((5000, 65_535), Duration::from_millis(500)));
        assert_eq!(settings, Settings { ports, rtcp_interval, ..Settings::default() });
        assert_eq!(problems.len(), broken.len());
        for (line, (key, value)) in (1..).zip(broken) {
            let start = format!("rtp.conf, line {line}: {key} = '{value}' is not ");
            assert!(problems.iter().any(|problem| problem.starts_with(&start)), "{start} in {problems:#?}");
        }
        assert!(problems.iter().all(|problem| problem.contains("; using ")));
    }

    #[test]
    fn comments_of_the_sample_are_the_defaults() {
        let sample = include_str!("../../../contrib/samples/rtp.conf").lines();
        let commented = sample.filter_map(|line| line.strip_prefix(';')?.split(" ;").next()?.split_once(" = "));
        let written: Vec<_> = commented.collect();
        let (settings, problems) = read(&written);
        assert_eq!(settings, Settings::default());
        assert_eq!(problems, [""; 0]);
        let keys: Vec<_> = sample_keys().collect();
        let missing: Vec<_> = keys::USED.iter().filter(|key| !keys.contains(key)).collect();
        assert!(missing.is_empty() && written.len() > 20, "{missing:?} {written:?}");
    }

    /// The keys that the sample shows in section `[general]`, commented or not.
    fn sample_keys() -> impl Iterator<Item = &'static str> {
        let lines = include_str!("../../../contrib/samples/rtp.conf").lines();
        lines.filter_map(|line| Some(line.strip_prefix(';').unwrap_or(line).split_once(" = ")?.0))
    }

    #[test]
    fn ports_that_are_no_range_are_the_default_range() {
        for written in [[("rtpstart", "20000"), ("rtpend", "10000")], [("rtpstart", "7000"), ("rtpend", "7000")]] {
            let (settings, problems) = read(&written);
            assert_eq!((settings.ports, problems.len()), ((5000, 31_000), 1));
        }
        assert_eq!(read(&[("rtpend", "1024")]).0.ports, (5000, 31_000));
    }

    #[test]
    fn of_a_key_that_is_there_twice_the_first_counts() {
        assert_eq!(read(&[("probation", "8"), ("Probation", "9")]).0.probation, 8);
    }
}
