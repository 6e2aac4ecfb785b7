//! `/ws`: the opening handshake, then the protocol's callback, on the thread that the host made for the connection.

use std::ffi::CString;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use asterisk::http::{Handler, Method, Request, Variables};
use asterisk::limit::RateLimit;
use websocket::handshake::{self, Accepted, Refusal};
use websocket::{CloseCode, Config};

use crate::exports::Handle;
use crate::protocols::{Call, Protocols};
use crate::running::{Running, running};
use crate::session::Session;

pub struct WebSocketUri;

impl Handler for WebSocketUri {
    const URI: &std::ffi::CStr = c"ws";
    const DESCRIPTION: &std::ffi::CStr = c"Asterisk HTTP WebSocket";

    fn handle(request: Request<'_>) -> i32 {
        let Some(running) = running() else {
            request.error(503, c"Service Unavailable", c"WebSockets are being unloaded");
            return -1;
        };
        match upgrade(&running, &running.protocols, request) {
            Ok(()) => 0,
            Err(()) => -1,
        }
    }
}

/// Nobody should be able to fill the log by asking wrongly.
static REFUSALS: RateLimit = RateLimit::new(Duration::from_secs(10), 10);

/// A message of chan_sip is copied onto the stack of its thread: at most this part of it.
const STACK_SHARE: usize = 4;

/// Answers a request with a session of one of `protocols`, or says why not.
pub fn upgrade(running: &Arc<Running>, protocols: &Protocols, request: Request<'_>) -> Result<(), ()> {
    let (headers, parameters) = (request.headers(), request.parameters());
    let peer = request.remote_address();
    let asked = handshake::Request::new(request.method() == Method::Get, headers.iter());
    let accepted = asked.accept(|name| protocols.find(name).is_some());
    let call = accepted.and_then(|accepted| {
        let call = protocols.find(accepted.protocol).and_then(|protocol| protocol.begin());
        Ok((call.ok_or(Refusal::UnknownProtocol)?, accepted))
    });
    match call {
        Ok((call, accepted)) => serve(running, request, &call, &accepted, parameters, headers),
        Err(refusal) => {
            if let Some(suppressed) = REFUSALS.allow() {
                asterisk::warning!("WebSocket: connection from {} refused: {refusal}{}", Peer(peer), more(suppressed));
            }
            request.respond(refusal.response().as_bytes()).map_err(drop)
        }
    }
}

fn serve(
    running: &Arc<Running>,
    request: Request<'_>,
    call: &Call,
    accepted: &Accepted<'_>,
    parameters: Variables<'_>,
    headers: Variables<'_>,
) -> Result<(), ()> {
    let peer = request.remote_address();
    let id = session_id();
    if !call.protocol().admits(&request, &id) {
        asterisk::debug!(1, "WebSocket: connection from {} is not wanted by '{}'", Peer(peer), accepted.protocol);
        return request.respond(Refusal::UnknownProtocol.response().as_bytes()).map_err(drop);
    }
    let stream = request.take_over().map_err(drop)?;
    keep_alive(stream.fd());
    let default = Config::default();
    let max_message_len = default.max_message_len.min(stack_len() / STACK_SHARE);
    let config = Config { max_message_len, ..default };
    let started = Session::start(running, call.protocol().clone(), stream, config, accepted.response().as_bytes());
    let handle =
        started.and_then(|session| Handle::new(session, id).ok_or_else(|| std::io::ErrorKind::OutOfMemory.into()));
    let handle = handle.map_err(|error| asterisk::error!("WebSocket: connection from {}: {error}", Peer(peer)))?;
    if call.protocol().is_closed() {
        // Whoever ends its sessions may have looked before this one was there.
        handle.session().close(CloseCode::GOING_AWAY);
    }
    asterisk::verbose!(
        2,
        "WebSocket: connection from {} for protocol '{}' (version {}) accepted",
        Peer(peer),
        accepted.protocol,
        accepted.version
    );
    // SAFETY: `begin` made sure that the callback's module stays until the call is over; it takes over the reference,
    // and both lists are the host's until the request is over.
    unsafe { call.protocol().callback()(handle.into_raw(), parameters.as_ptr(), headers.as_ptr()) };
    Ok(())
}

/// What the session is called by whoever attends to it: a random UUID (RFC 9562 §5.4).
fn session_id() -> CString {
    let mut random = [0; 16];
    asterisk::random::fill(&mut random);
    let id = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
    // unwrap: hexadecimal digits and hyphens.
    CString::new(id).unwrap_or_default()
}

/// TCP's own probes, behind the PINGs: they need no consumer.
fn keep_alive(socket: i32) {
    let on: i32 = 1;
    // SAFETY: an int, as this option wants. Whether it works changes nothing for us.
    unsafe {
        libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, (&raw const on).cast(), size_of::<i32>() as u32)
    };
}

/// How large the stack of this thread is; the host makes smaller ones when built for little memory.
fn stack_len() -> usize {
    let mut attributes = std::mem::MaybeUninit::uninit();
    // SAFETY: initialises the attributes if it answers 0.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) } != 0 {
        return usize::MAX;
    }
    let mut len = 0;
    // SAFETY: initialised above.
    let known = unsafe { libc::pthread_attr_getstacksize(attributes.as_ptr(), &raw mut len) } == 0;
    // SAFETY: initialised above, and not used any more.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    if known { len } else { usize::MAX }
}

/// An address as log lines have it.
pub struct Peer(pub Option<SocketAddr>);

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => write!(f, "'{address}'"),
            None => f.write_str("nowhere"),
        }
    }
}

fn more(suppressed: u64) -> String {
    if suppressed == 0 { String::new() } else { format!(" ({suppressed} more not shown)") }
}
