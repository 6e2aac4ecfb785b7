//! `rtp.conf`. A value that cannot be used costs a clear error and leaves its default.

use std::time::{Duration, Instant};

use asterisk::config::{Config, Load, Reload};

use crate::rtcp::DEFAULT_INTERVAL;

/// What `rtp.conf` says. Sessions keep what it said when they began.
#[derive(Debug, Clone)]
pub struct Settings {
    /// First and last port.
    pub ports: (u16, u16),
    /// Whether the kernel computes UDP checksums.
    pub checksums: bool,
    /// How long a digit whose end was lost may last, in samples at 8000 Hz.
    pub dtmf_timeout: u32,
    /// Between two reports.
    pub rtcp_interval: Duration,
    /// Whether media is taken from one learned source alone.
    pub strict_rtp: bool,
    /// Packets in sequence that make a new source.
    pub probation: u32,
    /// Whether ICE is offered where the peer's configuration in chan_sip allows it.
    pub ice: bool,
    /// How RTCP is multiplexed with WebRTC peers.
    pub rtcp_mux: Mux,
    /// When the module was loaded: the origin of the grid of [`crate::watch`].
    pub origin: Instant,
}

/// `rtcpmux`: RTCP on the same port as RTP (RFC 5761), with ICE and DTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mux {
    /// `a=rtcp-mux` is printed along with candidates of both components; reports go where the peer's
    /// own come from.
    Auto,
    /// One component only.
    Yes,
    /// Never printed; reports go over component 2.
    No,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ports: (5000, 31000),
            checksums: true,
            dtmf_timeout: 1200,
            rtcp_interval: DEFAULT_INTERVAL,
            strict_rtp: true,
            probation: 4,
            ice: true,
            rtcp_mux: Mux::Auto,
            origin: Instant::now(),
        }
    }
}

impl Settings {
    /// Reads the file; `None` when it has not changed since it was read, or is not to be understood.
    pub fn load(reload: Reload) -> Option<Self> {
        match Config::load(c"rtp.conf", reload) {
            Load::Loaded(config) => Some(Self::from_config(&config)),
            Load::Missing => {
                asterisk::notice!("rtp.conf is not there, using defaults");
                Some(Self::default())
            }
            Load::Unchanged | Load::Invalid => None,
        }
    }

    fn from_config(config: &Config) -> Self {
        let default = Self::default();
        let interval = clamped(config, "rtcpinterval", 500..=60_000, default.rtcp_interval.as_millis() as u64);
        report_what_is_left_for_later(config);
        Self {
            ports: ports(config, default.ports),
            checksums: config.boolean(SECTION, "rtpchecksums", default.checksums),
            dtmf_timeout: config.number(SECTION, "dtmftimeout", 0..=64_000, default.dtmf_timeout),
            rtcp_interval: Duration::from_millis(interval),
            strict_rtp: config.boolean(SECTION, "strictrtp", default.strict_rtp),
            probation: config.number(SECTION, "probation", 1..=1000, default.probation),
            ice: config.boolean(SECTION, "icesupport", default.ice),
            rtcp_mux: mux(config, default.rtcp_mux),
            origin: default.origin,
        }
    }
}

/// The range as a whole: one half of it, or one that leaves no pair of ports, is no range.
fn ports(config: &Config, default: (u16, u16)) -> (u16, u16) {
    let bound = |key, default: u16| clamped(config, key, 1024..=65_535, u64::from(default)) as u16;
    let (first, last) = (bound("rtpstart", default.0), bound("rtpend", default.1));
    if first < last {
        return (first, last);
    }
    asterisk::error!(
        "rtp.conf: rtpstart = {first} and rtpend = {last} leave no ports; using {} to {}",
        default.0,
        default.1
    );
    default
}

/// A number; one that is out of range becomes the nearest that is in it, which has always been so.
fn clamped(config: &Config, key: &str, range: std::ops::RangeInclusive<u64>, default: u64) -> u64 {
    let Some(entry) = config.get(SECTION, key) else { return default };
    entry.number(range.clone()).unwrap_or_else(|bad| {
        let nearest = entry.value.trim().parse::<i64>().ok().map(|number| {
            let number = u64::try_from(number).unwrap_or(0);
            number.clamp(*range.start(), *range.end())
        });
        bad.use_instead(nearest.unwrap_or(default))
    })
}

fn mux(config: &Config, default: Mux) -> Mux {
    let Some(entry) = config.get(SECTION, "rtcpmux") else { return default };
    match entry.value.trim().to_ascii_lowercase().as_str() {
        "auto" => Mux::Auto,
        "yes" | "true" | "on" | "1" => Mux::Yes,
        "no" | "false" | "off" | "0" => Mux::No,
        _ => {
            entry.bad("auto, yes or no".to_owned()).use_instead("auto");
            default
        }
    }
}

/// Keys of the original that are understood and not in force yet.
fn report_what_is_left_for_later(config: &Config) {
    for key in ["stunaddr", "turnaddr"] {
        if let Some(entry) = config.get(SECTION, key).filter(|entry| !entry.value.trim().is_empty()) {
            let (file, line, value) = (entry.file, entry.line, entry.value);
            asterisk::warning!(
                "{file}, line {line}: {key} = '{value}' is ignored: candidates are gathered from interfaces only"
            );
        }
    }
}

const SECTION: &std::ffi::CStr = c"general";
