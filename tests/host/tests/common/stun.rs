//! A STUN server (RFC 8489) on loopback that does what a test wants.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// The server's answer to a Binding request.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// The address, with the sender's port plus a number.
    Mapped(Ipv4Addr, u16),
    /// None.
    Silence,
    /// Bytes that are no STUN message.
    Garbage,
    /// An error response with this code.
    Error(u16),
    /// A success response to another transaction.
    OtherTransaction,
}

/// The running server.
pub struct StunServer {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    indications: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StunServer {
    pub fn start(answer: Answer) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let address = socket.local_addr().expect("bound");
        let [requests, indications] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let ends = Arc::new(AtomicBool::new(false));
        let (counter, end, kept) = (Arc::clone(&requests), Arc::clone(&ends), Arc::clone(&indications));
        let thread = thread::spawn(move || {
            let mut request = [0; 2048];
            while !end.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut request) else { continue };
                if request[..length].starts_with(&BINDING_INDICATION) {
                    kept.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                counter.fetch_add(1, Ordering::Relaxed);
                if let Some(response) = respond(answer, &request[..length], from) {
                    socket.send_to(&response, from).expect("loopback");
                }
            }
        });
        Self { address, requests, indications, ends, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of requests so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// The number of Binding indications so far.
    pub fn indications(&self) -> usize {
        self.indications.load(Ordering::Relaxed)
    }
}

/// Type, length and magic cookie.
const BINDING_INDICATION: [u8; 8] = [0, 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42];

impl Drop for StunServer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the server panicked");
        }
    }
}

fn respond(answer: Answer, request: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    assert_eq!(request[..8], [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42], "a Binding request without attributes");
    let mut id: [u8; 12] = request[8..20].try_into().expect("a header");
    match answer {
        Answer::Silence => None,
        Answer::Garbage => Some(b"SSH-2.0-not a STUN server".to_vec()),
        Answer::Error(code) => {
            let value = [0, 0, (code / 100) as u8, (code % 100) as u8];
            Some(message(0x0111, id, 0x0009, &value))
        }
        Answer::OtherTransaction => {
            id[0] ^= 1;
            Some(message(0x0101, id, 0x0020, &xor_mapped([203, 0, 113, 66].into(), from.port())))
        }
        Answer::Mapped(ip, shift) => {
            Some(message(0x0101, id, 0x0020, &xor_mapped(ip, from.port().wrapping_add(shift))))
        }
    }
}

fn xor_mapped(ip: Ipv4Addr, port: u16) -> Vec<u8> {
    let (ip, port) = (u32::from(ip) ^ 0x2112_a442, port ^ 0x2112);
    [&[0, 1][..], &port.to_be_bytes(), &ip.to_be_bytes()].concat()
}

fn message(kind: u16, id: [u8; 12], attribute: u16, value: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| (bytes as u16).to_be_bytes();
    let attribute = [&attribute.to_be_bytes()[..], &length(value.len()), value].concat();
    let header = [&kind.to_be_bytes()[..], &length(attribute.len()), &[0x21, 0x12, 0xa4, 0x42], &id].concat();
    [header, attribute].concat()
}
