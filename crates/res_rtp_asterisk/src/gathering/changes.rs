//! Notices that an address of the machine comes or goes, by what the kernel tells (rtnetlink(7)).

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A socket that is readable when addresses have changed.
pub struct Changes(OwnedFd);

impl Changes {
    /// Subscribes. Fails where the system does not permit it; then addresses are only looked at from time to time.
    pub fn subscribe() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers are passed; a descriptor that is not negative is new and owned by us. All-zero is a valid value of
        // the address, which is read for its own size.
        unsafe {
            let fd = libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            let socket = OwnedFd::from_raw_fd(fd);
            let mut address: libc::sockaddr_nl = zeroed();
            address.nl_family = libc::AF_NETLINK as _;
            address.nl_groups = (libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR | libc::RTMGRP_LINK) as u32;
            if libc::bind(fd, (&raw const address).cast(), size_of::<libc::sockaddr_nl>() as _) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self(socket))
        }
    }

    /// Returns the descriptor, for polling.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Returns whether something has changed since the last call.
    pub fn any(&self) -> bool {
        let mut buffer = [0_u8; 4096];
        let mut any = false;
        // A flood ends the turn, and the descriptor stays readable. An overrun (ENOBUFS) is a change as well.
        for _ in 0..64 {
            // SAFETY: the buffer is writable for its length.
            let len = unsafe { libc::recv(self.fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            if len < 0 && io::Error::last_os_error().raw_os_error() != Some(libc::ENOBUFS) {
                break;
            }
            any = true;
        }
        any
    }
}
