//! The host's HTTP server: a path of ours in it, and the connection behind a request taken over from it.
//!
//! The stream of a connection belongs to the host, and so does the `SSL` inside: it is read and written through functions
//! of the host only, one call at a time, and closed once.

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int, c_short};
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard};

use crate::fence::fence;
use crate::host::{self, stream::Stream};
use crate::sockaddr::{self, SockAddr};
use crate::{Failed, check, lock, symbols, sys};

/// Answers requests for one path.
pub trait Handler: 'static {
    /// The path, without the host's prefix and the slash.
    const URI: &CStr;
    /// What `http show status` says.
    const DESCRIPTION: &CStr;

    /// Answers one request, on a thread that the host made for its connection. 0, or -1 for a failure.
    fn handle(request: Request<'_>) -> c_int;
}

/// Adds the path. Wraps `ast_http_uri_link`.
pub fn register<H: Handler>() -> Result<Uri<H>, Failed> {
    // SAFETY: all zero is valid for this structure of pointers and bits.
    let mut uri: Box<sys::ast_http_uri> = Box::new(unsafe { std::mem::zeroed() });
    uri.uri = H::URI.as_ptr();
    uri.description = H::DESCRIPTION.as_ptr();
    uri.callback = Some(callback::<H>);
    uri.key = H::URI.as_ptr();
    let uri = Box::into_raw(uri);
    // SAFETY: it stays where it is until `Uri` unlinks it, and its strings are static.
    let linked = check(unsafe { sys::ast_http_uri_link(uri) });
    // SAFETY: from `Box::into_raw`, never null.
    let uri = Uri(unsafe { NonNull::new_unchecked(uri) }, PhantomData);
    linked.map(|()| uri)
}

/// A path in the host's HTTP server; dropping it removes the path.
#[derive(Debug)]
pub struct Uri<H: Handler>(NonNull<sys::ast_http_uri>, PhantomData<fn(H)>);

// SAFETY: the host guards its list with a lock of its own, and nothing else is done with it.
unsafe impl<H: Handler> Send for Uri<H> {}
// SAFETY: likewise.
unsafe impl<H: Handler> Sync for Uri<H> {}

impl<H: Handler> Uri<H> {
    /// Adds the path again after [`Uri::unlink`]. Wraps `ast_http_uri_link`.
    pub fn link(&self) -> Result<(), Failed> {
        // The host does not look whether it is there already.
        self.unlink();
        // SAFETY: it stays where it is until the drop, and whoever unlinked it left it as it was made.
        check(unsafe { sys::ast_http_uri_link(self.0.as_ptr()) })
    }

    /// Removes the path. Wraps `ast_http_uri_unlink`.
    ///
    /// The host looks paths up under its lock and calls their handlers without: a thread that has just found this one
    /// still reads from it, and calls. Give it a moment before the drop.
    pub fn unlink(&self) {
        // SAFETY: `register` linked it, and it stays where it is until the drop. Unlinking twice is harmless.
        unsafe { sys::ast_http_uri_unlink(self.0.as_ptr()) };
    }
}

impl<H: Handler> Drop for Uri<H> {
    fn drop(&mut self) {
        self.unlink();
        // SAFETY: made by `Box::into_raw` in `register`.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

unsafe extern "C" fn callback<H: Handler>(
    session: *mut sys::ast_tcptls_session_instance,
    _handler: *const sys::ast_http_uri,
    _rest: *const c_char,
    method: sys::ast_http_method,
    parameters: *mut sys::ast_variable,
    headers: *mut sys::ast_variable,
) -> c_int {
    fence("http", -1, || {
        let Some(session) = NonNull::new(session) else { return -1 };
        // SAFETY: as the host calls.
        H::handle(unsafe { Request::lend(session, method, parameters, headers) })
    })
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// HEAD
    Head,
    /// PUT
    Put,
    /// One that the host does not know.
    Unknown,
}

impl Method {
    fn from_host(method: sys::ast_http_method) -> Self {
        match method {
            sys::AST_HTTP_GET => Self::Get,
            sys::AST_HTTP_POST => Self::Post,
            sys::AST_HTTP_HEAD => Self::Head,
            sys::AST_HTTP_PUT => Self::Put,
            _ => Self::Unknown,
        }
    }
}

/// A request; if nothing takes its connection over, the host closes it afterwards.
#[derive(Debug)]
pub struct Request<'a> {
    session: NonNull<sys::ast_tcptls_session_instance>,
    method: Method,
    parameters: Variables<'a>,
    headers: Variables<'a>,
}

impl<'a> Request<'a> {
    /// A request that reached us by another way than a [`Handler`].
    ///
    /// # Safety
    /// As the host calls back for a request: all of it stays for `'a`, and nobody else uses the session meanwhile.
    pub unsafe fn lend(
        session: NonNull<sys::ast_tcptls_session_instance>,
        method: sys::ast_http_method,
        parameters: *mut sys::ast_variable,
        headers: *mut sys::ast_variable,
    ) -> Self {
        Self {
            session,
            method: Method::from_host(method),
            parameters: Variables(parameters, PhantomData),
            headers: Variables(headers, PhantomData),
        }
    }

    /// What C calls its session.
    pub fn as_ptr(&self) -> *mut sys::ast_tcptls_session_instance {
        self.session.as_ptr()
    }

    /// GET, or something else.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The headers.
    pub fn headers(&self) -> Variables<'a> {
        self.headers
    }

    /// What came behind the `?`.
    pub fn parameters(&self) -> Variables<'a> {
        self.parameters
    }

    /// Who asks.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        sockaddr::from_host(&self.instance().remote_address)
    }

    /// Sends a response as it is, the last on this connection: the host closes it when the request is over. It may wait for
    /// the peer, as everything that the host does on this thread.
    pub fn respond(&self, response: &[u8]) -> io::Result<()> {
        // SAFETY: the request is not over, and its stream is used on this thread alone.
        unsafe { host::stream::respond(self.session, response) }
    }

    /// Sends the host's page for an error. Wraps `ast_http_error`.
    pub fn error(&self, status: u16, title: &CStr, text: &CStr) {
        // SAFETY: the session is live for the length of the request; the strings are copied.
        unsafe { sys::ast_http_error(self.session.as_ptr(), status.into(), title.as_ptr(), text.as_ptr()) };
    }

    /// Keeps the connection; the host does not touch it any more.
    pub fn take_over(self) -> io::Result<Connection> {
        Connection::take_over(self.session)
    }

    fn instance(&self) -> &sys::ast_tcptls_session_instance {
        // SAFETY: the host keeps it for the length of the request and leaves it alone meanwhile.
        unsafe { self.session.as_ref() }
    }
}

/// A list of names and values that the host lends.
#[derive(Debug, Clone, Copy)]
pub struct Variables<'a>(*mut sys::ast_variable, PhantomData<&'a sys::ast_variable>);

impl<'a> Variables<'a> {
    /// Names and values in their order. Bytes that are not UTF-8 are replaced: a header that says something wrong is not one
    /// that is missing.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        let mut next = self.0;
        std::iter::from_fn(move || {
            // SAFETY: a list of the host's, ended by null, that it leaves alone for `'a`.
            let variable: &'a sys::ast_variable = unsafe { next.as_ref() }?;
            next = variable.next;
            Some(variable)
        })
        // SAFETY: strings of that list.
        .filter_map(|variable| unsafe { Some((text(variable.name)?, text(variable.value)?)) })
    }

    /// For a callback in C.
    pub fn as_ptr(&self) -> *mut sys::ast_variable {
        self.0
    }
}

/// # Safety
/// `text` is null or a string that lives for `'a`.
unsafe fn text<'a>(text: *const c_char) -> Option<Cow<'a, str>> {
    // SAFETY: the caller's word.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy())
}

/// What a read fails with when TLS has to write something before it reads on, the answer to a key update (RFC 8446
/// §4.6.3), and the socket takes nothing. The socket may be readable all the while: wait until it is writable.
pub const MUST_WRITE: ErrorKind = ErrorKind::ResourceBusy;

/// A connection that was the HTTP server's. Nothing here waits: `WouldBlock` says that it would have to.
///
/// A write that was not taken in full is repeated with the same bytes at the same place and of the same number:
/// OpenSSL insists.
pub struct Connection {
    descriptor: RawFd,
    is_secure: bool,
    remote_address: SockAddr,
    /// One lock for every call on the stream; `None` once it is closed.
    stream: Mutex<Option<Stream>>,
}

impl Connection {
    fn take_over(instance: NonNull<sys::ast_tcptls_session_instance>) -> io::Result<Self> {
        // SAFETY: the host keeps it for the length of the request, and this is the one thread that uses it.
        let (stream, remote_address) = unsafe { (Stream::take_over(instance)?, (*instance.as_ptr()).remote_address) };
        Ok(Self {
            descriptor: stream.descriptor(),
            is_secure: stream.is_secure(),
            remote_address: SockAddr(remote_address),
            stream: Mutex::new(Some(stream)),
        })
    }

    /// Reads what is there; 0 at the end. Over TLS there may be more than the socket shows: read until `WouldBlock` or
    /// [`MUST_WRITE`].
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stream().as_mut() {
            Some(stream) => stream.read(buffer),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Writes what can be written.
    pub fn write(&self, data: &[u8]) -> io::Result<usize> {
        match self.stream().as_ref() {
            Some(stream) => stream.write(data),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Ends our half of a plain connection; with TLS nothing happens before `close`.
    pub fn shutdown_write(&self) {
        if let Some(stream) = self.stream().as_ref().filter(|stream| !stream.is_secure()) {
            // SAFETY: the socket is open while the stream is.
            unsafe { libc::shutdown(stream.descriptor(), libc::SHUT_WR) };
        }
    }

    /// Closes TLS and socket, once. The descriptor is not ours any more afterwards.
    pub fn close(&self) {
        if let Some(stream) = self.stream().take() {
            stream.close();
        }
    }

    /// The socket, to wait for; not to read from.
    pub fn fd(&self) -> RawFd {
        self.descriptor
    }

    /// Whether it is TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Our end; none once the stream is closed.
    pub fn local_address(&self) -> SockAddr {
        sockaddr::local(self.descriptor)
    }

    /// The other end.
    pub fn remote_address(&self) -> SockAddr {
        self.remote_address
    }

    fn stream(&self) -> MutexGuard<'_, Option<Stream>> {
        lock(&self.stream)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// OpenSSL judges a failed call by its error queue, in which another session may have left something on this thread.
pub(crate) struct OpenSslErrors {
    /// The host's own function: its OpenSSL is not ours.
    forget: Option<unsafe extern "C" fn()>,
}

impl OpenSslErrors {
    pub(crate) fn of_host() -> Self {
        // SAFETY: its type in every OpenSSL.
        Self { forget: unsafe { symbols::lookup(c"ERR_clear_error") } }
    }

    /// Before a call on a stream with TLS.
    pub(crate) fn forget(&self) {
        if let Some(forget) = self.forget {
            // SAFETY: concerns this thread's queue only, which is of no use to anybody by now.
            unsafe { forget() };
        }
        // SAFETY: this thread's own. A host may pass OpenSSL's -1 on, and then only errno tells why.
        unsafe { *libc::__errno_location() = 0 };
    }
}

/// What a socket is ready for of `events`, or why it never will be; 0 for nothing. Does not wait.
pub(crate) fn ready(descriptor: RawFd, events: c_short) -> c_short {
    let mut poll = libc::pollfd { fd: descriptor, events, revents: 0 };
    // SAFETY: one entry, and it lives for the length of the call, which does not wait.
    unsafe { libc::poll(&raw mut poll, 1, 0) };
    poll.revents
}

/// The system's convention: a number, or -1 and errno.
pub(crate) fn counted(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
