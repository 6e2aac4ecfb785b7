//! `websocket show sessions`, `websocket show session <id>`, `websocket show settings`, `websocket close <id>`,
//! `websocket set debug {on|off|<address>}`.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use asterisk::cli::{Command, Invocation, Outcome};
use asterisk::cli_print;
use asterisk::debug::Only;
use asterisk::log::OneLine;
use asterisk::node;
use sip_dialect::Rules;
use websocket::CloseCode;

use crate::drain;
use crate::report::{Peer, SHOWN};
use crate::running::running;
use crate::session::{Session, Snapshot};

/// The console commands of this module.
pub static COMMANDS: [Command; 6] = [
    Command {
        words: c"websocket show sessions",
        summary: c"Show WebSocket sessions",
        usage: c"Usage: websocket show sessions\n       Shows every open session, and how many were accepted, refused and ended,\n       with the reasons.\n",
        run: show_sessions,
    },
    Command {
        words: c"websocket show session",
        summary: c"Show one WebSocket session",
        usage: c"Usage: websocket show session <id>\n       Shows its client, its state, its traffic and the output that waits.\n",
        run: show_session,
    },
    Command {
        words: c"websocket show settings",
        summary: c"Show the settings of websocket.conf",
        usage: c"Usage: websocket show settings\n       Shows the settings that apply to new sessions.\n",
        run: show_settings,
    },
    Command {
        words: c"websocket close",
        summary: c"End a WebSocket session",
        usage: c"Usage: websocket close <id>\n       Sends a Close frame with code 1000 and ends the session.\n",
        run: close,
    },
    Command {
        words: c"websocket set debug",
        summary: c"Show the messages of WebSocket sessions, or stop showing them",
        usage: c"Usage: websocket set debug {on|off|<address>[:port]}\n       Shows every message, decrypted, or with an address those of one client.\n       Shown are at most 25 messages a second of one session and 50 of all, and\n       at most 200 lines and 16 KiB of each.\n",
        run: set_debug,
    },
    Command {
        words: c"webrtc drain",
        summary: c"Take no more WebSockets and calls, and keep those that are up",
        usage: c"Usage: webrtc drain [on|off]\n       Requests for a WebSocket get 503 and Retry-After, and so do INVITEs that\n       would begin a call over one. Sessions and calls that are up go on. Calls\n       by UDP and TCP are the host's: core stop gracefully refuses them too, and\n       ends the host with its last call.\n",
        run: drain::command,
    },
];

fn show_sessions(invocation: &Invocation<'_>) -> Outcome {
    let Some(running) = running() else { return Outcome::Failure };
    let sessions = running.worker.tasks().all();
    node::print_name(invocation);
    cli_print!(
        invocation,
        "{:>6} {:<10} {:<4} {:<40} {:>9} {:>9} {:>9}",
        "Id",
        "Protocol",
        "",
        "Client",
        "Up",
        "In",
        "Out"
    );
    for session in &sessions {
        let Some(Snapshot { traffic, .. }) = session.snapshot() else { continue };
        cli_print!(
            invocation,
            "{:>6} {:<10} {:<4} {:<40} {:>9} {:>9} {:>9}",
            session.id(),
            session.protocol().name(),
            if session.is_secure() { "wss" } else { "ws" },
            Peer(session.client().address).to_string(),
            Time(traffic.began.elapsed()).to_string(),
            traffic.messages_in,
            traffic.messages_out
        );
    }
    cli_print!(invocation, "{} sessions; {}", sessions.len(), running.counters);
    let remembered = running.counters.remembered(sessions.len());
    if remembered > 0 {
        cli_print!(invocation, "{remembered} more have ended, and their protocols still hold references to them");
    }
    let mended: Vec<String> = running
        .counters
        .sip()
        .filter(|(_, count)| *count > 0)
        .map(|(rule, count)| format!("{rule}: {count}"))
        .collect();
    if !mended.is_empty() {
        cli_print!(invocation, "SIP messages mended: {}", mended.join(", "));
    }
    Outcome::Success
}

fn show_session(invocation: &Invocation<'_>) -> Outcome {
    let session = match named(invocation, 3) {
        Ok(session) => session,
        Err(outcome) => return outcome,
    };
    let client = session.client();
    let Some(Snapshot { traffic, queued, compressed, state }) = session.snapshot() else {
        cli_print!(invocation, "The session failed inside the module; it goes when its protocol releases it");
        return Outcome::Success;
    };
    let or_none = |text: &Option<String>| OneLine(text.as_deref().unwrap_or("none")).to_string();
    cli_print!(
        invocation,
        "Session:     {}\nProtocol:    {} over {}\nClient:      {}\nConnection:  {}\nOrigin:      {}\nUser agent:  {}\nState:       {state}\nUp:          {}\nLast heard:  {} ago\nReceived:    {} messages, {} octets, {} keepalives of CRLF\nSent:        {} messages, {} octets\nQueued:      {queued} octets\nCompression: {}",
        session.id(),
        session.protocol().name(),
        if session.is_secure() { "wss" } else { "ws" },
        Peer(client.address),
        Peer(client.connection),
        or_none(&client.origin),
        or_none(&client.user_agent),
        Time(traffic.began.elapsed()),
        Time(traffic.heard.elapsed()),
        traffic.messages_in,
        traffic.bytes_in,
        traffic.keepalives,
        traffic.messages_out,
        traffic.bytes_out,
        if compressed { "permessage-deflate" } else { "none" }
    );
    Outcome::Success
}

fn show_settings(invocation: &Invocation<'_>) -> Outcome {
    let Some(running) = running() else { return Outcome::Failure };
    let settings = running.settings();
    let count = |count: Option<u32>| count.map_or("unlimited".to_owned(), |count| count.to_string());
    let time = |time: Option<Duration>| time.map_or("off".to_owned(), |time| format!("{} s", time.as_secs()));
    let origins = settings.allowed_origins.as_ref().map_or("all".to_owned(), |origins| list(origins));
    cli_print!(
        invocation,
        "Message size:         {} octets ({} for echo)\nQueued output:        {} octets\nPING after:           {}\nPONG within:          {} s\nCompression:          {}\nAllowed origins:      {origins}\nSessions:             {}\nSessions per address: {}\nFirst message within: {}\nMessages per second:  {}\nTrusted proxies:      {}\nDescriptor reserve:   {}\nSIP rules:            {}",
        settings.max_message_len,
        settings.echo_max_message_len,
        settings.max_queued_output,
        time(settings.ping_after),
        settings.pong_timeout.as_secs(),
        if settings.compression { "yes" } else { "no" },
        count(settings.max_sessions),
        count(settings.max_sessions_per_address),
        time(settings.first_message_timeout),
        count(settings.max_messages_per_second),
        list(&settings.trusted_proxies),
        settings.descriptor_reserve,
        if settings.sip_rules == Rules::NONE { "none".to_owned() } else { settings.sip_rules.to_string() }
    );
    Outcome::Success
}

fn list(entries: &[impl Display]) -> String {
    match entries {
        [] => "none".to_owned(),
        entries => entries.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn close(invocation: &Invocation<'_>) -> Outcome {
    match named(invocation, 2) {
        Ok(session) => {
            session.close(CloseCode::NORMAL);
            cli_print!(invocation, "Session {} is being closed", session.id());
            Outcome::Success
        }
        Err(outcome) => outcome,
    }
}

/// Finds the session whose id is the argument at `index`.
fn named(invocation: &Invocation<'_>, index: usize) -> Result<Arc<Session>, Outcome> {
    let id = invocation.argument(index).and_then(|word| word.parse().ok()).ok_or(Outcome::ShowUsage)?;
    let session = running().and_then(|running| running.worker.tasks().get(id));
    session.ok_or_else(|| {
        cli_print!(invocation, "There is no session {id}");
        Outcome::Failure
    })
}

fn set_debug(invocation: &Invocation<'_>) -> Outcome {
    match invocation.argument(3) {
        Some("on") => {
            SHOWN.turn_on(None);
            cli_print!(invocation, "WebSocket messages are shown");
        }
        Some("off") => {
            SHOWN.turn_off();
            cli_print!(invocation, "WebSocket messages are not shown");
        }
        Some(address) => {
            let Some(only) = Only::parse(address) else {
                cli_print!(invocation, "'{address}' is not an IP address");
                return Outcome::Failure;
            };
            SHOWN.turn_on(Some(only));
            cli_print!(invocation, "WebSocket messages of {address} are shown");
        }
        None => return Outcome::ShowUsage,
    }
    Outcome::Success
}

/// Formats as hours, minutes and seconds.
struct Time(Duration);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        write!(f, "{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}
