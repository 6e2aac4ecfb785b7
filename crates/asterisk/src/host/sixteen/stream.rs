//! The stream of a connection: an `ast_iostream` of the host, including the data that TLS or the HTTP server has read
//! ahead.

use std::io::{self, ErrorKind};
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};

use crate::http::{self, MUST_WRITE, OpenSslErrors, counted};
use crate::sys;

/// Sends bytes on the stream of a request that is not taken over, and has the host close it afterwards instead of
/// waiting for the next request. It may block until the peer reads.
///
/// # Safety
/// The request is not over, and nobody else uses its stream meanwhile.
pub unsafe fn respond(instance: NonNull<sys::ast_tcptls_session_instance>, response: &[u8]) -> io::Result<()> {
    // SAFETY: live until the request is finished, as our caller guarantees.
    let stream = unsafe { instance.as_ref() }.stream;
    // SAFETY: as above; the HTTP server created the data in which this is stored.
    unsafe { sys::ast_http_request_close_on_completion(instance.as_ptr()) };
    // SAFETY: open, as above; the function returns an error for null.
    let written = counted(unsafe { sys::ast_iostream_write(stream, response.as_ptr().cast(), response.len()) })?;
    // If input is left unread when the socket is closed, the kernel resets the connection, and the peer may never see
    // the response (RFC 9112 §9.6). Whether reading it succeeds does not matter any more.
    // SAFETY: as above.
    unsafe { sys::ast_http_body_discard(instance.as_ptr()) };
    if written == response.len() { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
}

/// A stream taken over from the HTTP server.
pub struct Stream {
    stream: NonNull<sys::ast_iostream>,
    descriptor: RawFd,
    is_secure: bool,
    errors: OpenSslErrors,
}

// SAFETY: all use requires exclusive access, on any thread.
unsafe impl Send for Stream {}

impl Stream {
    /// Takes the stream over from a request.
    ///
    /// # Safety
    /// The request is not over, and nobody else uses its stream meanwhile.
    pub unsafe fn take_over(instance: NonNull<sys::ast_tcptls_session_instance>) -> io::Result<Self> {
        // The body of the request is not part of the session that follows.
        // SAFETY: guaranteed by our caller; the HTTP server has noted whether there is one.
        if unsafe { sys::ast_http_body_discard(instance.as_ptr()) } != 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: guaranteed by our caller.
        let raw = unsafe { &mut *instance.as_ptr() };
        // The host would close the stream that it finds here after the request.
        let stream =
            NonNull::new(std::mem::replace(&mut raw.stream, ptr::null_mut())).ok_or(ErrorKind::NotConnected)?;
        let raw = stream.as_ptr();
        // SAFETY: ours since the line above. From here on, no read blocks, and writes block for no time at all.
        unsafe {
            sys::ast_iostream_nonblock(raw);
            sys::ast_iostream_set_exclusive_input(raw, 0);
            sys::ast_iostream_set_timeout_inactivity(raw, 0);
        }
        // SAFETY: as above.
        let (descriptor, ssl) = unsafe { (sys::ast_iostream_get_fd(raw), sys::ast_iostream_get_ssl(raw)) };
        Ok(Self { stream, descriptor, is_secure: !ssl.is_null(), errors: OpenSslErrors::of_host() })
    }

    /// The descriptor of the socket.
    pub fn descriptor(&self) -> RawFd {
        self.descriptor
    }

    /// Whether the stream uses TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Reads the available bytes, beginning with those that the HTTP server has read ahead; 0 at the end of the stream.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = self.read_once(buffer)?;
        // Try twice: room in the socket, which TLS lacked during the read, may have appeared before the check of the
        // socket.
        for _ in 0..2 {
            if read != 0 || !self.is_secure {
                return Ok(read);
            }
            // If only input were missing, the read would have failed with `WouldBlock`.
            if !self.is_over() {
                return Err(MUST_WRITE.into());
            }
            read = self.read_once(buffer)?;
        }
        Ok(read)
    }

    fn read_once(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.errors.forget();
        // SAFETY: the stream is open and nobody else uses it; the buffer is writable.
        counted(unsafe { sys::ast_iostream_read(self.stream.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) })
    }

    /// Writes as many bytes as possible.
    pub fn write(&self, data: &[u8]) -> io::Result<usize> {
        let (bytes, len) = (data.as_ptr().cast(), data.len());
        if !self.is_secure {
            // SAFETY: the socket is open while the stream is; the bytes are readable. A broken connection
            // causes no signal.
            return counted(unsafe { libc::send(self.descriptor, bytes, len, libc::MSG_NOSIGNAL) });
        }
        self.errors.forget();
        // SAFETY: the stream is open and nobody else uses it; the bytes are readable.
        let written = counted(unsafe { sys::ast_iostream_write(self.stream.as_ptr(), bytes, len) })?;
        // The host returns 0 when the configured time, which is zero, has passed.
        if written == 0 && len != 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(written) }
    }

    /// Whether a read of 0 bytes was the end of the stream. Otherwise TLS must write something before it can read on
    /// (the answer to a key update). The state of the socket tells.
    fn is_over(&self) -> bool {
        http::ready(self.descriptor, libc::POLLOUT | libc::POLLRDHUP) != 0
    }

    /// Closes TLS and the socket, and drops our reference.
    pub fn close(self) {
        if self.is_secure {
            self.errors.forget();
        }
        // SAFETY: the stream is ours, and `self` is consumed here.
        unsafe { sys::ast_iostream_close(self.stream.as_ptr()) };
    }
}
