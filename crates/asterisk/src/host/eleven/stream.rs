//! The stream of a connection: a `FILE*` of the host with the `SSL` object behind it. It is read and written only
//! through `ast_tcptls_server_read` and `ast_tcptls_server_write`, and closed once, by `fclose`.
//!
//! Releases differ: since 11.10.1 a stream blocks until its socket is ready unless told otherwise; before, it returns
//! whatever the socket returns.

use std::collections::VecDeque;
use std::ffi::{c_int, c_short};
use std::io::{self, ErrorKind, Read};
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};

use crate::http::{self, MUST_WRITE, OpenSslErrors, counted};
use crate::{Ao2, symbols, sys};

/// Sends bytes on the stream of a request that is not taken over. It may block until the peer reads. The host closes
/// the connection after every request.
///
/// # Safety
/// The request is not over, and nobody else uses its stream meanwhile.
pub unsafe fn respond(instance: NonNull<sys::ast_tcptls_session_instance>, response: &[u8]) -> io::Result<()> {
    // SAFETY: live, as our caller guarantees.
    let file = unsafe { instance.as_ref() }.f.cast::<libc::FILE>();
    if file.is_null() {
        return Err(ErrorKind::NotConnected.into());
    }
    // Remove unread input first: a stream that cannot seek does not accept output after it.
    // SAFETY: open until the request is finished, as our caller guarantees; this holds below too.
    unsafe { take_read_ahead(file) };
    // SAFETY: as above.
    let written = unsafe { libc::fwrite(response.as_ptr().cast(), 1, response.len(), file) };
    // SAFETY: as above.
    let flushed = unsafe { libc::fflush(file) };
    if written == response.len() && flushed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A stream taken over from the HTTP server.
pub struct Stream {
    instance: Ao2<sys::ast_tcptls_session_instance>,
    file: *mut libc::FILE,
    descriptor: RawFd,
    is_secure: bool,
    waiting: Waiting,
    /// Bytes after the request in the same TLS record.
    read_ahead: VecDeque<u8>,
    errors: OpenSslErrors,
}

/// How a stream of this host behaves when its socket is not ready.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// Before 11.10.1: it never blocks, and returns what the socket or OpenSSL returned.
    Never,
    /// 11.10.1 and 11.6-cert3: it blocks for the configured time (none), then reports the end of the stream.
    ForNoTime,
    /// Later: it can be told not to block for input. For output it blocks for the configured time (none), as above.
    ForOutput,
}

// SAFETY: all use requires exclusive access, on any thread.
unsafe impl Send for Stream {}

impl Stream {
    /// Takes the stream over from a request.
    ///
    /// # Safety
    /// The request is not over, and nobody else uses its stream meanwhile.
    pub unsafe fn take_over(instance: NonNull<sys::ast_tcptls_session_instance>) -> io::Result<Self> {
        // SAFETY: guaranteed by our caller.
        let raw = unsafe { &mut *instance.as_ptr() };
        if raw.f.is_null() {
            return Err(ErrorKind::NotConnected.into());
        }
        set_nonblocking(raw.fd)?;
        let stream = Self {
            // SAFETY: live, as above.
            instance: unsafe { Ao2::share(instance) },
            file: raw.f.cast(),
            descriptor: raw.fd,
            is_secure: !raw.ssl.is_null(),
            waiting: stop_waiting(instance),
            // SAFETY: open, as above.
            read_ahead: unsafe { take_read_ahead(raw.f.cast()) }.into(),
            errors: OpenSslErrors::of_host(),
        };
        // The host would close the file that it finds here after the request. Before 11.10.1, its read and write
        // functions use the descriptor and ignore this pointer.
        raw.f = ptr::null_mut();
        if stream.waiting != Waiting::Never {
            raw.fd = -1;
        }
        Ok(stream)
    }

    /// The descriptor of the socket.
    pub fn descriptor(&self) -> RawFd {
        self.descriptor
    }

    /// Whether the stream uses TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Reads the available bytes; 0 at the end of the stream.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.read_ahead.is_empty() {
            return self.read_ahead.read(buffer);
        }
        if !self.is_secure {
            // SAFETY: the socket is open while the stream is; the buffer is writable.
            return counted(unsafe { libc::read(self.descriptor, buffer.as_mut_ptr().cast(), buffer.len()) });
        }
        let mut read = self.read_tls(buffer);
        if matches!(read, Ok(0)) && self.waiting != Waiting::Never {
            // Either TLS must write, or the missing input (the rest of a record) or room in the socket arrived between
            // the read and the check of the socket. So try again.
            read = self.read_tls(buffer);
        }
        read
    }

    /// Reads from TLS once. The host reports one of four results: bytes, the end, no input, or no room to
    /// write something (the answer to a key update) before it can read on. If it reports two of them alike,
    /// the socket tells which it is.
    fn read_tls(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.errors.forget();
        let (data, len) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: the stream is open and nobody else uses it; the buffer is writable.
        let read = counted(unsafe { sys::ast_tcptls_server_read(self.instance.as_ptr(), data, len as _) } as isize);
        match (self.waiting, read) {
            // "No input" and "no room" are both EAGAIN. If there is input, it must be "no room". If there is none,
            // what TLS has to write can be sent together with the next input.
            (Waiting::Never, Err(error)) if error.kind() == ErrorKind::WouldBlock => {
                match self.ready() & (libc::POLLIN | libc::POLLOUT) {
                    libc::POLLIN => Err(MUST_WRITE.into()),
                    _ => Err(error),
                }
            }
            // "No input" and "no room" are both reported as the end. If we mistake an end for "no room", a
            // deadline ends it.
            (Waiting::ForNoTime, Ok(0)) => match self.ready() {
                0 | libc::POLLOUT => Err(ErrorKind::WouldBlock.into()),
                libc::POLLIN => Err(MUST_WRITE.into()),
                _ => Ok(0),
            },
            // "No room" is reported as the end.
            (Waiting::ForOutput, Ok(0)) => match self.ready() {
                0 | libc::POLLIN => Err(MUST_WRITE.into()),
                _ => Ok(0),
            },
            (_, read) => read,
        }
    }

    fn ready(&self) -> c_short {
        http::ready(self.descriptor, libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP)
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
        let written =
            counted(unsafe { sys::ast_tcptls_server_write(self.instance.as_ptr(), bytes, len as _) } as isize)?;
        // The host returns 0 when the configured time, which is zero, has passed.
        if written == 0 && len != 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(written) }
    }

    /// Closes TLS and the socket.
    pub fn close(self) {
        if self.is_secure {
            self.errors.forget();
        }
        // SAFETY: the file is ours since we took it over from the request, and `self` is consumed here.
        unsafe { libc::fclose(self.file) };
        // SAFETY: our reference keeps the instance alive. The descriptor is closed, and nobody must use it any more.
        unsafe { (*self.instance.as_ptr()).fd = -1 };
    }
}

/// Tells the host's stream not to block, as far as the streams of this host support it.
fn stop_waiting(instance: NonNull<sys::ast_tcptls_session_instance>) -> Waiting {
    type SetInt = unsafe extern "C" fn(*mut sys::ast_tcptls_stream, c_int);
    // SAFETY: the function has this type in every host that has it.
    let set_timeout = unsafe { symbols::lookup::<SetInt>(c"ast_tcptls_stream_set_timeout_inactivity") };
    let Some(set_timeout) = set_timeout else { return Waiting::Never };
    // SAFETY: hosts with this function have the member too, and the instance is live.
    let cookie = unsafe { (*instance.as_ptr()).stream_cookie };
    if cookie.is_null() {
        return Waiting::Never;
    }
    // SAFETY: the stream lives as long as its instance.
    unsafe { set_timeout(cookie, 0) };
    // SAFETY: the function has this type in every host that has it.
    match unsafe { symbols::lookup::<SetInt>(c"ast_tcptls_stream_set_exclusive_input") } {
        // SAFETY: as above.
        Some(set_exclusive_input) => unsafe { set_exclusive_input(cookie, 0) },
        None => return Waiting::ForNoTime,
    }
    Waiting::ForOutput
}

/// Takes the bytes that the host has read into the buffer of a `FILE` beyond the request. Only plain streams are
/// unbuffered, so this concerns TLS.
///
/// # Safety
/// The file is open, and nobody else uses it meanwhile.
unsafe fn take_read_ahead(file: *mut libc::FILE) -> Vec<u8> {
    /// The beginning of glibc's `FILE`. It cannot change, because `getc_unlocked` is compiled into programs.
    #[repr(C)]
    struct Head {
        flags: c_int,
        read_ptr: *const u8,
        read_end: *const u8,
    }
    // SAFETY: open, as our caller guarantees.
    let head = unsafe { &*file.cast::<Head>() };
    let mut bytes = vec![0; (head.read_end as usize).saturating_sub(head.read_ptr as usize)];
    // SAFETY: as above; the buffer is writable. We request no more than is buffered, so nothing is read
    // from the socket.
    let len = unsafe { libc::fread(bytes.as_mut_ptr().cast(), 1, bytes.len(), file) };
    bytes.truncate(len);
    bytes
}

fn set_nonblocking(descriptor: RawFd) -> io::Result<()> {
    // SAFETY: no pointers are involved.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFL) };
    // SAFETY: as above.
    if flags < 0 || unsafe { libc::fcntl(descriptor, libc::F_SETFL, flags | libc::O_NONBLOCK) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
