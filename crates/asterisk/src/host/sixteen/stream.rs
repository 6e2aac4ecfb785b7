//! The stream of a connection: an `ast_iostream` of the host's, with what TLS or the HTTP server has read ahead inside.

use std::io::{self, ErrorKind};
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};

use crate::http::{self, MUST_WRITE, OpenSslErrors, counted};
use crate::sys;

/// Sends bytes on the stream of a request, before it is taken over, and has the host close it afterwards instead of
/// waiting for the next request. It may wait for the peer.
///
/// # Safety
/// The request is not over, and nobody else uses its stream meanwhile.
pub unsafe fn respond(instance: NonNull<sys::ast_tcptls_session_instance>, response: &[u8]) -> io::Result<()> {
    // SAFETY: live until the request is over, by the caller's word.
    let stream = unsafe { instance.as_ref() }.stream;
    // SAFETY: as above; the HTTP server made what it notes this in.
    unsafe { sys::ast_http_request_close_on_completion(instance.as_ptr()) };
    // SAFETY: open, as above; null is answered with an error.
    let written = counted(unsafe { sys::ast_iostream_write(stream, response.as_ptr().cast(), response.len()) })?;
    // What is left unread when the socket is closed makes a reset of it, and the peer may never see the answer (RFC 9112
    // §9.6). Whether it could be read changes nothing any more.
    // SAFETY: as above.
    unsafe { sys::ast_http_body_discard(instance.as_ptr()) };
    if written == response.len() { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
}

/// A stream that was the HTTP server's.
pub struct Stream {
    stream: NonNull<sys::ast_iostream>,
    descriptor: RawFd,
    is_secure: bool,
    errors: OpenSslErrors,
}

// SAFETY: whoever holds it exclusively uses it, on whichever thread.
unsafe impl Send for Stream {}

impl Stream {
    /// Takes the stream over from a request.
    ///
    /// # Safety
    /// The request is not over, and nobody else uses its stream meanwhile.
    pub unsafe fn take_over(instance: NonNull<sys::ast_tcptls_session_instance>) -> io::Result<Self> {
        // The body of a request is no part of the session that follows it.
        // SAFETY: the caller's word; the HTTP server has noted whether there is one.
        if unsafe { sys::ast_http_body_discard(instance.as_ptr()) } != 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: the caller's word.
        let raw = unsafe { &mut *instance.as_ptr() };
        // The host closes what it finds here when the request is over.
        let stream =
            NonNull::new(std::mem::replace(&mut raw.stream, ptr::null_mut())).ok_or(ErrorKind::NotConnected)?;
        let raw = stream.as_ptr();
        // SAFETY: ours since the line above. From here on nothing waits for input, and for output no longer than no time.
        unsafe {
            sys::ast_iostream_nonblock(raw);
            sys::ast_iostream_set_exclusive_input(raw, 0);
            sys::ast_iostream_set_timeout_inactivity(raw, 0);
        }
        // SAFETY: as above.
        let (descriptor, ssl) = unsafe { (sys::ast_iostream_get_fd(raw), sys::ast_iostream_get_ssl(raw)) };
        Ok(Self { stream, descriptor, is_secure: !ssl.is_null(), errors: OpenSslErrors::of_host() })
    }

    /// The socket.
    pub fn descriptor(&self) -> RawFd {
        self.descriptor
    }

    /// Whether it is TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Reads what is there; 0 at the end. What the HTTP server has read ahead of the request comes first.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = self.read_once(buffer)?;
        // A second time, as the room that TLS would have had to wait for may have come between the read and the look at the
        // socket.
        for _ in 0..2 {
            if read != 0 || !self.is_secure {
                return Ok(read);
            }
            // Had it to wait for input, it would have said so.
            if !self.is_over() {
                return Err(MUST_WRITE.into());
            }
            read = self.read_once(buffer)?;
        }
        Ok(read)
    }

    fn read_once(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.errors.forget();
        // SAFETY: the stream is open and nobody else is inside it; the buffer is writable.
        counted(unsafe { sys::ast_iostream_read(self.stream.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) })
    }

    /// Writes what can be written.
    pub fn write(&self, data: &[u8]) -> io::Result<usize> {
        let (bytes, len) = (data.as_ptr().cast(), data.len());
        if !self.is_secure {
            // SAFETY: the socket is open while the stream is; the bytes are readable. No signal when it is broken.
            return counted(unsafe { libc::send(self.descriptor, bytes, len, libc::MSG_NOSIGNAL) });
        }
        self.errors.forget();
        // SAFETY: the stream is open and nobody else is inside it; the bytes are readable.
        let written = counted(unsafe { sys::ast_iostream_write(self.stream.as_ptr(), bytes, len) })?;
        // The host says 0 when its time, of which it has none, was not enough.
        if written == 0 && len != 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(written) }
    }

    /// Whether 0 meant the end and not TLS that would have to write something before it can read on (a key update). The
    /// socket tells.
    fn is_over(&self) -> bool {
        http::ready(self.descriptor, libc::POLLOUT | libc::POLLRDHUP) != 0
    }

    /// Closes TLS and socket, and gives our reference back.
    pub fn close(self) {
        if self.is_secure {
            self.errors.forget();
        }
        // SAFETY: the stream is ours, and `self` goes here.
        unsafe { sys::ast_iostream_close(self.stream.as_ptr()) };
    }
}
