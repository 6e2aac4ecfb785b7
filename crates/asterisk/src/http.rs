//! The host's HTTP server: registering a path, and taking over the connection of a request.
//!
//! The stream of a connection, and the `SSL` object in it, belong to the host. So we read and write it only through
//! functions of the host, one call at a time, and close it once.

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

/// The handler of all requests for one path.
pub trait Handler: 'static {
    /// The path, without the host's prefix and without the leading slash.
    const URI: &CStr;
    /// The description shown by `http show status`.
    const DESCRIPTION: &CStr;

    /// Handles one request, on the thread that the host created for its connection. Returns 0, or -1 for failure.
    fn handle(request: Request<'_>) -> c_int;
}

/// Adds the path of `H` to the HTTP server. Wraps `ast_http_uri_link`.
pub fn register<H: Handler>() -> Result<Uri<H>, Failed> {
    // SAFETY: all zero is valid for this structure of pointers and bits.
    let mut uri: Box<sys::ast_http_uri> = Box::new(unsafe { std::mem::zeroed() });
    uri.uri = H::URI.as_ptr();
    uri.description = H::DESCRIPTION.as_ptr();
    uri.callback = Some(callback::<H>);
    uri.key = H::URI.as_ptr();
    let uri = Box::into_raw(uri);
    // SAFETY: it does not move until `Uri` unlinks it, and its strings are static.
    let linked = check(unsafe { sys::ast_http_uri_link(uri) });
    // SAFETY: from `Box::into_raw`, never null.
    let uri = Uri(unsafe { NonNull::new_unchecked(uri) }, PhantomData);
    linked.map(|()| uri)
}

/// A path in the host's HTTP server; dropping it removes the path.
#[derive(Debug)]
pub struct Uri<H: Handler>(NonNull<sys::ast_http_uri>, PhantomData<fn(H)>);

// SAFETY: the host protects its list with its own lock, and we use the entry for nothing else.
unsafe impl<H: Handler> Send for Uri<H> {}
// SAFETY: as for `Send`.
unsafe impl<H: Handler> Sync for Uri<H> {}

impl<H: Handler> Uri<H> {
    /// Adds the path again after [`Uri::unlink`]. Wraps `ast_http_uri_link`.
    pub fn link(&self) -> Result<(), Failed> {
        // The host does not check whether the path is linked already.
        self.unlink();
        // SAFETY: it does not move until the drop, and unlinking has left it as it was made.
        check(unsafe { sys::ast_http_uri_link(self.0.as_ptr()) })
    }

    /// Removes the path. Wraps `ast_http_uri_unlink`.
    ///
    /// The host looks up paths under its lock but calls their handlers without it. So a thread that has just found this
    /// path may still read from it and call the handler: wait a moment before dropping it.
    pub fn unlink(&self) {
        // SAFETY: `register` linked it, and it does not move until the drop. Unlinking twice is harmless.
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
        // SAFETY: the host lends all of this for the duration of the request.
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
    /// A method that the host does not know.
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

/// A request. Unless its connection is taken over, the host closes it afterwards.
#[derive(Debug)]
pub struct Request<'a> {
    session: NonNull<sys::ast_tcptls_session_instance>,
    method: Method,
    parameters: Variables<'a>,
    headers: Variables<'a>,
}

impl<'a> Request<'a> {
    /// A request that reached us in another way than through a [`Handler`].
    ///
    /// # Safety
    /// All arguments live for `'a`, and nobody else uses the session meanwhile, as when the host calls a handler.
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

    /// The session, as a pointer for C.
    pub fn as_ptr(&self) -> *mut sys::ast_tcptls_session_instance {
        self.session.as_ptr()
    }

    /// The method of the request.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The headers.
    pub fn headers(&self) -> Variables<'a> {
        self.headers
    }

    /// The query parameters, after the `?` of the URI.
    pub fn parameters(&self) -> Variables<'a> {
        self.parameters
    }

    /// The address of the client.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        sockaddr::from_host(&self.instance().remote_address)
    }

    /// Sends `response` unchanged. It is the last one on this connection: the host closes it after the request. The
    /// call may block until the peer reads, as any call of the host on this thread.
    pub fn respond(&self, response: &[u8]) -> io::Result<()> {
        // SAFETY: the request is not finished, and only this thread uses its stream.
        unsafe { host::stream::respond(self.session, response) }
    }

    /// Sends the host's error page. Wraps `ast_http_error`.
    pub fn error(&self, status: u16, title: &CStr, text: &CStr) {
        // SAFETY: the session is live for the length of the request; the strings are copied.
        unsafe { sys::ast_http_error(self.session.as_ptr(), status.into(), title.as_ptr(), text.as_ptr()) };
    }

    /// Takes over the connection; the host does not touch it any more.
    pub fn take_over(self) -> io::Result<Connection> {
        Connection::take_over(self.session)
    }

    fn instance(&self) -> &sys::ast_tcptls_session_instance {
        // SAFETY: the host keeps it during the request and does not change it meanwhile.
        unsafe { self.session.as_ref() }
    }
}

/// A list of names and values, lent by the host.
#[derive(Debug, Clone, Copy)]
pub struct Variables<'a>(*mut sys::ast_variable, PhantomData<&'a sys::ast_variable>);

impl<'a> Variables<'a> {
    /// The names and values in their order. Bytes that are not UTF-8 are replaced: a header with an invalid value must
    /// not look like a missing header.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        let mut next = self.0;
        std::iter::from_fn(move || {
            // SAFETY: a null-terminated list of the host, which does not change it during `'a`.
            let variable: &'a sys::ast_variable = unsafe { next.as_ref() }?;
            next = variable.next;
            Some(variable)
        })
        // SAFETY: strings of the same list.
        .filter_map(|variable| unsafe { Some((text(variable.name)?, text(variable.value)?)) })
    }

    /// The list, as a pointer for C.
    pub fn as_ptr(&self) -> *mut sys::ast_variable {
        self.0
    }
}

/// # Safety
/// `text` is null or a string that lives for `'a`.
unsafe fn text<'a>(text: *const c_char) -> Option<Cow<'a, str>> {
    // SAFETY: guaranteed by our caller.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy())
}

/// The error of a read that cannot go on because TLS must write first, in answer to a key update (RFC 8446 §4.6.3), and
/// the socket accepts no data. The socket may be readable all the while: wait until it is writable.
pub const MUST_WRITE: ErrorKind = ErrorKind::ResourceBusy;

/// A connection taken over from the HTTP server. No function blocks: they fail with `WouldBlock` instead.
///
/// Repeat a write that was not completed with the same bytes at the same address and with the same length: OpenSSL
/// requires it.
pub struct Connection {
    descriptor: RawFd,
    is_secure: bool,
    remote_address: SockAddr,
    /// The stream, locked during every call on it; `None` once it is closed.
    stream: Mutex<Option<Stream>>,
}

impl Connection {
    fn take_over(instance: NonNull<sys::ast_tcptls_session_instance>) -> io::Result<Self> {
        // SAFETY: the host keeps it during the request, and only this thread uses it.
        let (stream, remote_address) = unsafe { (Stream::take_over(instance)?, (*instance.as_ptr()).remote_address) };
        Ok(Self {
            descriptor: stream.descriptor(),
            is_secure: stream.is_secure(),
            remote_address: SockAddr(remote_address),
            stream: Mutex::new(Some(stream)),
        })
    }

    /// Reads the available bytes; 0 at the end of the stream. With TLS there may be more data than the socket shows:
    /// read until `WouldBlock` or [`MUST_WRITE`].
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stream().as_mut() {
            Some(stream) => stream.read(buffer),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Writes as much of `data` as possible; returns the number of bytes written.
    pub fn write(&self, data: &[u8]) -> io::Result<usize> {
        match self.stream().as_ref() {
            Some(stream) => stream.write(data),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Shuts down the sending direction of a plain connection. Does nothing with TLS.
    pub fn shutdown_write(&self) {
        if let Some(stream) = self.stream().as_ref().filter(|stream| !stream.is_secure()) {
            // SAFETY: the socket is open while the stream is.
            unsafe { libc::shutdown(stream.descriptor(), libc::SHUT_WR) };
        }
    }

    /// Closes TLS and the socket; further calls do nothing. The descriptor is invalid afterwards.
    pub fn close(&self) {
        if let Some(stream) = self.stream().take() {
            stream.close();
        }
    }

    /// The descriptor of the socket, for polling only.
    pub fn fd(&self) -> RawFd {
        self.descriptor
    }

    /// Whether the connection uses TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Our address; null once the connection is closed.
    pub fn local_address(&self) -> SockAddr {
        sockaddr::local(self.descriptor)
    }

    /// The peer's address.
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

/// Clears OpenSSL's error queue. OpenSSL reports a failed call by this thread's queue, in which another session may
/// have left an error.
pub(crate) struct OpenSslErrors {
    /// `ERR_clear_error` of the host, whose OpenSSL is not the one linked into this module.
    forget: Option<unsafe extern "C" fn()>,
}

impl OpenSslErrors {
    pub(crate) fn of_host() -> Self {
        // SAFETY: the function has this type in every version of OpenSSL.
        Self { forget: unsafe { symbols::lookup(c"ERR_clear_error") } }
    }

    /// Clears the error queue and `errno`, before a call on a stream with TLS.
    pub(crate) fn forget(&self) {
        if let Some(forget) = self.forget {
            // SAFETY: it clears this thread's queue only, which nobody needs any more.
            unsafe { forget() };
        }
        // SAFETY: this thread's own variable. A host may return OpenSSL's -1, and then only errno tells the reason.
        unsafe { *libc::__errno_location() = 0 };
    }
}

/// Returns which of `events` the socket is ready for, or an error condition; 0 for none. Does not block.
pub(crate) fn ready(descriptor: RawFd, events: c_short) -> c_short {
    let mut poll = libc::pollfd { fd: descriptor, events, revents: 0 };
    // SAFETY: one entry that lives during the call, which does not block.
    unsafe { libc::poll(&raw mut poll, 1, 0) };
    poll.revents
}

/// Converts the return value of a system call: a count, or -1 with the error in errno.
pub(crate) fn counted(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
