//! `rtp show session`: the timeline of one session, and why there is no audio.

use std::time::Instant;

use asterisk::cli::{Command, Invocation, Outcome};
use asterisk::cli_print;

use crate::clock;
use crate::diagnosis::story::{self, Told};

/// The command that tells the story of one call.
pub const SHOW_SESSION: Command = Command {
    words: c"rtp show session",
    summary: c"Show what happened in one call, and why there is no audio",
    usage: c"Usage: rtp show session <port|channel|Call-ID>\n       Shows the events of the call with their times, and the likely cause if\n       there is no audio. A call is named by our port for media, by its channel, or\n       by the Call-ID of its SIP.\n",
    run: show_session,
};

fn show_session(invocation: &Invocation<'_>) -> Outcome {
    let Some(wanted) = invocation.argument(3) else { return Outcome::ShowUsage };
    let told = story::find(wanted);
    if told.is_empty() {
        cli_print!(invocation, "No call has the port, the channel or the Call-ID '{wanted}'");
        return Outcome::Failure;
    }
    told.iter().for_each(|told| print(invocation, told, clock::now()));
    Outcome::Success
}

fn print(invocation: &Invocation<'_>, told: &Told, now: Instant) {
    told.text(now).lines().for_each(|line| cli_print!(invocation, "{line}"));
}
