//! Pages of the host's HTTP server that this module serves: adding a path and removing it, and the response.

use std::borrow::Cow;
use std::ffi::CStr;
use std::io::ErrorKind;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use asterisk::callers::{Caller, Callers};
use asterisk::http::{self, Connection, Handler, Method, Request, Uri};
use asterisk::lock;

/// A path in the host's HTTP server, while it is switched on. To be kept in a `static`.
pub struct Page<H: Handler> {
    uri: Mutex<Option<Uri<H>>>,
    /// Requests that are being answered.
    inside: Callers,
}

impl<H: Handler> Page<H> {
    /// A page that is off.
    pub const fn new() -> Self {
        Self { uri: Mutex::new(None), inside: Callers::new() }
    }

    /// Adds the path to the HTTP server, or removes it and waits for the requests that are being answered, each of which ends within
    /// [`PATIENCE`]. Nothing of the HTTP server is used while it is off.
    pub fn configure(&self, is_on: bool) {
        let mut uri = lock(&self.uri);
        match (is_on, uri.is_some()) {
            (true, false) => match http::register() {
                Ok(registered) => *uri = Some(registered),
                Err(asterisk::Failed) => {
                    asterisk::error!("RTP: /{} could not be added to the HTTP server", H::URI.to_string_lossy());
                }
            },
            (false, true) => self.remove(uri.take()),
            _ => {}
        }
    }

    /// Counts a request that is being answered, until the result is dropped.
    pub fn enter(&self) -> Caller<'_> {
        self.inside.enter()
    }

    fn remove(&self, uri: Option<Uri<H>>) {
        let Some(uri) = uri else { return };
        uri.unlink();
        std::thread::sleep(ON_THE_WAY);
        self.inside.wait(ON_THE_WAY);
    }
}

/// A request that is answered with an error of the host.
pub struct Refusal {
    /// The status of the response.
    pub status: u16,
    /// The status in words.
    pub title: &'static CStr,
    /// A sentence for the client.
    pub text: &'static CStr,
}

/// Refuses other methods than GET and HEAD.
pub const NOT_GET: Refusal = Refusal { status: 405, title: c"Method Not Allowed", text: c"Use GET." };
/// Refuses a request while [`MOST_AT_ONCE`] others are answered.
pub const BUSY: Refusal = Refusal { status: 503, title: c"Service Unavailable", text: c"Too many requests at once." };
/// Refuses a request that comes while the module is unloaded.
pub const UNLOADING: Refusal = Refusal { status: 503, title: c"Service Unavailable", text: c"The module is unloaded." };

/// The most requests that are answered at once.
pub const MOST_AT_ONCE: usize = 8;

/// Sends what `answer` returns. Returns what the host's callback has to return.
pub fn respond(request: Request<'_>, answer: impl FnOnce(&Request<'_>) -> Result<Vec<u8>, Refusal>) -> i32 {
    match answer(&request) {
        Ok(response) => send(request, &response),
        Err(refusal) => {
            request.error(refusal.status, refusal.title, refusal.text);
            -1
        }
    }
}

/// Returns a whole response with `body`, which is left out if the request is HEAD. `more` are further header lines.
pub fn found(request: &Request<'_>, more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let body = if request.method() == Method::Head { "" } else { body };
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n{more}Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Returns the value of a header.
pub fn header<'a>(request: &Request<'a>, name: &str) -> Option<Cow<'a, str>> {
    request.headers().iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Returns whether the request came through a proxy that says so.
pub fn has_proxy(request: &Request<'_>) -> bool {
    FORWARDING.iter().any(|name| header(request, name).is_some())
}

/// Headers that proxies add (RFC 7239, RFC 9110 §7.6.3).
const FORWARDING: [&str; 4] = ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"];

/// How long a client may take to read the page.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a thread of the host may take that has just looked up a path, or is returning from our code: ample time.
const ON_THE_WAY: Duration = Duration::from_millis(50);

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
