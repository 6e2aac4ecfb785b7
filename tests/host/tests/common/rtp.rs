//! An RTP instance, driven as by chan_sip, and the plain phone at the other end.

use asterisk_sys as sys;
use std::{
    ffi::{c_int, c_uint, c_void},
    mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    ptr::{self, NonNull},
    slice,
    time::{Duration, Instant},
};

pub const RTP: c_int = 0;
pub const RTCP: c_int = 1;

/// The length of 20 ms of µ-law in bytes.
pub const FRAME_LEN: usize = 160;

/// Converts an address to the host's type.
pub fn to_host(address: SocketAddr) -> sys::ast_sockaddr {
    let mut host = sys::ast_sockaddr::default();
    // SAFETY: a `sockaddr_storage` has room for every address.
    unsafe {
        match address {
            SocketAddr::V4(address) => {
                let inside = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
                    sin_zero: [0; 8],
                };
                (&raw mut host.ss).cast::<libc::sockaddr_in>().write(inside);
                host.len = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V6(address) => {
                let inside = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                    sin6_scope_id: address.scope_id(),
                };
                (&raw mut host.ss).cast::<libc::sockaddr_in6>().write(inside);
                host.len = mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            }
        }
    }
    host
}

pub fn from_host(host: &sys::ast_sockaddr) -> SocketAddr {
    // SAFETY: the family says which of the two it is.
    unsafe {
        if i32::from(host.ss.ss_family) == libc::AF_INET6 {
            let inside = (&raw const host.ss).cast::<libc::sockaddr_in6>().read();
            let ip = Ipv6Addr::from(inside.sin6_addr.s6_addr);
            return SocketAddrV6::new(ip, u16::from_be(inside.sin6_port), 0, inside.sin6_scope_id).into();
        }
        assert_eq!(i32::from(host.ss.ss_family), libc::AF_INET);
        let inside = (&raw const host.ss).cast::<libc::sockaddr_in>().read();
        SocketAddrV4::new(Ipv4Addr::from(u32::from_be(inside.sin_addr.s_addr)), u16::from_be(inside.sin_port)).into()
    }
}

/// One reference to an instance, given back on drop.
pub struct Instance(NonNull<sys::ast_rtp_instance>);

// SAFETY: chan_sip also passes an instance with one reference from thread to thread.
unsafe impl Send for Instance {}

impl Instance {
    /// Creates an instance on loopback, with RTCP and telephone-event.
    pub fn new() -> Self {
        Self::on(Ipv4Addr::LOCALHOST.into())
    }

    /// Creates an instance on this address of the machine, with RTCP and telephone-event.
    pub fn on(ip: IpAddr) -> Self {
        Self::try_on(ip).expect("the engine makes an instance")
    }

    /// Creates an instance on loopback, if there is a free port.
    pub fn try_new() -> Option<Self> {
        Self::try_on(Ipv4Addr::LOCALHOST.into())
    }

    fn try_on(ip: IpAddr) -> Option<Self> {
        let address = to_host((ip, 0).into());
        // SAFETY: name and address live during the call; the engine needs no scheduler.
        let instance = unsafe {
            sys::ast_rtp_instance_new(c"asterisk".as_ptr(), ptr::null_mut(), &raw const address, ptr::null_mut())
        };
        let instance = Self(NonNull::new(instance)?);
        instance.set_property(sys::AST_RTP_PROPERTY_RTCP, 1);
        instance.set_property(sys::AST_RTP_PROPERTY_DTMF, 1);
        // SAFETY: the reference is ours.
        unsafe { sys::ast_rtp_instance_dtmf_mode_set(instance.as_ptr(), sys::AST_RTP_DTMF_MODE_RFC2833) };
        Some(instance)
    }

    pub fn as_ptr(&self) -> *mut sys::ast_rtp_instance {
        self.0.as_ptr()
    }

    /// Another source is heard from now on, as after a transfer.
    pub fn change_source(&self) {
        // SAFETY: the instance is ours.
        unsafe { sys::ast_rtp_instance_change_source(self.as_ptr()) };
    }

    pub fn set_property(&self, property: sys::ast_rtp_property, value: c_int) {
        // SAFETY: the reference is ours.
        unsafe { sys::ast_rtp_instance_set_prop(self.as_ptr(), property, value) };
    }

    pub fn local(&self) -> SocketAddr {
        let mut address = sys::ast_sockaddr::default();
        // SAFETY: the reference is ours, and a place for the answer.
        unsafe { sys::ast_rtp_instance_get_local_address(self.as_ptr(), &raw mut address) };
        from_host(&address)
    }

    /// The address of RTCP, on the next port.
    pub fn local_rtcp(&self) -> SocketAddr {
        let rtp = self.local();
        SocketAddr::new(rtp.ip(), rtp.port() + 1)
    }

    pub fn remote(&self) -> SocketAddr {
        let mut address = sys::ast_sockaddr::default();
        // SAFETY: as above.
        unsafe { sys::ast_rtp_instance_get_remote_address(self.as_ptr(), &raw mut address) };
        from_host(&address)
    }

    pub fn set_remote(&self, address: SocketAddr) {
        let address = to_host(address);
        // SAFETY: as above.
        unsafe { sys::ast_rtp_instance_set_remote_address(self.as_ptr(), &raw const address) };
    }

    /// Stops the instance as chan_sip does: at the end of the call, or after the description of a hold.
    pub fn stop(&self) {
        // SAFETY: as above.
        unsafe { sys::ast_rtp_instance_stop(self.as_ptr()) };
    }

    pub fn activate(&self) {
        // SAFETY: as above.
        assert_eq!(unsafe { sys::ast_rtp_instance_activate(self.as_ptr()) }, 0);
    }

    pub fn descriptor(&self, which: c_int) -> c_int {
        // SAFETY: as above.
        unsafe { sys::ast_rtp_instance_fd(self.as_ptr(), which) }
    }

    /// Writes 20 ms of a repeated µ-law value.
    pub fn write(&self, value: u8) {
        self.write_voice(sys::AST_FORMAT_ULAW, &[value; FRAME_LEN], FRAME_LEN as c_int);
    }

    /// Writes a frame of voice with this number of samples.
    pub fn write_voice(&self, format: sys::ast_format_id, payload: &[u8], samples: c_int) {
        let mut room = vec![0; sys::AST_FRIENDLY_OFFSET as usize];
        room.extend_from_slice(payload);
        let (_, payload) = room.split_at_mut(sys::AST_FRIENDLY_OFFSET as usize);
        let mut frame = sys::ast_frame {
            frametype: sys::AST_FRAME_VOICE,
            datalen: payload.len() as c_int,
            samples,
            offset: sys::AST_FRIENDLY_OFFSET,
            src: c"test".as_ptr(),
            ..Default::default()
        };
        frame.data.ptr = payload.as_mut_ptr().cast::<c_void>();
        // SAFETY: the frame lives during the call.
        unsafe {
            sys::ast_format_set(&raw mut frame.subclass.format, format, 0);
            assert_eq!(sys::ast_rtp_instance_write(self.as_ptr(), &raw mut frame), 0);
        }
    }

    /// Polls the descriptor, as the channel does.
    pub fn is_readable(&self, which: c_int, within: Duration) -> bool {
        let mut poll = libc::pollfd { fd: self.descriptor(which), events: libc::POLLIN, revents: 0 };
        let milliseconds = c_int::try_from(within.as_millis()).expect("short");
        // SAFETY: one descriptor.
        unsafe { libc::poll(&raw mut poll, 1, milliseconds) > 0 }
    }

    /// Reads once. Returns the frames of the list; none for the null frame.
    pub fn read(&self, which: c_int) -> Vec<Frame> {
        let mut frames = Vec::new();
        // SAFETY: the reference is ours.
        let mut next = unsafe { sys::ast_rtp_instance_read(self.as_ptr(), which) };
        assert!(!next.is_null(), "the host would hang up");
        // SAFETY: a list of frames that is valid until the next read.
        while let Some(frame) = unsafe { next.as_ref() } {
            frames.extend(Frame::of(frame));
            next = frame.frame_list.next;
        }
        frames
    }

    /// Reads frames until `wanted` accepts one.
    pub fn read_until<T>(&self, mut wanted: impl FnMut(&Frame) -> Option<T>) -> Option<T> {
        let give_up = Instant::now() + Duration::from_secs(5);
        while Instant::now() < give_up {
            for which in [RTP, RTCP] {
                if self.is_readable(which, Duration::from_millis(5))
                    && let Some(found) = self.read(which).iter().find_map(&mut wanted)
                {
                    return Some(found);
                }
            }
        }
        None
    }

    /// Bridges what this instance receives to `peer`, or ends the bridge, as the core does for each direction.
    pub fn bridge(&self, peer: Option<&Self>) {
        let peer = peer.map_or(ptr::null_mut(), Self::as_ptr);
        // SAFETY: both references are ours, and both instances of one engine.
        let failed = unsafe {
            let engine = sys::ast_rtp_instance_get_engine(self.as_ptr());
            (*engine).local_bridge.expect("the engine bridges")(self.as_ptr(), peer)
        };
        assert_eq!(failed, 0);
    }

    pub fn dtmf_begin(&self, digit: u8) {
        assert!(self.tries_dtmf_begin(digit));
    }

    /// Begins a digit. Returns whether the engine sends it.
    pub fn tries_dtmf_begin(&self, digit: u8) -> bool {
        // SAFETY: the reference is ours.
        unsafe { sys::ast_rtp_instance_dtmf_begin(self.as_ptr(), digit as _) == 0 }
    }

    pub fn dtmf_end(&self, digit: u8, milliseconds: c_uint) {
        // SAFETY: as above.
        let failed = unsafe { sys::ast_rtp_instance_dtmf_end_with_duration(self.as_ptr(), digit as _, milliseconds) };
        assert_eq!(failed, 0);
    }

    pub fn stats(&self) -> sys::ast_rtp_instance_stats {
        let mut stats = sys::ast_rtp_instance_stats::default();
        // SAFETY: the reference is ours, and a place for the answer.
        let failed =
            unsafe { sys::ast_rtp_instance_get_stats(self.as_ptr(), &raw mut stats, sys::AST_RTP_INSTANCE_STAT_ALL) };
        assert_eq!(failed, 0);
        stats
    }

    /// Maps a payload type as `a=rtpmap` does.
    pub fn map(&self, payload: c_int, subtype: &std::ffi::CStr, rate: c_uint) {
        // SAFETY: the reference is ours; the strings are only read.
        unsafe {
            let codecs = sys::ast_rtp_instance_get_codecs(self.as_ptr());
            let failed = sys::ast_rtp_codecs_payloads_set_rtpmap_type_rate(
                codecs,
                self.as_ptr(),
                payload,
                c"audio".as_ptr().cast_mut(),
                subtype.as_ptr().cast_mut(),
                0,
                rate,
            );
            assert_eq!(failed, 0);
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: the reference is ours and dropped once.
        unsafe { sys::ast_rtp_instance_destroy(self.as_ptr()) };
    }
}

/// A copy of a frame's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Voice { format: sys::ast_format_id, payload: Vec<u8>, samples: c_int },
    Text { format: sys::ast_format_id, text: String, samples: c_int },
    DigitBegin(u8),
    DigitEnd(u8),
    Other(sys::ast_frame_type),
}

impl Frame {
    fn of(frame: &sys::ast_frame) -> Option<Self> {
        // SAFETY: media frames have a format, others a number; `datalen` bytes are at the pointer.
        unsafe {
            Some(match frame.frametype {
                sys::AST_FRAME_NULL => return None,
                sys::AST_FRAME_VOICE => {
                    let length = usize::try_from(frame.datalen).expect("not negative");
                    Self::Voice {
                        format: frame.subclass.format.id,
                        payload: slice::from_raw_parts(frame.data.ptr.cast::<u8>(), length).to_vec(),
                        samples: frame.samples,
                    }
                }
                sys::AST_FRAME_TEXT => {
                    let length = usize::try_from(frame.datalen).expect("not negative");
                    let octets = slice::from_raw_parts(frame.data.ptr.cast::<u8>(), length).to_vec();
                    Self::Text {
                        format: frame.subclass.format.id,
                        text: String::from_utf8_lossy(&octets).into_owned(),
                        samples: frame.samples,
                    }
                }
                sys::AST_FRAME_DTMF_BEGIN => Self::DigitBegin(frame.subclass.integer as u8),
                sys::AST_FRAME_DTMF_END => Self::DigitEnd(frame.subclass.integer as u8),
                other => Self::Other(other),
            })
        }
    }

    /// A condition for `read_until`.
    pub fn voice(&self) -> Option<Vec<u8>> {
        match self {
            Self::Voice { payload, .. } => Some(payload.clone()),
            _ => None,
        }
    }
}

/// A phone with plain RTP and RTCP only.
pub struct Phone {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    pub sequence_number: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

impl Phone {
    pub fn new() -> Self {
        loop {
            let rtp = UdpSocket::bind("127.0.0.1:0").expect("loopback");
            let port = rtp.local_addr().expect("bound").port();
            // If the next port is in use, try another pair.
            let Ok(rtcp) = UdpSocket::bind(("127.0.0.1", port.wrapping_add(1))) else { continue };
            for socket in [&rtp, &rtcp] {
                socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
            }
            return Self { rtp, rtcp, sequence_number: 65_533, timestamp: 0xffff_ff00, ssrc: 0x1234_5678 };
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.rtp.local_addr().expect("bound")
    }

    /// Sends the next 20 ms of a repeated µ-law value.
    pub fn send(&mut self, to: SocketAddr, value: u8) {
        let packet = self.packet(0, false, &[value; FRAME_LEN]);
        self.rtp.send_to(&packet, to).expect("loopback");
        self.timestamp = self.timestamp.wrapping_add(FRAME_LEN as u32);
    }

    /// Makes a packet with the next sequence number.
    pub fn packet(&mut self, payload_type: u8, marker: bool, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, payload_type | if marker { 0x80 } else { 0 }];
        packet.extend_from_slice(&self.sequence_number.to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence_number = self.sequence_number.wrapping_add(1);
        packet
    }

    pub fn receive(&self) -> Packet {
        let mut buffer = [0; 2048];
        let (length, from) = self.rtp.recv_from(&mut buffer).expect("a packet within five seconds");
        Packet::parse(&buffer[..length], from)
    }
}

/// A received RTP packet (RFC 3550 §5.1), without CSRCs and extension.
#[derive(Debug, Clone)]
pub struct Packet {
    pub from: SocketAddr,
    pub marker: bool,
    pub payload_type: u8,
    pub sequence_number: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

impl Packet {
    pub fn parse(packet: &[u8], from: SocketAddr) -> Self {
        assert!(packet.len() >= 12 && packet[0] == 0x80, "no plain RTP packet: {packet:02x?}");
        let word = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().expect("four bytes"));
        Self {
            from,
            marker: packet[1] & 0x80 != 0,
            payload_type: packet[1] & 0x7f,
            sequence_number: u16::from_be_bytes([packet[2], packet[3]]),
            timestamp: word(4),
            ssrc: word(8),
            payload: packet[12..].to_vec(),
        }
    }
}

/// A call of a phone whose description the host has passed.
pub fn call() -> (Instance, Phone) {
    let (instance, phone) = (Instance::new(), Phone::new());
    instance.set_remote(phone.address());
    instance.activate();
    (instance, phone)
}
