//! `websocket.conf`. The host's original module has no such file; without it every limit on who may connect is off, as with
//! the original. A value that cannot be used is logged as an error with file, line and key, and the default applies.

use std::ops::RangeInclusive;
use std::time::Duration;

use asterisk::config::{Config, Load, Reload};
use sip_dialect::{Rule, Rules};
use websocket::forwarded::Network;
use websocket::origin::AllowedOrigin;

use crate::host::MENDS_SIP;

/// The settings of `websocket.conf`. A session keeps those that were in force when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The longest message, in bytes, that a protocol of another module gets.
    pub max_message_len: usize,
    /// The longest message, in bytes, that `echo` sends back. It may exceed the other limit: `echo` copies nothing onto a
    /// stack.
    pub echo_max_message_len: usize,
    /// The most output, in bytes, that may wait for a client.
    pub max_queued_output: usize,
    /// How long a client may be silent before it is sent a PING; `None` sends none.
    pub ping_after: Option<Duration>,
    /// How long a client may stay silent after a PING before its session ends.
    pub pong_timeout: Duration,
    /// Whether permessage-deflate (RFC 7692) is accepted.
    pub compression: bool,
    /// Origins of pages that may connect (RFC 6454); `None` allows all.
    pub allowed_origins: Option<Vec<AllowedOrigin>>,
    /// The most sessions at the same time; `None` sets no limit.
    pub max_sessions: Option<u32>,
    /// The most sessions of one address at the same time; `None` sets no limit.
    pub max_sessions_per_address: Option<u32>,
    /// How long a client has for its first message; `None` sets no limit.
    pub first_message_timeout: Option<Duration>,
    /// The most messages a second of one session, on average over ten seconds; `None` sets no limit.
    pub max_messages_per_second: Option<u32>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// The number of file descriptors that sessions leave to calls and to the host.
    pub descriptor_reserve: u32,
    /// The rules by which messages of the subprotocol `sip` are mended.
    pub sip_rules: Rules,
}

impl Default for Settings {
    fn default() -> Self {
        let connection = websocket::Config::default();
        Self {
            max_message_len: connection.max_message_len,
            echo_max_message_len: connection.max_message_len,
            max_queued_output: connection.max_queued_output,
            ping_after: connection.ping_after,
            pong_timeout: connection.pong_timeout,
            compression: false,
            allowed_origins: None,
            max_sessions: None,
            max_sessions_per_address: None,
            first_message_timeout: None,
            max_messages_per_second: None,
            trusted_proxies: Vec::new(),
            descriptor_reserve: 64,
            sip_rules: if MENDS_SIP { Rules::DEFAULT } else { Rules::NONE },
        }
    }
}

/// Limits of `maxmessagesize`, in bytes: chan_sip copies each message onto the stack of its thread.
const STACKED: RangeInclusive<usize> = 1024..=128 * 1024;

/// The outcome of reading the file.
pub enum Read {
    Settings(Box<Settings>),
    /// The file is the same as the last time.
    Unchanged,
    /// The file cannot be parsed, and the host has logged why. The limits that it sets are not known.
    Invalid,
}

impl Settings {
    /// Reads the file.
    pub fn read(reload: Reload) -> Read {
        match Config::load(c"websocket.conf", reload) {
            Load::Missing => Read::Settings(Box::default()),
            Load::Unchanged => Read::Unchanged,
            Load::Invalid => Read::Invalid,
            Load::Loaded(config) => {
                let settings = Self::from_file(&config);
                config.warn_of_the_rest();
                Read::Settings(Box::new(settings))
            }
        }
    }

    fn from_file(config: &Config) -> Self {
        let default = Self::default();
        let number = |key, range, default: usize| config.number(c"general", key, range, default);
        // 0 switches the limit off.
        let count = |key| Some(config.number(c"general", key, 0..=1_000_000, 0)).filter(|count| *count > 0);
        let seconds = |key, default| {
            let default: Option<Duration> = default;
            let seconds = config.number(c"general", key, 0..=86_400, default.map_or(0, |time| time.as_secs()));
            Some(Duration::from_secs(seconds)).filter(|time| !time.is_zero())
        };
        Self {
            max_message_len: number("maxmessagesize", STACKED, default.max_message_len),
            echo_max_message_len: number("echomaxmessagesize", 1024..=16 << 20, default.echo_max_message_len),
            max_queued_output: number("maxqueuedoutput", 16 * 1024..=16 << 20, default.max_queued_output),
            ping_after: seconds("pinginterval", default.ping_after),
            pong_timeout: Duration::from_secs(config.number(
                c"general",
                "pongtimeout",
                1..=86_400,
                default.pong_timeout.as_secs(),
            )),
            compression: config.boolean(c"general", "compression", default.compression),
            allowed_origins: list(
                config,
                "allowedorigins",
                "origins, such as https://phone.example",
                AllowedOrigin::parse,
            ),
            max_sessions: count("maxsessions"),
            max_sessions_per_address: count("maxsessionsperaddress"),
            first_message_timeout: seconds("firstmessagetimeout", None),
            max_messages_per_second: count("maxmessagerate"),
            trusted_proxies: list(config, "trustedproxies", "addresses or networks", |text| text.parse().ok())
                .unwrap_or_default(),
            descriptor_reserve: config.number(c"general", "descriptorreserve", 0..=65_536, default.descriptor_reserve),
            sip_rules: sip_rules(config),
        }
    }
}

/// Reads the section `[sip]`: a key for each rule, and all are on unless the file says otherwise, but for those that name the format
/// of the host which carries another. A host whose messages stay as they are has none of these keys.
fn sip_rules(config: &Config) -> Rules {
    let is_on = |rule: &Rule| match rule {
        Rule::Opus => is_carried(config, rule.name(), "g719"),
        Rule::Vp8 => is_carried(config, rule.name(), "mpeg4"),
        _ => config.boolean(c"sip", rule.name(), true),
    };
    Rule::ALL.into_iter().filter(|rule| MENDS_SIP && is_on(rule)).fold(Rules::NONE, Rules::with)
}

/// Reads the name of the host's format that carries another: there is one for each, or `no`.
fn is_carried(config: &Config, key: &str, carrier: &str) -> bool {
    let Some(entry) = config.get(c"sip", key) else { return false };
    let is_on = entry.value.trim().eq_ignore_ascii_case(carrier);
    if !is_on && entry.boolean() != Ok(false) {
        entry.bad(format!("{carrier} or no")).use_instead("no");
    }
    is_on
}

/// Reads a list of entries between commas from all lines with this key; `None` without such a line. A line that cannot be
/// read counts as an empty list, so that it allows nobody; ignoring it would allow everybody.
fn list<T>(config: &Config, key: &str, wanted: &str, parse: fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let mut all = None;
    for entry in config.all(c"general", key) {
        let texts = entry.value.split(',').map(str::trim).filter(|text| !text.is_empty());
        match texts.map(parse).collect::<Option<Vec<T>>>() {
            Some(some) => all.get_or_insert_with(Vec::new).extend(some),
            None => {
                entry.bad(format!("a list of {wanted}")).use_instead("nothing of it");
                all.get_or_insert_with(Vec::new);
            }
        }
    }
    all
}
