//! The CLI commands `rtp set debug`, `rtcp set debug`, `rtcp set stats`, `rtp show settings`, `rtp show sessions`,
//! `rtp show gathering` and `rtp show relays`.

use std::sync::atomic::Ordering;
use std::time::Instant;

use asterisk::cli::{Command, Invocation, Outcome};
use asterisk::cli_print;
use asterisk::debug::{Only, Switch};

use super::debug;
use super::relay::SHOW_RELAYS;
use crate::globals::globals;
use crate::transport::ports;
use dtls_srtp::MinVersion;
use rtp::rtcp::mux::Policy;

/// The CLI commands that the module registers.
pub static COMMANDS: [Command; 7] = [
    Command {
        words: c"rtp set debug {on|off|ip}",
        summary: c"Turn the display of RTP packets on or off",
        usage: c"Usage: rtp set debug {on|off|ip host[:port]}\n       Shows every RTP packet. With 'ip' shows only packets to and from\n       that host, and that port if one is given.\n",
        run: |invocation| set_debug(invocation, &debug::RTP, "RTP"),
    },
    Command {
        words: c"rtcp set debug {on|off|ip}",
        summary: c"Turn the display of RTCP packets on or off",
        usage: c"Usage: rtcp set debug {on|off|ip host[:port]}\n       Shows every RTCP packet. With 'ip' shows only packets to and from\n       that host, and that port if one is given.\n",
        run: |invocation| set_debug(invocation, &debug::RTCP, "RTCP"),
    },
    Command {
        words: c"rtcp set stats {on|off}",
        summary: c"Turn the display of call statistics on or off",
        usage: c"Usage: rtcp set stats {on|off}\n       Shows the statistics of a call when it ends.\n",
        run: set_stats,
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
];

fn set_debug(invocation: &Invocation<'_>, switch: &Switch, what: &str) -> Outcome {
    let words: Vec<&str> = invocation.arguments().collect();
    match words.get(3..) {
        Some(["on"]) => {
            switch.turn_on(None);
            cli_print!(invocation, "{what} packets are shown");
        }
        Some(["off"]) => {
            switch.turn_off();
            cli_print!(invocation, "{what} packets are not shown");
        }
        Some(["ip", peer]) => {
            let Some(only) = Only::parse(peer) else {
                cli_print!(invocation, "'{peer}' is not an IP address");
                return Outcome::Failure;
            };
            switch.turn_on(Some(only));
            cli_print!(invocation, "{what} packets from and to {peer} are shown");
        }
        _ => return Outcome::ShowUsage,
    }
    Outcome::Success
}

fn set_stats(invocation: &Invocation<'_>) -> Outcome {
    let on = match invocation.argument(3) {
        Some("on") => true,
        Some("off") => false,
        _ => return Outcome::ShowUsage,
    };
    debug::STATISTICS.store(on, Ordering::Relaxed);
    cli_print!(invocation, "RTCP statistics are {}", if on { "shown" } else { "not shown" });
    Outcome::Success
}

fn show_settings(invocation: &Invocation<'_>) -> Outcome {
    let Some(globals) = globals() else { return Outcome::Failure };
    let settings = globals.settings();
    let yes = |value| if value { "yes" } else { "no" };
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
        MinVersion::Dtls10 => "1.0 and later",
        MinVersion::Dtls12 => "1.2 and later",
    };
    let (used, failures) = ports::usage();
    cli_print!(
        invocation,
        "Ports:         {} to {}, {used} pairs in use, none free for {failures} calls\nChecksums:     {}\nDTMF timeout:  {} samples\nRTCP interval: {} ms\nStrict RTP:    {}, probation {}\nICE:           {}\nRTCP mux:      {mux}\nConsent:       {consent}\nDTLS:          {dtls}, datagrams up to {} octets",
        settings.ports.0,
        settings.ports.1,
        yes(settings.checksums),
        settings.dtmf_timeout,
        settings.rtcp_interval.as_millis(),
        yes(settings.strict_rtp),
        settings.probation,
        yes(settings.ice),
        settings.dtls_mtu
    );
    Outcome::Success
}

fn show_gathering(invocation: &Invocation<'_>) -> Outcome {
    let Some(globals) = globals() else { return Outcome::Failure };
    globals.gatherer().shown().iter().for_each(|line| cli_print!(invocation, "{line}"));
    Outcome::Success
}

fn show_sessions(invocation: &Invocation<'_>) -> Outcome {
    let Some(globals) = globals() else { return Outcome::Failure };
    let sessions = globals.worker().tasks().all();
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
