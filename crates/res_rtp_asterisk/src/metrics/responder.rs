//! Answers requests for `/metrics`, on a thread of the host's HTTP server.

use std::ffi::CStr;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use asterisk::callers::Callers;
use asterisk::http::{self, Connection, Handler, Method, Request, Uri};
use asterisk::limit::RateLimit;
use asterisk::lock;
use exposition::Format;

use super::page;
use crate::globals::globals;

/// `/metrics` in the host's HTTP server, while it is switched on.
static URI: Mutex<Option<Uri<Responder>>> = Mutex::new(None);

/// Requests that are being answered.
static INSIDE: Callers = Callers::new();

/// Limits the lines about clients that may not read the page.
static REFUSALS: RateLimit = RateLimit::new(Duration::from_secs(60), 2);

/// The most requests that are answered at once.
const MOST_AT_ONCE: usize = 8;

/// How long a client may take to read the page.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a thread of the host may take that has just looked up `/metrics`, or is returning from our code: ample time.
const ON_THE_WAY: Duration = Duration::from_millis(50);

/// Adds `/metrics` to the HTTP server or removes it. Nothing of the HTTP server is used while it is off.
pub fn configure(is_on: bool) {
    let mut uri = lock(&URI);
    match (is_on, uri.is_some()) {
        (true, false) => match http::register() {
            Ok(registered) => *uri = Some(registered),
            Err(asterisk::Failed) => asterisk::error!("Metrics: /metrics could not be added to the HTTP server"),
        },
        (false, true) => remove(uri.take()),
        _ => {}
    }
}

/// Removes `/metrics` and waits for the requests that are being answered, each of which ends within [`PATIENCE`].
pub fn stop() {
    let uri = lock(&URI).take();
    remove(uri);
    super::kept::forget();
}

fn remove(uri: Option<Uri<Responder>>) {
    let Some(uri) = uri else { return };
    uri.unlink();
    std::thread::sleep(ON_THE_WAY);
    INSIDE.wait(ON_THE_WAY);
}

struct Responder;

impl Handler for Responder {
    const URI: &CStr = c"metrics";
    const DESCRIPTION: &CStr = c"Prometheus metrics of WebRTC and RTP";

    fn handle(request: Request<'_>) -> i32 {
        let inside = INSIDE.enter();
        match answer(&request, inside.others) {
            Ok(page) => send(request, &page),
            Err(refusal) => {
                request.error(refusal.status, refusal.title, refusal.text);
                -1
            }
        }
    }
}

struct Refusal {
    status: u16,
    title: &'static CStr,
    text: &'static CStr,
}

const NOT_ALLOWED: Refusal =
    Refusal { status: 403, title: c"Forbidden", text: c"metrics_permit in rtp.conf does not have your address." };
const NOT_GET: Refusal = Refusal { status: 405, title: c"Method Not Allowed", text: c"Use GET." };
const BUSY: Refusal = Refusal { status: 503, title: c"Service Unavailable", text: c"Too many requests at once." };
const UNLOADING: Refusal = Refusal { status: 503, title: c"Service Unavailable", text: c"The module is unloaded." };

/// Returns the whole response, or why there is none.
fn answer(request: &Request<'_>, others: usize) -> Result<Vec<u8>, Refusal> {
    let Some(globals) = globals() else { return Err(UNLOADING) };
    let has = |name: &str| request.headers().iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    // Behind a proxy every client has the proxy's address, which is often this machine's.
    let is_through_proxy = FORWARDING.iter().any(|header| has(header).is_some());
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
    let format = has("Accept").map_or(Format::Text, |(_, accept)| Format::accepted(&accept));
    let page = page::written(&globals, format);
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nVary: Accept\r\n\
         Connection: close\r\n\r\n",
        format.content_type(),
        page.len()
    )
    .into_bytes();
    if request.method() == Method::Get {
        response.extend_from_slice(page.as_bytes());
    }
    Ok(response)
}

/// Headers that proxies add (RFC 7239, RFC 9110 §7.6.3).
const FORWARDING: [&str; 4] = ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"];

fn warn(address: Option<SocketAddr>, is_through_proxy: bool) {
    let Some(more) = REFUSALS.allow() else { return };
    let client = address.map_or_else(|| "an unknown address".to_owned(), |address| address.ip().to_string());
    let why = match is_through_proxy {
        true => "the request came through a proxy, so whose it is nobody can tell",
        false => "metrics_permit in rtp.conf does not have this address",
    };
    asterisk::warning!("Metrics: {client} may not read /metrics: {why} ({more} similar lines suppressed)");
}

/// Sends the response on a connection of our own, because the host's may wait for a client without end.
fn send(request: Request<'_>, response: &[u8]) -> i32 {
    let Ok(connection) = request.take_over() else { return -1 };
    let deadline = Instant::now() + PATIENCE;
    let mut rest = response;
    while !rest.is_empty() {
        match connection.write(rest.get(..rest.len().min(WRITE_LEN)).unwrap_or(rest)) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock && wait(&connection, deadline) => {}
            Err(_) => return -1,
        }
    }
    connection.shutdown_write();
    0
}

/// The most octets passed to one write: an interrupted write of TLS has to be repeated with the same ones.
const WRITE_LEN: usize = 16 * 1024;

/// Waits until the client takes more; `false` if it does not in time.
fn wait(connection: &Connection, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now()).as_millis();
    let mut poll = libc::pollfd { fd: connection.fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one entry that lives during the call.
    let ready = unsafe { libc::poll(&raw mut poll, 1, i32::try_from(left).unwrap_or(i32::MAX)) };
    ready > 0
}
