//! `rtp set capture`: a file for Wireshark.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use asterisk::cli::{Command, Invocation, Outcome};
use asterisk::cli_print;
use asterisk::debug::Only;
use capture::Limits;

use crate::diagnosis::capture::{self as captures, Choice, Trouble};
use crate::globals::globals;
use crate::session::Session;

/// The command that begins and ends a capture.
pub const SET_CAPTURE: Command = Command {
    words: c"rtp set capture",
    summary: c"Write what calls send and receive into a file for Wireshark",
    usage: c"Usage: rtp set capture <channel|Call-ID|port|address|all> <file> [<size>] [<time>]\n       rtp set capture off\n       Writes SIP of WebSockets, RTP and RTCP in clear, DTLS and STUN into a new\n       file (pcapng), which only its owner may read: of one call, named by its\n       channel, its Call-ID or our port; of one peer, named by its IP address, with\n       or without port; or of all calls. It ends after capture_size or\n       capture_time of rtp.conf (100MB and 10min unless set), or after the size\n       and time that are given, such as 500MB or 2h, or when turned off.\n",
    run: set_capture,
};

fn set_capture(invocation: &Invocation<'_>) -> Outcome {
    let words: Vec<&str> = invocation.arguments().skip(3).collect();
    match *words {
        [off] if off.eq_ignore_ascii_case("off") => stop(invocation),
        [wanted, file, ref limits @ ..] if limits.len() <= 2 => match begin(wanted, file, limits) {
            Ok(limits) => {
                cli_print!(invocation, "RTP Capture Enabled into {file}; it ends after {limits}");
                Outcome::Success
            }
            Err(why) => {
                cli_print!(invocation, "{why}");
                Outcome::Failure
            }
        },
        _ => Outcome::ShowUsage,
    }
}

fn stop(invocation: &Invocation<'_>) -> Outcome {
    match captures::stop() {
        Some(path) => {
            cli_print!(invocation, "RTP Capture Disabled: {} is complete", path.display());
            Outcome::Success
        }
        None => {
            cli_print!(invocation, "No capture is on");
            Outcome::Failure
        }
    }
}

/// Begins a capture. Returns its limits, or why it does not begin.
fn begin(wanted: &str, file: &str, limits: &[&str]) -> Result<Limits, String> {
    let path = Path::new(file);
    if !path.is_absolute() {
        return Err(format!("'{file}' is not an absolute path"));
    }
    let defaults = globals().map_or_else(Limits::default, |globals| globals.settings().capture);
    let limits = defaults.with_words(limits).map_err(|error| error.to_string())?;
    let (choice, sessions) = choose(wanted)?;
    let mark = captures::begin(choice, path, limits).map_err(|trouble| told(&trouble, file))?;
    for session in sessions {
        session.inform(|state| state.transport_mut().set_mark(mark));
    }
    asterisk::warning!(
        "RTP: a capture of '{wanted}' into {file} is on, which has what is said in clear. It ends after {limits}, or by 'rtp set \
         capture off'"
    );
    Ok(limits)
}

fn choose(wanted: &str) -> Result<(Choice, Vec<Arc<Session>>), String> {
    if wanted.eq_ignore_ascii_case("all") {
        return Ok((Choice::All, Vec::new()));
    }
    if let Some(only) = Only::parse(wanted) {
        return Ok((Choice::Peer(only), Vec::new()));
    }
    let call = globals().and_then(|globals| Choice::call(&globals, wanted));
    call.ok_or_else(|| format!("No call has the channel, the Call-ID or the port '{wanted}', and it is no IP address"))
}

fn told(trouble: &Trouble, file: &str) -> String {
    match trouble {
        Trouble::Busy(path) => {
            format!("A capture into {} is on; end it by 'rtp set capture off' first", path.display())
        }
        Trouble::System(error) if error.kind() == ErrorKind::AlreadyExists => {
            format!("'{file}' exists already, and a capture overwrites nothing")
        }
        Trouble::System(error) => format!("'{file}' cannot be written: {error}"),
    }
}
