//! The host's HTTP server: a path of ours in it, and the connection behind a request taken over from it.
//!
//! The stream of a connection belongs to the host, and so does the `SSL` inside: it is read and written through
//! `ast_tcptls_server_read` and `_write` only, one call at a time, and closed by `fclose`, once. What differs between
//! hosts is in `Stream`: since 11.10.1 a stream waits for its socket unless told otherwise; before, it does what
//! the socket does.

use std::ffi::{CStr, c_char, c_int};
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fence::fence;
use crate::sockaddr::{self, SockAddr};
use crate::{Ao2, Failed, check, symbols, sys};

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
        H::handle(Request {
            session,
            method: Method::from_host(method),
            parameters: Variables(parameters, PhantomData),
            headers: Variables(headers, PhantomData),
        })
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

    /// Sends a response as it is. It may wait for the peer, as everything that the host does on this thread.
    pub fn respond(&self, response: &[u8]) -> io::Result<()> {
        let file = self.instance().f.cast::<libc::FILE>();
        if file.is_null() {
            return Err(ErrorKind::NotConnected.into());
        }
        // SAFETY: the stream is open until the request is over, and nobody else uses it meanwhile.
        let written = unsafe { libc::fwrite(response.as_ptr().cast(), 1, response.len(), file) };
        // SAFETY: as above.
        let flushed = unsafe { libc::fflush(file) };
        if written == response.len() && flushed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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
    /// Names and values in their order; what is not UTF-8 is left out.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
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
unsafe fn text<'a>(text: *const c_char) -> Option<&'a str> {
    // SAFETY: the caller's word.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })?.to_str().ok()
}

/// A connection that was the HTTP server's. Nothing here waits: `WouldBlock` says that it would have to.
///
/// A write that was not taken in full is repeated with the same bytes at the same place and of the same number:
/// OpenSSL insists.
pub struct Connection {
    instance: Ao2<sys::ast_tcptls_session_instance>,
    descriptor: RawFd,
    is_secure: bool,
    remote_address: SockAddr,
    /// One lock for every call on the stream; `None` once it is closed.
    stream: Mutex<Option<Stream>>,
}

struct Stream {
    file: *mut libc::FILE,
    descriptor: RawFd,
    is_secure: bool,
    waiting: Waiting,
    /// OpenSSL judges a failed call by its error queue, in which another session may have left something on this
    /// thread. The host's own function: its OpenSSL is not ours.
    forget_errors: Option<unsafe extern "C" fn()>,
}

/// How the host's stream deals with a socket that is not ready.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// Before 11.10.1: it answers what the socket, or OpenSSL, did.
    Never,
    /// 11.10.1 and 11.6-cert3: it waits, but no longer than it is told; then it reports the end of the stream.
    ForNoTime,
    /// Later: it can be told not to wait for input. For output it waits no longer than it is told, as above.
    ForOutput,
}

// SAFETY: used under the lock of its `Connection` only, from whichever thread.
unsafe impl Send for Stream {}

impl Connection {
    fn take_over(instance: NonNull<sys::ast_tcptls_session_instance>) -> io::Result<Self> {
        // SAFETY: the host keeps it for the length of the request, and this is the one thread that uses it.
        let raw = unsafe { &mut *instance.as_ptr() };
        if raw.f.is_null() {
            return Err(ErrorKind::NotConnected.into());
        }
        set_nonblocking(raw.fd)?;
        let stream = Stream {
            file: raw.f.cast(),
            descriptor: raw.fd,
            is_secure: !raw.ssl.is_null(),
            waiting: stop_waiting(instance),
            // SAFETY: its type in every OpenSSL.
            forget_errors: unsafe { symbols::lookup(c"ERR_clear_error") },
        };
        // The host closes what it finds here when the request is over. Before 11.10.1 its read and write use the
        // descriptor, and it does not look at that one.
        raw.f = ptr::null_mut();
        if stream.waiting != Waiting::Never {
            raw.fd = -1;
        }
        Ok(Self {
            descriptor: stream.descriptor,
            is_secure: stream.is_secure,
            remote_address: SockAddr(raw.remote_address),
            // SAFETY: live, as above.
            instance: unsafe { Ao2::share(instance) },
            stream: Mutex::new(Some(stream)),
        })
    }

    /// Reads what is there; 0 at the end. Over TLS there may be more than the socket shows: read until `WouldBlock`.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stream().as_ref() {
            Some(stream) => stream.read(self.instance.as_ptr(), buffer),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Writes what can be written.
    pub fn write(&self, data: &[u8]) -> io::Result<usize> {
        match self.stream().as_ref() {
            Some(stream) => stream.write(self.instance.as_ptr(), data),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Ends our half of a plain connection; with TLS nothing happens before `close`.
    pub fn shutdown_write(&self) {
        if let Some(stream) = self.stream().as_ref().filter(|stream| !stream.is_secure) {
            // SAFETY: the socket is open while the stream is.
            unsafe { libc::shutdown(stream.descriptor, libc::SHUT_WR) };
        }
    }

    /// Closes TLS and socket, once. The descriptor is not ours any more afterwards.
    pub fn close(&self) {
        if let Some(stream) = self.stream().take() {
            stream.close(self.instance.as_ptr());
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

    /// The other end.
    pub fn remote_address(&self) -> SockAddr {
        self.remote_address
    }

    fn stream(&self) -> MutexGuard<'_, Option<Stream>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

impl Stream {
    fn read(&self, instance: *mut sys::ast_tcptls_session_instance, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_secure {
            // SAFETY: the socket is open while the stream is; the buffer is writable.
            return counted(unsafe { libc::read(self.descriptor, buffer.as_mut_ptr().cast(), buffer.len()) });
        }
        let mut read = self.read_tls(instance, buffer)?;
        if read == 0 && self.waiting == Waiting::ForNoTime && self.is_over() {
            // Or the rest of a record came between the read and the look at the socket.
            read = self.read_tls(instance, buffer)?;
        }
        if read == 0 && !self.is_over() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(read)
    }

    fn read_tls(&self, instance: *mut sys::ast_tcptls_session_instance, buffer: &mut [u8]) -> io::Result<usize> {
        self.prepare();
        let (data, len) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: the stream is open and nobody else is inside it; the buffer is writable.
        counted(unsafe { sys::ast_tcptls_server_read(instance, data, len as _) } as isize)
    }

    fn write(&self, instance: *mut sys::ast_tcptls_session_instance, data: &[u8]) -> io::Result<usize> {
        let (bytes, len) = (data.as_ptr().cast(), data.len());
        if !self.is_secure {
            // SAFETY: the socket is open while the stream is; the bytes are readable. No signal when it is broken.
            return counted(unsafe { libc::send(self.descriptor, bytes, len, libc::MSG_NOSIGNAL) });
        }
        self.prepare();
        // SAFETY: the stream is open and nobody else is inside it; the bytes are readable.
        let written = counted(unsafe { sys::ast_tcptls_server_write(instance, bytes, len as _) } as isize)?;
        // The host says 0 when its time, of which it has none, was not enough.
        if written == 0 && len != 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(written) }
    }

    fn prepare(&self) {
        if let Some(forget_errors) = self.forget_errors {
            // SAFETY: concerns this thread's queue only, which is of no use to anybody by now.
            unsafe { forget_errors() };
        }
        // SAFETY: this thread's own. An older host passes OpenSSL's -1 on, and only errno tells why.
        unsafe { *libc::__errno_location() = 0 };
    }

    /// Whether 0 meant the end and not a stream that would have to wait: for input, or to write something before it can
    /// read on (a key update). The socket tells.
    fn is_over(&self) -> bool {
        let events = match self.waiting {
            Waiting::Never => return true,
            Waiting::ForNoTime => libc::POLLIN | libc::POLLRDHUP,
            Waiting::ForOutput => libc::POLLOUT | libc::POLLRDHUP,
        };
        let mut poll = libc::pollfd { fd: self.descriptor, events, revents: 0 };
        // SAFETY: one entry, and it lives for the length of the call, which does not wait.
        unsafe { libc::poll(&raw mut poll, 1, 0) != 0 }
    }

    fn close(self, instance: *mut sys::ast_tcptls_session_instance) {
        if self.is_secure {
            self.prepare();
        }
        // SAFETY: the file is ours since the request left it to us, and `close` of `Connection` takes it once.
        unsafe { libc::fclose(self.file) };
        // SAFETY: our reference keeps the instance. The descriptor is closed, whoever looks at it.
        unsafe { (*instance).fd = -1 };
    }
}

/// Tells the host's stream not to wait for its socket, as far as this host's streams can be told.
fn stop_waiting(instance: NonNull<sys::ast_tcptls_session_instance>) -> Waiting {
    type SetInt = unsafe extern "C" fn(*mut sys::ast_tcptls_stream, c_int);
    // SAFETY: its type in every host that has it.
    let set_timeout = unsafe { symbols::lookup::<SetInt>(c"ast_tcptls_stream_set_timeout_inactivity") };
    let Some(set_timeout) = set_timeout else { return Waiting::Never };
    // SAFETY: hosts that have the function have the member too, and the instance is live.
    let cookie = unsafe { (*instance.as_ptr()).stream_cookie };
    if cookie.is_null() {
        return Waiting::Never;
    }
    // SAFETY: the stream lives as long as its instance.
    unsafe { set_timeout(cookie, 0) };
    // SAFETY: its type in every host that has it.
    match unsafe { symbols::lookup::<SetInt>(c"ast_tcptls_stream_set_exclusive_input") } {
        // SAFETY: as above.
        Some(set_exclusive_input) => unsafe { set_exclusive_input(cookie, 0) },
        None => return Waiting::ForNoTime,
    }
    Waiting::ForOutput
}

fn set_nonblocking(descriptor: RawFd) -> io::Result<()> {
    // SAFETY: no pointers are involved.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFL) };
    // SAFETY: likewise.
    if flags < 0 || unsafe { libc::fcntl(descriptor, libc::F_SETFL, flags | libc::O_NONBLOCK) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The system's convention: a number, or -1 and errno.
fn counted(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
