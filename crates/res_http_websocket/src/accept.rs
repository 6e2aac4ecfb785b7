//! Requests at `/ws`: the opening handshake (RFC 6455 §4.2), then the protocol's callback, all on the thread that the host
//! made for the connection.

use std::ffi::CString;
use std::net::SocketAddr;
use std::ptr;
use std::sync::Arc;

use asterisk::http::{Handler, Method, Request, Variables};
use websocket::forwarded::{Unbelievable, client_address};
use websocket::handshake::{self, Accepted, ConnectionHeader, Refusal};
use websocket::{CloseCode, Config};

use crate::drain;
use crate::exports::Handle;
use crate::host::{MENDS_SIP, SPEAKS_FOR_CLIENTS};
use crate::limits::{Place, check_descriptors};
use crate::mend::Mender;
use crate::protocols::{Call, Protocols};
use crate::report::{self, Peer};
use crate::running::{Running, running};
use crate::session::{Client, Left, Session};
use crate::settings::Settings;

/// `/ws` in the host's HTTP server.
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

/// A message may be at most a fourth of the stack: chan_sip copies it onto the stack of the thread that reads it.
const STACK_SHARE: usize = 4;

/// Answers a request: with 101 and a session of one of `protocols`, which is served until the protocol's callback returns,
/// or with an error. `Err` has the host close the connection.
pub fn upgrade(running: &Arc<Running>, protocols: &Protocols, request: Request<'_>) -> Result<(), ()> {
    // The copies of the request's headers are freed before the session is served, which may take days.
    answer(running, protocols, request).map(|begun| begun.map_or((), Begun::attend))
}

fn answer<'a>(running: &Arc<Running>, protocols: &Protocols, request: Request<'a>) -> Result<Option<Begun<'a>>, ()> {
    let settings = running.settings();
    let headers: Vec<_> = request.headers().iter().collect();
    let headers = headers.iter().map(|(name, value)| (&**name, &**value));
    let asked = handshake::Request::new(request.method() == Method::Get, headers);
    let connection = request.remote_address();
    let address = match connection.map(|connection| address(connection, &asked, &settings)).transpose() {
        Ok(address) => address,
        Err(why) => return refuse(running, &request, &asked, connection, Refusal::ForwardedFor(why)),
    };
    let client = Client {
        address,
        connection,
        origin: asked.origin().map(str::to_owned),
        user_agent: asked.user_agent().map(str::to_owned),
    };
    match judge(running, protocols, &settings, &asked, &client) {
        Ok(opening) => begin(running, request, opening, client, &settings),
        Err(refusal) => refuse(running, &request, &asked, address, refusal),
    }
}

/// The client's address: the connection's, or the one that trusted proxies name in `X-Forwarded-For`.
fn address(
    connection: SocketAddr,
    asked: &handshake::Request<'_>,
    settings: &Settings,
) -> Result<SocketAddr, Unbelievable> {
    let client = client_address(connection.ip(), asked.forwarded_for(), &settings.trusted_proxies)?;
    // An address that is the connection's stays in the form that the socket has, as the original shows it.
    let is_same = client == connection.ip().to_canonical();
    Ok(if is_same { connection } else { SocketAddr::new(client, connection.port()) })
}

fn refuse<'a>(
    running: &Running,
    request: &Request<'a>,
    asked: &handshake::Request<'_>,
    client: Option<SocketAddr>,
    refusal: Refusal,
) -> Result<Option<Begun<'a>>, ()> {
    report::refused(&running.counters, client, asked, refusal);
    respond(request, refusal)
}

fn respond<'a>(request: &Request<'a>, refusal: Refusal) -> Result<Option<Begun<'a>>, ()> {
    request.respond(refusal.response().as_bytes()).map(|()| None).map_err(drop)
}

/// A session that has begun and is not served yet.
struct Begun<'a> {
    call: Call,
    session: Arc<Session>,
    handle: Handle,
    parameters: Variables<'a>,
    headers: Variables<'a>,
}

impl Begun<'_> {
    /// Calls the protocol's callback, which as a rule returns at the session's end.
    fn attend(self) {
        // The call is dropped last: without it the module may be unloaded.
        let Self { call, session, handle, parameters, headers } = self;
        // For the responses that come up while the callback returns.
        let again = SPEAKS_FOR_CLIENTS.then(|| handle.again());
        // SAFETY: `call` keeps the callback's module loaded until it returns. The callback takes over the reference; both lists
        // belong to the host, which keeps them until the request is over.
        unsafe { call.protocol().callback()(handle.into_raw(), parameters.as_ptr(), headers.as_ptr()) };
        if let (Left::Unread, Some(again)) = (session.leave(), again) {
            attend_again(&call, again);
        }
    }
}

/// Calls the protocol's callback for a session that has ended, until it has read everything that is left.
pub fn attend_again(call: &Call, handle: Handle) {
    loop {
        let again = handle.again().into_raw();
        // SAFETY: `call` keeps the callback's module loaded until it returns. The callback takes over the reference, and
        // chan_sip, the only one that this is for, looks at neither of the lists.
        unsafe { call.protocol().callback()(again, ptr::null_mut(), ptr::null_mut()) };
        if handle.session().leave() == Left::Nothing {
            return;
        }
    }
}

/// A request that may be answered with 101 (Switching Protocols).
struct Opening<'a> {
    accepted: Accepted<'a>,
    call: Call,
    place: Place,
}

/// Checks a request against the protocol (RFC 6455 §4.2.1), the origins that may connect, and the limits.
fn judge<'a>(
    running: &Running,
    protocols: &Protocols,
    settings: &Settings,
    asked: &handshake::Request<'a>,
    client: &Client,
) -> Result<Opening<'a>, Refusal> {
    let accepted = asked.accept(|name| protocols.find(name).is_some())?;
    let accepted = if settings.compression { accepted.with_deflate() } else { accepted };
    if settings.allowed_origins.as_ref().is_some_and(|all| !all.iter().any(|one| one.allows(asked.origin()))) {
        return Err(Refusal::Origin);
    }
    if drain::is_on() {
        return Err(Refusal::Draining);
    }
    check_descriptors(settings.descriptor_reserve)?;
    let place = running.limits.take_place(client.address.map(|address| address.ip()), settings)?;
    let call = protocols.find(accepted.protocol).and_then(|protocol| protocol.begin());
    Ok(Opening { accepted, call: call.ok_or(Refusal::UnknownProtocol)?, place })
}

fn begin<'a>(
    running: &Arc<Running>,
    request: Request<'a>,
    Opening { accepted, call, place }: Opening<'_>,
    client: Client,
    settings: &Settings,
) -> Result<Option<Begun<'a>>, ()> {
    let (headers, parameters, address) = (request.headers(), request.parameters(), client.address);
    let id = session_id();
    if !call.protocol().admits(&request, &id) {
        let protocol = call.protocol().name();
        asterisk::debug!(
            1,
            "WebSocket: connection from {} is refused by the module of protocol '{protocol}'",
            Peer(address)
        );
        return respond(&request, Refusal::UnknownProtocol);
    }
    let stream = request.take_over().map_err(drop)?;
    keep_alive(stream.fd());
    let max_message_len = match call.protocol().is_ours() {
        true => settings.echo_max_message_len,
        false => settings.max_message_len.min(stack_len() / STACK_SHARE),
    };
    let config = Config {
        max_message_len,
        deflate: accepted.deflate,
        max_queued_output: settings.max_queued_output,
        ping_after: settings.ping_after,
        pong_timeout: settings.pong_timeout,
        first_message_timeout: settings.first_message_timeout,
        max_messages_per_second: settings.max_messages_per_second,
        ..Config::default()
    };
    let mends = MENDS_SIP && call.protocol().name().eq_ignore_ascii_case("sip");
    if mends {
        running.carriers.handle_client(settings.sip_rules);
    }
    let mender = mends.then(|| Mender::new(settings.sip_rules, max_message_len)).flatten();
    let (protocol, greeting) = (call.protocol().clone(), accepted.response());
    let started = Session::start(running, protocol, stream, (client, place), config, mender, greeting.as_bytes());
    let session = started.map_err(|error| report::not_begun(&running.counters, address, &error))?;
    report::accepted(&running.counters, &session, accepted.version);
    if accepted.connection == ConnectionHeader::DoesNotUpgrade {
        report::proxy_lacks_connection(&running.counters, &session);
    }
    if call.protocol().is_closed() {
        // Ending the protocol's sessions may have missed this one, which was not in the table yet.
        session.close(CloseCode::GOING_AWAY);
    }
    let Some(handle) = Handle::new(session.clone(), id) else {
        session.close(CloseCode::INTERNAL_ERROR);
        return Err(());
    };
    Ok(Some(Begun { call, session, handle, parameters, headers }))
}

/// A session's id for the protocol's module: a random UUID (RFC 9562 §5.4).
fn session_id() -> CString {
    let mut random = [0; 16];
    asterisk::random::fill(&mut random);
    let id = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
    // unwrap: hexadecimal digits and hyphens.
    CString::new(id).unwrap_or_default()
}

/// Switches on TCP keep-alive (RFC 9293 §3.8.4). It finds dead peers even where PINGs are switched off.
fn keep_alive(socket: i32) {
    let on: i32 = 1;
    // SAFETY: the option takes an int. A failure is ignored: then PINGs alone find dead peers.
    unsafe {
        libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, (&raw const on).cast(), size_of::<i32>() as u32)
    };
}

/// The size of this thread's stack in bytes. A host built for little memory makes smaller ones.
fn stack_len() -> usize {
    asterisk::stack::size().unwrap_or(usize::MAX)
}
