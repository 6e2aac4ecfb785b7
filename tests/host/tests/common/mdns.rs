//! A responder of multicast DNS (RFC 6762) on the loopback interface, with one name of its own.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;

/// Where answers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerTo {
    /// To everybody, as Chromium does.
    Group,
    /// To the port that asks.
    Port,
}

/// Answers for its name until it is dropped.
pub struct Responder {
    name: String,
    asked: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Starts a responder whose name has this address.
    pub fn start(address: IpAddr, answers: AnswerTo) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Other processes of tests hear the queries as well.
        let name = format!("0e2a7b1c-9d3f-4c5e-{number:04x}-{:012x}.local", std::process::id());
        let socket = socket().expect("multicast on the loopback interface");
        let (asked, ends) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let own = Answers { name: wire(&name), address, answers, socket, asked: Arc::clone(&asked) };
        let ended = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                own.answer_next();
            }
        });
        Self { name, asked, ends, thread: Some(thread) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether anybody has asked for the name.
    pub fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_some_and(|ended| ended.is_ok()) || thread::panicking());
    }
}

struct Answers {
    name: Vec<u8>,
    address: IpAddr,
    answers: AnswerTo,
    socket: UdpSocket,
    asked: Arc<AtomicBool>,
}

impl Answers {
    fn answer_next(&self) {
        let mut query = [0; 1500];
        let Ok((length, from)) = self.socket.recv_from(&mut query) else { return };
        // A question for addresses of IPv4, without the bit for an answer to the port (§5.4): Chromium answers no other.
        let question = [&self.name[..], &[0, 1, 0, 1]].concat();
        if query[2] & 0x80 != 0 || query.get(12..length) != Some(&question) {
            return;
        }
        self.asked.store(true, Ordering::Relaxed);
        let (id, to) = match self.answers {
            AnswerTo::Group => ([0, 0], SocketAddr::from((GROUP, PORT))),
            AnswerTo::Port => ([query[0], query[1]], from),
        };
        self.socket.send_to(&self.answer(id), to).expect("loopback");
    }

    fn answer(&self, id: [u8; 2]) -> Vec<u8> {
        let IpAddr::V4(address) = self.address else { panic!("the tests use IPv4") };
        let header = [id[0], id[1], 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        // An address that is the only one (cache-flush), for 120 s.
        let record = [0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4];
        [&header[..], &self.name, &record, &address.octets()].concat()
    }
}

/// A name as a message has it (RFC 1035 §3.1).
fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').chain([""]);
    labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect()
}

/// A socket of the group's port that other responders on this machine may have as well.
fn socket() -> io::Result<UdpSocket> {
    // SAFETY: no pointers are passed; a descriptor that is not negative is ours.
    let fd = unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    let loopback = Ipv4Addr::LOCALHOST;
    let set = |level, option, value: u32| {
        // SAFETY: `value` is read for its length during the call.
        let set = unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), 4) };
        if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    set(libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    set(libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    set(libc::IPPROTO_IP, libc::IP_MULTICAST_IF, u32::from(loopback).to_be())?;
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: PORT.to_be(),
        sin_addr: libc::in_addr { s_addr: 0 },
        sin_zero: [0; 8],
    };
    // SAFETY: the address is read for its length during the call.
    if unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as u32) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let socket = UdpSocket::from(fd);
    socket.join_multicast_v4(&GROUP, &loopback)?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    Ok(socket)
}
