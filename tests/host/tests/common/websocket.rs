//! The browser's end of a WebSocket, in the simplest form that RFC 6455 allows.

use host_tests::raw;
use std::{
    ffi::CString,
    io::{Read, Write},
    os::{fd::IntoRawFd, unix::net::UnixStream},
    ptr,
    thread::{self, JoinHandle},
    time::Duration,
};

/// The value that the core's "TLS" XORs with each byte.
const TLS_MASK: u8 = 0x5a;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The length in bytes of the core's answer to a key update.
const KEY_UPDATE_LEN: usize = raw::HOST_KEY_UPDATE_LEN as usize;

/// While it lives, everything that is sent over TLS requests key updates.
pub struct KeyUpdates;

impl KeyUpdates {
    pub fn begin() -> Self {
        // SAFETY: sets an atomic.
        unsafe { raw::host_tls_set_key_updates(1) };
        Self
    }

    /// Requests more key updates than TLS can answer before the answers are read; checks that nobody reads on in vain.
    pub fn keep_nobody_busy(&self, browser: &mut Browser) {
        browser.ask_for_key_updates(self);
        std::thread::sleep(Duration::from_millis(200));
        let before = tls_reads();
        std::thread::sleep(Duration::from_millis(500));
        let reads = tls_reads() - before;
        assert!(reads < 10, "{reads} in half a second");
    }
}

impl Drop for KeyUpdates {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { raw::host_tls_set_key_updates(0) };
    }
}

/// The number of reads from TLS by the module so far.
fn tls_reads() -> i64 {
    // SAFETY: reads an atomic.
    unsafe { raw::host_tls_reads() }
}

/// A connection to the core's HTTP server, which handles it on its own thread.
pub struct Browser {
    socket: UnixStream,
    server: Option<JoinHandle<i32>>,
    tls: bool,
}

impl Browser {
    /// Connects and sends a request with these headers, handled on its own thread.
    pub fn request(uri: &str, tls: bool, headers: &[(&str, impl AsRef<[u8]>)]) -> Self {
        let (mut browser, serve) = Self::prepare(uri, tls, headers);
        browser.server = Some(thread::spawn(serve));
        browser
    }

    /// Connects and sends a request; the caller runs the returned function to handle it.
    pub fn prepare(
        uri: &str,
        tls: bool,
        headers: &[(&str, impl AsRef<[u8]>)],
    ) -> (Self, impl FnOnce() -> i32 + Send + 'static) {
        let (socket, theirs) = UnixStream::pair().expect("a socket pair");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let uri = CString::new(uri).expect("no NUL");
        let headers = HeaderList::new(headers);
        let serve = move || {
            let headers = headers;
            // SAFETY: socket and list are handed over; the string lives during the call.
            unsafe { raw::host_http_serve(theirs.into_raw_fd(), tls.into(), uri.as_ptr(), 0, headers.0) }
        };
        let mut browser = Self { socket, server: None, tls };
        browser.send_bytes(b"GET /ws HTTP/1.1\r\n\r\n");
        (browser, serve)
    }

    /// Performs the handshake for one of `protocols`; fails with the response if it is refused.
    pub fn connect(uri: &str, tls: bool, protocols: &str) -> Result<Self, String> {
        Self::request(uri, tls, &handshake(protocols)).shaken_hands()
    }

    /// Reads the server's response to the handshake.
    pub fn shaken_hands(mut self) -> Result<Self, String> {
        let answer = self.head();
        if answer.starts_with("HTTP/1.1 101 ") && answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
            Ok(self)
        } else {
            Err(answer)
        }
    }

    /// Reads the head of an HTTP response.
    pub fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if self.read(&mut byte) == 0 {
                break;
            }
            head.push(byte[0]);
        }
        String::from_utf8_lossy(&head).into_owned()
    }

    /// Makes one masked frame.
    pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length @ 126..0x1_0000 => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    pub fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.send_bytes(&Self::frame(opcode, payload));
    }

    /// Sends in one segment, and with TLS in one record.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let masked: Vec<u8> = bytes.iter().map(|byte| byte ^ if self.tls { TLS_MASK } else { 0 }).collect();
        self.socket.write_all(&masked).expect("the server reads");
    }

    /// Sends; returns `false` if the server does not accept it in time or has closed the connection.
    pub fn try_send(&mut self, bytes: &[u8], within: Duration) -> bool {
        assert!(!self.tls);
        self.socket.set_write_timeout(Some(within)).expect("a timeout");
        self.socket.write_all(bytes).is_ok()
    }

    /// Requests more key updates than TLS can answer before the answers are read: the socket stays readable.
    pub fn ask_for_key_updates(&mut self, _key_updates: &KeyUpdates) {
        self.send_bytes(&[0; MANY_KEY_UPDATES]);
    }

    /// Reads the answers to all key updates.
    pub fn receive_key_updates(&mut self) {
        self.read_exact(&mut vec![0; MANY_KEY_UPDATES * KEY_UPDATE_LEN]);
    }

    /// Reads the next frame from the server: opcode and payload.
    pub fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.read_exact(&mut head);
        assert_eq!(head[1] & 0x80, 0, "a server does not mask (RFC 6455 §5.1)");
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.read_exact(&mut length);
                u16::from_be_bytes(length).into()
            }
            127 => {
                let mut length = [0; 8];
                self.read_exact(&mut length);
                usize::try_from(u64::from_be_bytes(length)).expect("fits")
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.read_exact(&mut payload);
        (head[0] & 0x0f, payload)
    }

    /// Whether the server has closed the connection, ignoring remaining data.
    pub fn is_closed_by_server(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Closes with a closing handshake and waits until the server's thread has finished.
    pub fn close(mut self) -> Option<i32> {
        self.send(CLOSE, &1000_u16.to_be_bytes());
        let (opcode, _) = self.receive();
        assert_eq!(opcode, CLOSE);
        self.hang_up()
    }

    /// Closes the socket without a closing handshake.
    pub fn hang_up(mut self) -> Option<i32> {
        // It may be closed already.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        self.server.take().map(|server| server.join().expect("the server's thread"))
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let got = self.socket.read(buffer).expect("an answer within five seconds");
        if self.tls {
            buffer.iter_mut().for_each(|byte| *byte ^= TLS_MASK);
        }
        got
    }

    /// Reads this many bytes.
    pub fn read_exact(&mut self, buffer: &mut [u8]) {
        self.socket.read_exact(buffer).expect("an answer within five seconds");
        if self.tls {
            buffer.iter_mut().for_each(|byte| *byte ^= TLS_MASK);
        }
    }
}

/// More key updates than the core reads at once.
const MANY_KEY_UPDATES: usize = 20_000;

/// The headers of a browser's handshake (RFC 6455 §1.3, with its key).
pub fn handshake(protocols: &str) -> [(&str, &str); 7] {
    [
        ("Host", "pbx.example"),
        ("Upgrade", "websocket"),
        ("Connection", "keep-alive, Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", protocols),
        ("Origin", "https://phone.example"),
    ]
}

/// Headers in the host's type.
struct HeaderList(*mut asterisk_sys::ast_variable);

// SAFETY: nobody else has the list, and it is ordinary memory.
unsafe impl Send for HeaderList {}

impl HeaderList {
    fn new(headers: &[(&str, impl AsRef<[u8]>)]) -> Self {
        let mut first = ptr::null_mut();
        for (name, value) in headers.iter().rev() {
            let (name, value) = (CString::new(*name).expect("no NUL"), CString::new(value.as_ref()).expect("no NUL"));
            // SAFETY: the strings live during the call; the core copies them.
            let variable = unsafe { asterisk_sys::ast_variable_new(name.as_ptr(), value.as_ptr(), c"".as_ptr()) };
            // SAFETY: just made.
            unsafe { (*variable).next = first };
            first = variable;
        }
        Self(first)
    }
}
