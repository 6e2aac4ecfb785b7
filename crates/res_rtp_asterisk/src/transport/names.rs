//! The sockets that look up names of multicast DNS (RFC 6762) for one session, while it waits for any: [`ice::mdns`] has the rules.
//!
//! Queries leave from ports of their own (§5.1). Chromium answers to the group, so there are sockets that listen there. They are bound
//! to the group's address, and take nothing from a responder that this machine may have.
//!
//! Only interfaces with one of the session's own addresses are used: a session on the loopback interface asks nobody else.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use asterisk::worker::{Id, Interest, OneShot, Tag, Tasks};
use libc::{c_int, c_void, socklen_t};

use super::interfaces::{self, Links};

/// Where names are asked for, and which sockets hear the answers.
pub struct Names {
    port: u16,
    links: Links,
    asking: Vec<Asking>,
    open: Vec<Open>,
}

/// A way to send queries: from one address to the group of its family.
struct Asking {
    socket: usize,
    group: SocketAddr,
}

struct Open {
    socket: UdpSocket,
    watched: Option<OneShot>,
}

impl Names {
    /// Opens the sockets of a session with these addresses. A socket that cannot be opened is left out.
    pub fn open(addresses: impl Iterator<Item = IpAddr>) -> Self {
        let mut names = Self { port: PORT, links: Links::now(), asking: Vec::new(), open: Vec::new() };
        for address in addresses.take(MOST_INTERFACES) {
            if let Err(error) = names.use_address(address) {
                asterisk::debug!(1, "ICE: no name can be looked up from {address}: {error}");
            }
        }
        names
    }

    fn use_address(&mut self, address: IpAddr) -> io::Result<()> {
        let (group, scope) = match address {
            IpAddr::V4(_) => (SocketAddr::from((GROUP, self.port)), 0),
            IpAddr::V6(_) => {
                let scope = interfaces::index_of(address).ok_or(io::ErrorKind::AddrNotAvailable)?;
                (SocketAddr::V6(std::net::SocketAddrV6::new(GROUP_V6, self.port, 0, scope)), scope)
            }
        };
        let asking = bind(SocketAddr::new(address, 0))?;
        match address {
            IpAddr::V4(address) => {
                let interface = libc::in_addr { s_addr: u32::from(address).to_be() };
                set_option(asking.as_raw_fd(), libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &interface)?;
            }
            IpAddr::V6(_) => {
                set_option(asking.as_raw_fd(), libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, &(scope as c_int))?;
            }
        }
        self.asking.push(Asking { socket: self.open.len(), group });
        self.add(asking);
        // Without it, answers to our port still arrive.
        match listen(group, address, scope) {
            Ok(listening) => self.add(listening),
            Err(error) => asterisk::debug!(1, "ICE: answers to {group} cannot be heard on {address}: {error}"),
        }
        Ok(())
    }

    fn add(&mut self, socket: UdpSocket) {
        self.open.push(Open { socket, watched: None });
    }

    /// Sends a query on all interfaces.
    pub fn ask(&self, query: &[u8]) {
        for Asking { socket, group } in &self.asking {
            let sent = self.open.get(*socket).map(|open| open.socket.send_to(query, group));
            if let Some(Err(error)) = sent {
                asterisk::debug!(1, "ICE: a name could not be asked for at {group}: {error}");
            }
        }
    }

    /// Receives the next datagram that a responder on the same link has sent (RFC 6762 §6, §11) into `buffer`.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        for Open { socket, .. } in &self.open {
            // A flood ends the turn, and the descriptor stays ready.
            for _ in 0..MOST_AT_ONCE {
                let Ok((len, from)) = socket.recv_from(buffer) else { break };
                if from.port() == self.port && self.links.have(from.ip()) {
                    return buffer.get(..len);
                }
            }
        }
        None
    }

    /// Has the worker thread report, once, when a datagram arrives.
    pub fn watch<T>(&mut self, tasks: &Tasks<T>, id: Id) {
        for Open { socket, watched } in &mut self.open {
            let watched = watched.get_or_insert_with(|| OneShot::new(id, TAG));
            // Fails only when memory is exhausted. The name then stays unknown.
            let _ = watched.ask(tasks, socket.as_raw_fd(), Interest::Read);
        }
    }

    /// Notes that the worker thread has reported.
    pub fn reported(&mut self) {
        self.open.iter_mut().filter_map(|open| open.watched.as_mut()).for_each(OneShot::reported);
    }
}

/// Opens a socket for queries.
fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Opens a socket that hears what is sent to the group on the interface of `address`.
fn listen(group: SocketAddr, address: IpAddr, scope: u32) -> io::Result<UdpSocket> {
    let fd = super::sockets::open(group)?;
    // The machine's own responder has the port as well, with the same options.
    set_option(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, &1)?;
    set_option(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, &1)?;
    super::sockets::bind_to(fd.as_raw_fd(), group)?;
    // Linux delivers what arrives for the groups of any other socket, too, unless told not to.
    let (level, option) = match group {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MULTICAST_ALL),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_ALL),
    };
    // A kernel without the option hears more than it needs.
    let _ = set_option(fd.as_raw_fd(), level, option, &0);
    let socket = UdpSocket::from(fd);
    match (group.ip(), address) {
        (IpAddr::V4(group), IpAddr::V4(address)) => socket.join_multicast_v4(&group, &address)?,
        (IpAddr::V6(group), _) => socket.join_multicast_v6(&group, scope)?,
        (IpAddr::V4(_), IpAddr::V6(_)) => return Err(io::ErrorKind::AddrNotAvailable.into()),
    }
    Ok(socket)
}

fn set_option<T>(fd: RawFd, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as socklen_t;
    // SAFETY: `value` is read for `len` octets during the call; each caller passes the type of its option.
    match unsafe { libc::setsockopt(fd, level, option, std::ptr::from_ref(value).cast::<c_void>(), len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Distinguishes these sockets from those of the two components.
pub const TAG: Tag = 3;

/// Octets of the largest datagram of multicast DNS (RFC 6762 §17).
pub const LARGEST: usize = 9000;

/// The port of multicast DNS (RFC 6762 §3).
const PORT: u16 = 5353;

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// Most addresses of the machine from which names are asked for.
const MOST_INTERFACES: usize = 8;

/// Most datagrams that are read from one socket in a row without finding one from the link.
const MOST_AT_ONCE: usize = 32;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Sends a query from `address`, and hears it at the group.
    fn a_query_arrives(address: IpAddr) {
        let scope = interfaces::index_of(address).unwrap();
        let group = match address {
            IpAddr::V4(_) => SocketAddr::from((GROUP, PORT)),
            IpAddr::V6(_) => std::net::SocketAddrV6::new(GROUP_V6, PORT, 0, scope).into(),
        };
        let heard = listen(group, address, scope).unwrap();
        heard.set_nonblocking(false).unwrap();
        heard.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let names = Names::open([address].into_iter());
        assert_eq!((names.asking.len(), names.open.len()), (1, 2));
        let query = format!("query {}", std::process::id());
        names.ask(query.as_bytes());
        let mut buffer = [0; LARGEST];
        loop {
            let (len, from) = heard.recv_from(&mut buffer).unwrap();
            // Other tests may talk to the group as well.
            if &buffer[..len] == query.as_bytes() {
                assert_eq!(from.ip(), address);
                break;
            }
        }
        // It does not come from the port of multicast DNS, so it is no answer.
        while let Some(answer) = names.receive(&mut buffer) {
            assert_ne!(answer, query.as_bytes());
        }
    }

    #[test]
    fn rfc6762_section_5_1_a_query_reaches_the_group_of_its_interface() {
        a_query_arrives(Ipv4Addr::LOCALHOST.into());
    }

    mod as_root {
        use std::process::Command;

        use super::*;

        /// Set by the test for itself in its namespace.
        const INSIDE: &str = "NAMES_TEST_IN_A_NAMESPACE";

        /// The loopback interface has no multicast for IPv6, and on others the query would leave the machine.
        #[test]
        #[ignore = "creates a network namespace"]
        fn rfc6762_section_5_1_a_query_reaches_the_group_of_ipv6() {
            if std::env::var_os(INSIDE).is_some() {
                return a_query_arrives("fd00::1".parse().unwrap());
            }
            let link = "ip link add one type veth peer name two && ip address add fd00::1/64 dev one nodad && \
                        ip link set two up && ip link set one up";
            let itself = std::env::current_exe().unwrap();
            let name = "transport::names::tests::as_root::rfc6762_section_5_1_a_query_reaches_the_group_of_ipv6";
            let script = format!("{link} && exec \"$0\" --ignored --exact {name}");
            let mut unshare = Command::new("unshare");
            unshare.args(["--net", "sh", "-c", &script]).arg(itself).env(INSIDE, "yes");
            let output = unshare.output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
