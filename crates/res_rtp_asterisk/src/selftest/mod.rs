//! `webrtc selftest`: tries inside the running host what a call of a browser needs, and names what is wrong with this installation, with
//! the file and the key to change.
//!
//! It runs on the console's thread, which may wait, and holds no lock while it waits. Each step has a limit of time, so that all of them
//! take ten seconds at most, one of a host that is well less than one. Its sessions are no calls: the history of calls, the metrics (but
//! for the ports in use), the manager's RTCP events, a capture and the pool of mapped sockets leave them out.

mod addresses;
mod call;
mod certificates;
mod http;
mod peer;
mod ports;
mod servers;
mod step;
mod websocket;

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use asterisk::cli::{Command, Invocation, Outcome};
use asterisk::cli_print;
use asterisk::fence::fence_crypto;
use asterisk::module::UseCount;
use asterisk::thread;

use crate::diagnosis::drivers;
use crate::globals::{Globals, globals};
use step::Step;

/// The command that tries the installation out.
pub const SELFTEST: Command = Command {
    words: c"webrtc selftest",
    summary: c"Try what a call of a browser needs, and show what is wrong with this installation",
    usage: c"Usage: webrtc selftest\n       Tries the clock, the WebSocket, addresses, RTP ports, certificates, the STUN\n       and TURN servers, and a call of this host with itself (ICE, DTLS, SRTP, RTCP)\n       over each address. Takes up to ten seconds. Calls that are up go on.\n",
    run: |invocation| {
        // The thread is the host's, and OpenSSL would leave something behind on it.
        fence_crypto("webrtc selftest", Outcome::Failure, || run(invocation))
    },
};

fn run(invocation: &Invocation<'_>) -> Outcome {
    let Some(globals) = globals() else { return Outcome::Failure };
    let Some(_turn) = Turn::begin() else {
        cli_print!(invocation, "Another self-test is running");
        return Outcome::Success;
    };
    let mut steps = Vec::new();
    each(&globals, |step| {
        cli_print!(invocation, "{step}");
        steps.push(step);
    });
    cli_print!(invocation, "{}", step::summary(&steps));
    // The host would add to a failure that the command has failed.
    Outcome::Success
}

/// The thread that runs the self-test, as the system numbers threads; 0 for none.
static THREAD: AtomicI32 = AtomicI32::new(0);

/// Returns whether this thread runs the self-test, so that a session made here is a part of it.
pub fn is_running_here() -> bool {
    let running = THREAD.load(Ordering::Relaxed);
    running != 0 && running == thread::id()
}

/// One run of the self-test at a time. The module stays loaded meanwhile: Asterisk 11 counts no use of a module for its commands.
struct Turn {
    _count: UseCount,
}

impl Turn {
    fn begin() -> Option<Self> {
        THREAD.compare_exchange(0, thread::id(), Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some(Self { _count: UseCount::take() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        THREAD.store(0, Ordering::Relaxed);
    }
}

/// Takes one step after the other.
fn each(globals: &Globals, mut tell: impl FnMut(Step)) {
    let settings = globals.settings();
    tell(addresses::clock(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()));
    http::steps(&mut tell);
    let bound = addresses::bound(drivers::of_browsers());
    let found = addresses::find(&bound, &settings.gathering);
    tell(addresses::step(&bound, &found));
    tell(ports::step(&bound, settings.ports));
    certificates::steps(globals, &mut tell);
    let end = Instant::now() + FOR_SERVERS;
    tell(servers::stun(globals, &settings, &found, end));
    tell(servers::turn(globals, &settings, end));
    call::steps(globals, &found, &mut tell);
}

/// Time that STUN and TURN servers have to answer.
const FOR_SERVERS: Duration = Duration::from_millis(1500);
