//! `rtp show relays`.

use asterisk::cli::{Command, Invocation, Outcome};
use asterisk::cli_print;

use crate::globals::globals;

/// The command about TURN servers.
pub const SHOW_RELAYS: Command = Command {
    words: c"rtp show relays",
    summary: c"Show the TURN servers and the relayed addresses",
    usage: c"Usage: rtp show relays\n       Shows the TURN servers, what went wrong with them last, and how many relayed\n       addresses are ready for calls.\n",
    run: show_relays,
};

fn show_relays(invocation: &Invocation<'_>) -> Outcome {
    let Some(globals) = globals() else { return Outcome::Failure };
    globals.relays().shown().iter().for_each(|line| cli_print!(invocation, "{line}"));
    Outcome::Success
}
