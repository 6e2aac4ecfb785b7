//! The stream of a connection: a `FILE*` of the host's with the `SSL` inside, read and written through
//! `ast_tcptls_server_read` and `_write` only, and closed by `fclose`, once.
//!
//! What differs between releases: since 11.10.1 a stream waits for its socket unless told otherwise; before, it does what
//! the socket does.

use std::collections::VecDeque;
use std::ffi::{c_int, c_short};
use std::io::{self, ErrorKind, Read};
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};

use crate::http::{self, MUST_WRITE, OpenSslErrors, counted};
use crate::{Ao2, symbols, sys};

/// Sends bytes on the stream of a request, before it is taken over. It may wait for the peer. The host closes after every
/// request.
///
/// # Safety
/// The request is not over, and nobody else uses its stream meanwhile.
pub unsafe fn respond(instance: NonNull<sys::ast_tcptls_session_instance>, response: &[u8]) -> io::Result<()> {
    // SAFETY: live, by the caller's word.
    let file = unsafe { instance.as_ref() }.f.cast::<libc::FILE>();
    if file.is_null() {
        return Err(ErrorKind::NotConnected.into());
    }
    // Unread input has to be gone: a stream that cannot seek would not take output behind it.
    // SAFETY: open until the request is over, by the caller's word, which holds below too.
    unsafe { take_read_ahead(file) };
    // SAFETY: as above.
    let written = unsafe { libc::fwrite(response.as_ptr().cast(), 1, response.len(), file) };
    // SAFETY: as above.
    let flushed = unsafe { libc::fflush(file) };
    if written == response.len() && flushed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A stream that was the HTTP server's.
pub struct Stream {
    instance: Ao2<sys::ast_tcptls_session_instance>,
    file: *mut libc::FILE,
    descriptor: RawFd,
    is_secure: bool,
    waiting: Waiting,
    /// What came behind the request in the same TLS record.
    read_ahead: VecDeque<u8>,
    errors: OpenSslErrors,
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

// SAFETY: whoever holds it exclusively uses it, on whichever thread.
unsafe impl Send for Stream {}

impl Stream {
    /// Takes the stream over from a request.
    ///
    /// # Safety
    /// The request is not over, and nobody else uses its stream meanwhile.
    pub unsafe fn take_over(instance: NonNull<sys::ast_tcptls_session_instance>) -> io::Result<Self> {
        // SAFETY: the caller's word.
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
        // The host closes what it finds here when the request is over. Before 11.10.1 its read and write use the
        // descriptor, and it does not look at that one.
        raw.f = ptr::null_mut();
        if stream.waiting != Waiting::Never {
            raw.fd = -1;
        }
        Ok(stream)
    }

    /// The socket.
    pub fn descriptor(&self) -> RawFd {
        self.descriptor
    }

    /// Whether it is TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Reads what is there; 0 at the end.
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
            // Or what it would have had to wait for, the rest of a record or room for its own, came between the read and the
            // look at the socket.
            read = self.read_tls(buffer);
        }
        read
    }

    /// What the host says is one of four: bytes, the end, a wait for input, or a wait for room to write something (the
    /// answer to a key update) before it can read on. Where it says the same for two of them, the socket tells.
    fn read_tls(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.errors.forget();
        let (data, len) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: the stream is open and nobody else is inside it; the buffer is writable.
        let read = counted(unsafe { sys::ast_tcptls_server_read(self.instance.as_ptr(), data, len as _) } as isize);
        match (self.waiting, read) {
            // Both waits are EAGAIN. Nobody waits for input that is there; when there is none, what TLS has to write may go
            // along with what comes next.
            (Waiting::Never, Err(error)) if error.kind() == ErrorKind::WouldBlock => {
                match self.ready() & (libc::POLLIN | libc::POLLOUT) {
                    libc::POLLIN => Err(MUST_WRITE.into()),
                    _ => Err(error),
                }
            }
            // Both are the end. What is taken for a wait to write and is none has its deadline.
            (Waiting::ForNoTime, Ok(0)) => match self.ready() {
                0 | libc::POLLOUT => Err(ErrorKind::WouldBlock.into()),
                libc::POLLIN => Err(MUST_WRITE.into()),
                _ => Ok(0),
            },
            // The wait to write is the end.
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

    /// Writes what can be written.
    pub fn write(&self, data: &[u8]) -> io::Result<usize> {
        let (bytes, len) = (data.as_ptr().cast(), data.len());
        if !self.is_secure {
            // SAFETY: the socket is open while the stream is; the bytes are readable. No signal when it is broken.
            return counted(unsafe { libc::send(self.descriptor, bytes, len, libc::MSG_NOSIGNAL) });
        }
        self.errors.forget();
        // SAFETY: the stream is open and nobody else is inside it; the bytes are readable.
        let written =
            counted(unsafe { sys::ast_tcptls_server_write(self.instance.as_ptr(), bytes, len as _) } as isize)?;
        // The host says 0 when its time, of which it has none, was not enough.
        if written == 0 && len != 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(written) }
    }

    /// Closes TLS and socket.
    pub fn close(self) {
        if self.is_secure {
            self.errors.forget();
        }
        // SAFETY: the file is ours since the request left it to us, and `self` goes here.
        unsafe { libc::fclose(self.file) };
        // SAFETY: our reference keeps the instance. The descriptor is closed, whoever looks at it.
        unsafe { (*self.instance.as_ptr()).fd = -1 };
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

/// Takes what the host has read into the buffer of a `FILE` beyond what it asked for: it makes only plain ones unbuffered.
///
/// # Safety
/// The file is open, and nobody else uses it meanwhile.
unsafe fn take_read_ahead(file: *mut libc::FILE) -> Vec<u8> {
    /// How glibc's begins. It stays like that: `getc_unlocked` is compiled into programs.
    #[repr(C)]
    struct Head {
        flags: c_int,
        read_ptr: *const u8,
        read_end: *const u8,
    }
    // SAFETY: open, by the caller's word.
    let head = unsafe { &*file.cast::<Head>() };
    let mut bytes = vec![0; (head.read_end as usize).saturating_sub(head.read_ptr as usize)];
    // SAFETY: as above; the buffer is writable. No more is asked for than is there, so the stream is not read from.
    let len = unsafe { libc::fread(bytes.as_mut_ptr().cast(), 1, bytes.len(), file) };
    bytes.truncate(len);
    bytes
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
