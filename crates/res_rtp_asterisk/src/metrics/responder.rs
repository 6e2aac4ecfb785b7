//! Answers requests for `/metrics`, on a thread of the host's HTTP server.

use std::ffi::CStr;
use std::net::SocketAddr;
use std::time::Duration;

use asterisk::http::{Handler, Method, Request};
use asterisk::limit::RateLimit;
use exposition::Format;

use super::page;
use crate::globals::globals;
use crate::pages::{self, BUSY, MOST_AT_ONCE, NOT_GET, Page, Refusal, UNLOADING, has_proxy, header};

/// `/metrics` in the host's HTTP server.
static PAGE: Page<Responder> = Page::new();

/// Limits the lines about clients that may not read the page.
static REFUSALS: RateLimit = RateLimit::new(Duration::from_secs(60), 2);

/// Adds `/metrics` to the HTTP server or removes it. Nothing of the HTTP server is used while it is off.
pub fn configure(is_on: bool) {
    PAGE.configure(is_on);
}

/// Removes `/metrics` and waits for the requests that are being answered.
pub fn stop() {
    PAGE.configure(false);
    super::kept::forget();
}

struct Responder;

impl Handler for Responder {
    const URI: &CStr = c"metrics";
    const DESCRIPTION: &CStr = c"Prometheus metrics of WebRTC and RTP";

    fn handle(request: Request<'_>) -> i32 {
        let inside = PAGE.enter();
        pages::respond(request, |request| answer(request, inside.others))
    }
}

const NOT_ALLOWED: Refusal =
    Refusal { status: 403, title: c"Forbidden", text: c"metrics_permit in rtp.conf does not have your address." };

/// Returns the whole response, or why there is none.
fn answer(request: &Request<'_>, others: usize) -> Result<Vec<u8>, Refusal> {
    let Some(globals) = globals() else { return Err(UNLOADING) };
    // Behind a proxy every client has the proxy's address, which is often this machine's.
    let is_through_proxy = has_proxy(request);
    let address = request.remote_address();
    let settings = globals.settings();
    if is_through_proxy || !address.is_some_and(|address| settings.metrics.allows(address.ip())) {
        warn(address, is_through_proxy);
        return Err(NOT_ALLOWED);
    }
    if !matches!(request.method(), Method::Get | Method::Head) {
        return Err(NOT_GET);
    }
    if others >= MOST_AT_ONCE {
        return Err(BUSY);
    }
    let format = header(request, "Accept").map_or(Format::Text, |accept| Format::accepted(&accept));
    let page = page::written(&globals, format);
    let more = format!("Content-Type: {}\r\nVary: Accept\r\n", format.content_type());
    Ok(pages::found(request, &more, &page))
}

fn warn(address: Option<SocketAddr>, is_through_proxy: bool) {
    let Some(more) = REFUSALS.allow() else { return };
    let client = address.map_or_else(|| "an unknown address".to_owned(), |address| address.ip().to_string());
    let why = match is_through_proxy {
        true => "the request came through a proxy, so whose it is nobody can tell",
        false => "metrics_permit in rtp.conf does not have this address",
    };
    asterisk::warning!("Metrics: {client} may not read /metrics: {why} ({more} similar lines suppressed)");
}
