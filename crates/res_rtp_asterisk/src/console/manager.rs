//! Actions of the manager interface, with what the console tells in words as JSON: `RTPShowSession` and `RTPShowHistory`.

use std::ffi::CStr;
use std::time::{SystemTime, UNIX_EPOCH};

use asterisk::Failed;
use asterisk::manager::{self, Action, Category, Headers, List, Registered, Request};

use crate::diagnosis::history::Ended;
use crate::diagnosis::story;
use crate::globals::globals;

/// Registers the actions, or none.
pub fn register() -> Result<[Registered; 2], Failed> {
    Ok([manager::register::<ShowSession>()?, manager::register::<ShowHistory>()?])
}

/// Tells one call, as `rtp show session` does.
struct ShowSession;

impl Action for ShowSession {
    const NAME: &'static CStr = c"RTPShowSession";
    const CATEGORIES: &'static [Category] = READERS;
    const SYNOPSIS: &'static CStr = c"Show what happened in one call, and why there is no audio";
    const DESCRIPTION: &'static CStr = c"Tells a call as 'rtp show session' does: an event RTPCall for each of its media\nsessions, with one line of JSON, then RTPShowSessionComplete.\nVariables:\n  Session: our port for media, the channel or the Call-ID. Required.\n  ActionID: optional.\n";

    fn run(request: &Request<'_>) -> Result<List, String> {
        let wanted = request.header(c"Session");
        if wanted.is_empty() {
            return Err("The header Session is missing: a port, a channel or a Call-ID".to_owned());
        }
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let items: Vec<_> = story::find(wanted).iter().map(|told| call(&told.story(time))).collect();
        let items = if items.is_empty() { ended(wanted).iter().map(ended_call).collect() } else { items };
        if items.is_empty() {
            return Err(format!("No such session: no call has the port, the channel or the Call-ID '{wanted}'"));
        }
        Ok(List { event: CALL, items })
    }
}

/// Lists the calls that have ended, as `rtp show history` does.
struct ShowHistory;

impl Action for ShowHistory {
    const NAME: &'static CStr = c"RTPShowHistory";
    const CATEGORIES: &'static [Category] = READERS;
    const SYNOPSIS: &'static CStr = c"Show the last 100 calls that have ended, and what was wrong with them";
    const DESCRIPTION: &'static CStr = c"Lists what 'rtp show history' lists, oldest first: an event RTPCall for each call\nthat has ended, with one line of JSON, then RTPShowHistoryComplete.\nVariables:\n  ActionID: optional.\n";

    fn run(_: &Request<'_>) -> Result<List, String> {
        let all = globals().map(|globals| globals.history().all()).unwrap_or_default();
        Ok(List { event: CALL, items: all.iter().map(ended_call).collect() })
    }
}

/// Finds the latest call of that name that has ended.
fn ended(wanted: &str) -> Option<Ended> {
    let all = globals()?.history().all();
    all.into_iter().rev().find(|ended| ended.names.iter().any(|name| name == wanted))
}

fn ended_call(ended: &Ended) -> Headers {
    call(&ended.told.story(ended.at.duration_since(UNIX_EPOCH).unwrap_or_default()))
}

fn call(json: &str) -> Headers {
    Headers::default().header("JSON", json)
}

/// A manager needs one of these for writing.
const READERS: &[Category] = &[Category::System, Category::Reporting];

/// The event about one call.
const CALL: &str = "RTPCall";
