//! The CLI commands `rtp set debug`, `rtcp set debug`, `rtcp set stats` and `rtp show settings`, which answer as those of Asterisk's
//! own module, and ours: `rtp set detail`, `rtp show sessions`, `rtp show gathering`, `rtp show relays`,
//! `rtp show session` and `rtp set capture`.

use std::sync::atomic::Ordering;
use std::time::Instant;

use asterisk::cli::{Command, Invocation, Outcome};
use asterisk::cli_print;
use asterisk::debug::{Only, Switch};
use asterisk::node;
use asterisk::rtp::{DEBUGGING, Figures};

use super::capture::SET_CAPTURE;
use super::debug;
use super::relay::SHOW_RELAYS;
use super::story::{SHOW_HISTORY, SHOW_SESSION};
use crate::config::Settings;
use crate::globals::globals;
use crate::selftest::SELFTEST;
use crate::transport::ports;
use dtls_srtp::MinVersion;
use rtp::rtcp::mux::Policy;

/// The CLI commands that the module registers.
pub static COMMANDS: [Command; 12] = [
    Command {
        words: c"rtp set debug {on|off|ip}",
        summary: c"Turn the display of RTP packets on or off",
        usage: c"Usage: rtp set debug {on|off|ip host[:port]}\n       Shows every RTP packet. With 'ip' shows only packets to and from\n       that host, and that port if one is given.\n",
        run: |invocation| set(invocation, &debug::RTP, "RTP", DEBUGGING),
    },
    Command {
        words: c"rtcp set debug {on|off|ip}",
        summary: c"Turn the display of RTCP packets on or off",
        usage: c"Usage: rtcp set debug {on|off|ip host[:port]}\n       Shows every RTCP packet. With 'ip' shows only packets to and from\n       that host, and that port if one is given.\n",
        run: |invocation| set(invocation, &debug::RTCP, "RTCP", DEBUGGING),
    },
    Command {
        words: c"rtcp set stats {on|off}",
        summary: c"Turn the display of call statistics on or off",
        usage: c"Usage: rtcp set stats {on|off}\n       Shows the statistics of a call when it ends.\n",
        run: set_stats,
    },
    Command {
        words: c"rtp set detail {on|off|ip}",
        summary: c"Turn the display of refused and unsent packets on or off",
        usage: c"Usage: rtp set detail {on|off|ip host[:port]}\n       Shows every packet that was refused or not sent, with the reason, and\n       our requests for pictures. With 'ip' shows only those from and to that\n       host, and that port if one is given.\n",
        run: |invocation| set(invocation, &debug::DETAIL, "RTP", "Detail"),
    },
    Command {
        words: c"rtp show settings",
        summary: c"Show the settings of rtp.conf",
        usage: c"Usage: rtp show settings\n       Shows the settings that new calls will use.\n",
        run: show_settings,
    },
    Command {
        words: c"rtp show sessions",
        summary: c"Show whether media flows, and why not",
        usage: c"Usage: rtp show sessions\n       Shows for each media session whether media flows, and if not, what it\n       waits for: ICE, DTLS, keys, the peer, or the channel.\n",
        run: show_sessions,
    },
    Command {
        words: c"rtp show gathering",
        summary: c"Show our public addresses and the STUN server",
        usage: c"Usage: rtp show gathering\n       Shows the STUN server, our addresses as it sees them, the last error, and\n       how many sockets are kept ready behind a NAT that changes ports.\n",
        run: show_gathering,
    },
    SHOW_RELAYS,
    SHOW_SESSION,
    SHOW_HISTORY,
    SELFTEST,
    SET_CAPTURE,
];

fn set(invocation: &Invocation<'_>, switch: &Switch, protocol: &str, what: &str) -> Outcome {
    let words: Vec<&str> = invocation.arguments().collect();
    let wish = Wish::of(words.get(3..).unwrap_or_default());
    let what = format!("{protocol} {what}");
    match wish {
        Some(Wish::On) => {
            switch.turn_on(None);
            cli_print!(invocation, "{what} Enabled");
        }
        Some(Wish::Off) => {
            switch.turn_off();
            cli_print!(invocation, "{what} Disabled");
        }
        Some(Wish::Only(host)) => {
            let Some(only) = Only::look_up(host) else {
                cli_print!(invocation, "Lookup failed for '{host}'");
                return Outcome::Failure;
            };
            switch.turn_on(Some(only));
            cli_print!(invocation, "{what} Enabled for address: {}", only.address());
        }
        None => return Outcome::ShowUsage,
    }
    Outcome::Success
}

/// The wish of an operator who types `set debug`.
#[derive(Debug, PartialEq, Eq)]
enum Wish<'a> {
    On,
    Off,
    /// Packets from and to this host.
    Only(&'a str),
}

impl<'a> Wish<'a> {
    /// Reads the words behind `set debug`, in any case. The word in front of a host is not looked at, as in Asterisk's own module.
    fn of(words: &[&'a str]) -> Option<Self> {
        match *words {
            [on] if on.eq_ignore_ascii_case("on") => Some(Self::On),
            [off] if off.eq_ignore_ascii_case("off") => Some(Self::Off),
            [_, host] => Some(Self::Only(host)),
            _ => None,
        }
    }
}

fn set_stats(invocation: &Invocation<'_>) -> Outcome {
    let words: Vec<&str> = invocation.arguments().collect();
    let on = match Wish::of(words.get(3..).unwrap_or_default()) {
        Some(Wish::On) => true,
        Some(Wish::Off) => false,
        _ => return Outcome::ShowUsage,
    };
    debug::STATISTICS.store(on, Ordering::Relaxed);
    cli_print!(invocation, "RTCP Stats {}", if on { "Enabled" } else { "Disabled" });
    Outcome::Success
}

fn show_settings(invocation: &Invocation<'_>) -> Outcome {
    let Some(globals) = globals() else { return Outcome::Failure };
    cli_print!(invocation, "{}", shown(&globals.settings()));
    Outcome::Success
}

/// Formats the settings: first those of Asterisk 16's own module in its words, then ours.
fn shown(settings: &Settings) -> String {
    let yes = |value| if value { "Yes" } else { "No" };
    let mux = match settings.rtcp_mux {
        Policy::Auto => "auto",
        Policy::Yes => "yes",
        Policy::No => "no",
    };
    let consent = settings.consent_timeout.map_or_else(
        || "a call whose peer is gone stays up".to_owned(),
        |timeout| format!("a call ends after {} s without its peer", timeout.as_secs()),
    );
    let dtls = match settings.dtls_min_version {
        MinVersion::Dtls10 => "1.0 or 1.2",
        MinVersion::Dtls12 => "1.2",
    };
    let (used, failures) = ports::usage();
    let metrics = if settings.metrics.is_on { "/metrics of the HTTP server" } else { "off" };
    let reports = if settings.call_reports.is_on { "/webrtc/call of the HTTP server" } else { "off" };
    let figures = match settings.figures {
        Figures::Correct => "correct",
        Figures::Original => "original",
    };
    format!(
        "\n\nGeneral Settings:\n----------------\n  Port start:      {}\n  Port end:        {}\n  Checksums:       {}\n  \
         DTMF Timeout:    {}\n  Strict RTP:      {}\n  Probation:       {} frames\n  Replay Protect:  Yes\n  \
         ICE support:     {}\n  RTCP interval:   {} ms\n  RTCP mux:        {mux}\n  Consent:         {consent}\n  \
         DTLS:            {dtls}\n  Statistics:      {figures}\n  \
         DTLS MTU:        {}\n  Metrics:         {metrics}\n  \
         Call reports:    {reports}\n  Captures:        end after {}\n  Ports in use:    {used} pairs, none free for {failures} calls",
        settings.ports.0,
        settings.ports.1,
        yes(settings.checksums),
        settings.dtmf_timeout,
        yes(settings.strict_rtp),
        settings.probation,
        yes(settings.ice),
        settings.rtcp_interval.as_millis(),
        settings.dtls_mtu,
        settings.capture,
    )
}

fn show_gathering(invocation: &Invocation<'_>) -> Outcome {
    let Some(globals) = globals() else { return Outcome::Failure };
    globals.gatherer().shown().iter().for_each(|line| cli_print!(invocation, "{line}"));
    Outcome::Success
}

fn show_sessions(invocation: &Invocation<'_>) -> Outcome {
    let Some(globals) = globals() else { return Outcome::Failure };
    let sessions = globals.worker().tasks().all();
    node::print_name(invocation);
    for session in &sessions {
        match session.with(|state| state.shown(Instant::now())) {
            Some(shown) => cli_print!(invocation, "{shown}"),
            None => cli_print!(
                invocation,
                "A session has failed after an internal error. It disappears when its call ends.\n"
            ),
        }
    }
    cli_print!(invocation, "{} RTP sessions", sessions.len());
    match globals.endings().ended() {
        0 => {}
        ended => cli_print!(invocation, "{ended} calls were ended because their peer was gone (consenttimeout)"),
    }
    Outcome::Success
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_case() {
        assert_eq!(Wish::of(&["on"]), Some(Wish::On));
        assert_eq!(Wish::of(&["ON"]), Some(Wish::On));
        assert_eq!(Wish::of(&["Off"]), Some(Wish::Off));
        assert_eq!(Wish::of(&["IP", "phone.example:4000"]), Some(Wish::Only("phone.example:4000")));
        for wrong in [&[][..], &["ip"], &["once"], &["ip", "192.0.2.1", "4000"]] {
            assert_eq!(Wish::of(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn settings_are_shown_in_the_words_of_asterisk_16() {
        let shown = shown(&Settings::default());
        let expected = [
            "General Settings:",
            "----------------",
            "  Port start:      5000",
            "  Port end:        31000",
            "  Checksums:       Yes",
            "  DTMF Timeout:    1200",
            "  Strict RTP:      Yes",
            "  Probation:       4 frames",
            "  Replay Protect:  Yes",
            "  ICE support:     Yes",
        ];
        assert_eq!(shown.trim_start().lines().take(10).collect::<Vec<_>>(), expected);
        assert!(shown.contains("\n  Statistics:      correct\n"), "{shown}");
        assert!(shown.contains("\n  Captures:        end after 100000 kB or 600 s\n"), "{shown}");
    }
}
