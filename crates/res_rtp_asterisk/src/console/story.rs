//! `rtp show session` and `rtp show history`: the story of one call, and why there is no audio.

use std::time::SystemTime;

use asterisk::cli::{Command, Invocation, Outcome};
use asterisk::cli_print;
use asterisk::node;

use crate::diagnosis::story;
use crate::globals::globals;

/// The command that tells the story of one call.
pub const SHOW_SESSION: Command = Command {
    words: c"rtp show session",
    summary: c"Show what happened in one call, and why there is no audio",
    usage: c"Usage: rtp show session <port|channel|Call-ID>\n       Shows the events of the call with their times, and the likely cause if\n       there is no audio. A call is named by our port for media, by its channel, or\n       by the Call-ID of its SIP. It may have ended (rtp show history).\n",
    run: show_session,
};

/// The command that lists the calls that have ended.
pub const SHOW_HISTORY: Command = Command {
    words: c"rtp show history",
    summary: c"Show the last 100 calls that have ended, and what was wrong with them",
    usage: c"Usage: rtp show history\n       Shows for each of the last 100 calls that have ended its account, our port,\n       its duration, its Call-ID and the likely cause if there was no audio. Refused\n       calls and registrations of WebSocket clients are among them.\n",
    run: show_history,
};

fn show_session(invocation: &Invocation<'_>) -> Outcome {
    let Some(wanted) = invocation.argument(3) else { return Outcome::ShowUsage };
    let Some(globals) = globals() else { return Outcome::Failure };
    let texts: Vec<String> = story::find(wanted).iter().map(story::Told::text).collect();
    let ended =
        || globals.history().all().into_iter().rev().find(|ended| ended.names.iter().any(|name| name == wanted));
    let texts = if texts.is_empty() { ended().into_iter().map(|ended| ended.text).collect() } else { texts };
    if texts.is_empty() {
        cli_print!(invocation, "No call has the port, the channel or the Call-ID '{wanted}'");
        return Outcome::Failure;
    }
    node::print_name(invocation);
    texts.iter().flat_map(|text| text.lines()).for_each(|line| cli_print!(invocation, "{line}"));
    Outcome::Success
}

fn show_history(invocation: &Invocation<'_>) -> Outcome {
    let Some(globals) = globals() else { return Outcome::Failure };
    let all = globals.history().all();
    node::print_name(invocation);
    for ended in &all {
        let ago = SystemTime::now().duration_since(ended.at).unwrap_or_default().as_secs();
        cli_print!(invocation, "{ago} s ago: {}", ended.line);
    }
    cli_print!(invocation, "{} calls have ended", all.len());
    if globals.history().left_out() > 0 {
        cli_print!(
            invocation,
            "{} more came too fast to be kept, or were refused too often",
            globals.history().left_out()
        );
    }
    Outcome::Success
}
