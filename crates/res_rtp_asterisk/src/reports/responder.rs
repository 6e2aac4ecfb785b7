//! Answers requests for `/webrtc/call`, on a thread of the host's HTTP server.

use std::borrow::Cow;
use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::time::Instant;

use asterisk::http::{Handler, Method, Request};
use asterisk::lock;

use super::askers::Askers;
use crate::diagnosis::dialog::Named;
use crate::diagnosis::story;
use crate::globals::globals;
use crate::pages::{self, BUSY, MOST_AT_ONCE, NOT_GET, Page, Refusal, UNLOADING, has_proxy};

/// `/webrtc/call` in the host's HTTP server.
static PAGE: Page<Responder> = Page::new();

/// The addresses that ask.
static ASKERS: Mutex<Askers> = Mutex::new(Askers::new());

/// Adds `/webrtc/call` to the HTTP server or removes it. Nothing of the HTTP server is used while it is off.
pub fn configure(is_on: bool) {
    PAGE.configure(is_on);
}

/// Removes `/webrtc/call` and waits for the requests that are being answered.
pub fn stop() {
    PAGE.configure(false);
}

struct Responder;

impl Handler for Responder {
    const URI: &CStr = c"webrtc/call";
    const DESCRIPTION: &CStr = c"Report of a call for its client";

    fn handle(request: Request<'_>) -> i32 {
        let inside = PAGE.enter();
        pages::respond(request, |request| answer(request, inside.others))
    }
}

const NOT_ALLOWED: Refusal =
    Refusal { status: 403, title: c"Forbidden", text: c"callreport_permit in rtp.conf does not have your address." };
const UNKNOWN: Refusal = Refusal { status: 404, title: c"Not Found", text: c"No call has this id and these tags." };
const TOO_MANY: Refusal =
    Refusal { status: 429, title: c"Too Many Requests", text: c"Too many requests. Wait a minute." };

/// Returns the whole response, or why there is none.
fn answer(request: &Request<'_>, others: usize) -> Result<Vec<u8>, Refusal> {
    let Some(globals) = globals() else { return Err(UNLOADING) };
    let ip = request.remote_address().map(|address| address.ip());
    let settings = globals.settings();
    // The path is removed a moment after it was switched off.
    if !settings.call_reports.is_on {
        return Err(UNKNOWN);
    }
    if !settings.call_reports.allows(ip, has_proxy(request)) {
        return Err(NOT_ALLOWED);
    }
    if !matches!(request.method(), Method::Get | Method::Head) {
        return Err(NOT_GET);
    }
    if others >= MOST_AT_ONCE {
        return Err(BUSY);
    }
    let (ip, now) = (ip.unwrap_or(UNKNOWN_ADDRESS), Instant::now());
    if !lock(&ASKERS).allows(now, ip) {
        return Err(TOO_MANY);
    }
    let [call_id, from_tag, to_tag] = ["id", "from-tag", "to-tag"].map(|name| parameter(request, name));
    let named = Named { call_id: &call_id, from_tag: &from_tag, to_tag: &to_tag };
    let report = story::report(&globals, named).ok_or_else(|| {
        lock(&ASKERS).note_guess(now, ip);
        UNKNOWN
    })?;
    Ok(pages::found(request, HEADERS, &report))
}

fn parameter<'a>(request: &Request<'a>, name: &str) -> Cow<'a, str> {
    request.parameters().iter().find(|(known, _)| known == name).map(|(_, value)| value).unwrap_or_default()
}

/// Pages of other origins get nothing, and nothing guesses what the response is.
const HEADERS: &str = "Content-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n";

/// Stands for all clients whose address the host does not know.
const UNKNOWN_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
