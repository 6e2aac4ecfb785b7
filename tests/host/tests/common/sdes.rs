//! SRTP with keys from SDP (`a=crypto`, RFC 4568), by the functions that res_srtp registers with the core, and a phone that has them.

use super::rtp::{FRAME_LEN, Frame, Instance, Phone, RTCP, RTP, to_host};
use asterisk_sys as sys;
use std::{
    ffi::{CStr, c_int, c_void},
    net::UdpSocket,
    ptr, slice,
    time::Duration,
};

pub const KEY: [u8; 16] = *b"0123456789abcdef";
pub const SALT: [u8; 14] = *b"ghijklmnopqrst";
pub const OTHER_KEY: [u8; 16] = *b"fedcba9876543210";
/// The SSRC of the first end of a pair; the second has another (RFC 3711 §3.2.3).
pub const SSRC: u32 = 0xcafe_babe;
pub const OTHER_SSRC: u32 = 0x0bad_cafe;

/// The functions of the loaded module.
pub fn res() -> &'static sys::ast_srtp_res {
    // SAFETY: not null while the module is loaded; the tables are statics of the module.
    unsafe { sys::res_srtp.as_ref() }.expect("registered")
}

/// The functions for policies of the loaded module.
pub fn policy_res() -> &'static sys::ast_srtp_policy_res {
    // SAFETY: as above.
    unsafe { sys::res_srtp_policy.as_ref() }.expect("registered")
}

/// The streams that a policy applies to.
#[derive(Clone, Copy)]
pub enum Streams {
    AnyInbound,
    Outbound(u32),
}

/// A policy, as chan_sip makes it from `a=crypto`.
pub struct Policy(*mut sys::ast_srtp_policy);

impl Policy {
    pub fn new(suite: sys::ast_srtp_suite, key: &[u8], streams: Streams) -> Self {
        let table = policy_res();
        // SAFETY: calls functions of the table with its own objects, and buffers of the given lengths.
        unsafe {
            let policy = table.alloc.expect("there")();
            assert!(!policy.is_null());
            assert_eq!(table.set_suite.expect("there")(policy, suite), 0);
            let set_key = table.set_master_key.expect("there");
            assert_eq!(set_key(policy, key.as_ptr(), key.len(), SALT.as_ptr(), SALT.len()), 0);
            let (ssrc, inbound) = match streams {
                Streams::AnyInbound => (0, 1),
                Streams::Outbound(ssrc) => (ssrc, 0),
            };
            table.set_ssrc.expect("there")(policy, ssrc.into(), inbound);
            Self(policy)
        }
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed once.
        unsafe { policy_res().destroy.expect("there")(self.0) };
    }
}

/// One end of a call: it receives with the policy `receiving` and sends with `sending`.
pub struct End(*mut sys::ast_srtp);

impl End {
    pub fn new(suite: sys::ast_srtp_suite, receiving: &[u8], sending: &[u8], ssrc: u32) -> Self {
        let mut srtp = ptr::null_mut();
        let inbound = Policy::new(suite, receiving, Streams::AnyInbound);
        // SAFETY: a location for the result. There is no instance, so the log names no peer.
        let failed = unsafe { res().create.expect("there")(&raw mut srtp, ptr::null_mut(), inbound.0) };
        assert!(failed == 0 && !srtp.is_null());
        let end = Self(srtp);
        let outbound = Policy::new(suite, sending, Streams::Outbound(ssrc));
        // SAFETY: both live; the policy is copied, and destroyed at the end of this function.
        assert_eq!(unsafe { res().add_stream.expect("there")(end.0, outbound.0) }, 0);
        end
    }

    pub fn pair(suite: sys::ast_srtp_suite) -> (Self, Self) {
        (Self::new(suite, &OTHER_KEY, &KEY, SSRC), Self::new(suite, &KEY, &OTHER_KEY, OTHER_SSRC))
    }

    pub fn replace(&mut self, suite: sys::ast_srtp_suite, receiving: &[u8], sending: &[u8], ssrc: u32) {
        let before = self.0;
        let inbound = Policy::new(suite, receiving, Streams::AnyInbound);
        let outbound = Policy::new(suite, sending, Streams::Outbound(ssrc));
        // SAFETY: both live during the calls.
        unsafe {
            assert_eq!(res().replace.expect("there")(&raw mut self.0, ptr::null_mut(), inbound.0), 0);
            assert_eq!(res().add_stream.expect("there")(self.0, outbound.0), 0);
        }
        assert_eq!(self.0, before, "another thread may hold the pointer");
    }

    pub fn protect(&self, packet: &[u8], rtcp: c_int) -> Option<Vec<u8>> {
        let mut packet = packet.to_vec();
        let mut buffer = packet.as_mut_ptr().cast::<c_void>();
        let mut length = c_int::try_from(packet.len()).expect("fits");
        // SAFETY: a packet of this length; the result is a buffer that is valid until the next call.
        let answer = unsafe { res().protect.expect("there")(self.0, &raw mut buffer, &raw mut length, rtcp) };
        // SAFETY: as above.
        (answer == length).then(|| unsafe { slice::from_raw_parts(buffer.cast::<u8>(), length as usize) }.to_vec())
    }

    /// The decrypted packet, or the errno.
    pub fn unprotect(&self, packet: &[u8], rtcp: c_int) -> Result<Vec<u8>, i32> {
        let mut packet = packet.to_vec();
        let mut length = c_int::try_from(packet.len()).expect("fits");
        // SAFETY: this thread's errno, and a packet of this length.
        unsafe {
            *libc::__errno_location() = 0;
            if res().unprotect.expect("there")(self.0, packet.as_mut_ptr().cast(), &raw mut length, rtcp) < 0 {
                return Err(*libc::__errno_location());
            }
        }
        packet.truncate(length as usize);
        Ok(packet)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed once.
        unsafe { res().destroy.expect("there")(self.0) };
    }
}

/// A call with a phone that uses ICE, and SRTP with keys from SDP.
pub struct SdesCall {
    pub instance: Instance,
    phone: Phone,
    srtp: End,
}

impl SdesCall {
    /// Passes the phone's description to the engine in the order of chan_sip's calls.
    pub fn new() -> Self {
        const SUITE: sys::ast_srtp_suite = sys::AST_AES_CM_128_HMAC_SHA1_80;
        let (instance, phone) = (Instance::new(), Phone::new());
        let ours = instance.stats().local_ssrc;
        let (inbound, outbound) =
            (Policy::new(SUITE, &KEY, Streams::AnyInbound), Policy::new(SUITE, &OTHER_KEY, Streams::Outbound(ours)));
        // SAFETY: the instance and the policies are ours; the core copies these.
        let failed = unsafe { sys::ast_rtp_instance_add_srtp_policy(instance.as_ptr(), inbound.0, outbound.0) };
        assert_eq!(failed, 0);
        start_ice(&instance, &phone);
        instance.set_remote(phone.address());
        instance.activate();
        let srtp = End::new(SUITE, &OTHER_KEY, &KEY, phone.ssrc);
        Self { instance, phone, srtp }
    }

    /// The phone sends the next 20 ms of a repeated µ-law value.
    pub fn say(&mut self, value: u8) {
        self.send(0, &[value; FRAME_LEN]);
    }

    /// The SSRC of the phone's stream.
    pub fn ssrc(&self) -> u32 {
        self.phone.ssrc
    }

    /// The phone's socket for media.
    pub fn socket(&self) -> &UdpSocket {
        &self.phone.rtp
    }

    /// The phone sends its next packet, with this payload.
    pub fn send(&mut self, payload_type: u8, payload: &[u8]) {
        let packet = self.phone.packet(payload_type, false, payload);
        let protected = self.srtp.protect(&packet, RTP).expect("protected");
        self.phone.rtp.send_to(&protected, self.instance.local()).expect("loopback");
    }

    /// The phone sends a receiver report with this behind it.
    pub fn report_and(&self, rest: &[u8]) {
        let mut report = vec![0x80, 201, 0, 1];
        report.extend_from_slice(&self.phone.ssrc.to_be_bytes());
        report.extend_from_slice(rest);
        let protected = self.srtp.protect(&report, RTCP).expect("protected");
        self.phone.rtcp.send_to(&protected, self.instance.local_rtcp()).expect("loopback");
    }

    /// Reads as long as something waits. Returns the values that were said.
    pub fn heard(&self) -> Vec<u8> {
        let mut heard = Vec::new();
        while self.instance.is_readable(RTP, Duration::from_millis(100)) {
            heard.extend(self.instance.read(RTP).iter().filter_map(Frame::voice).map(|payload| payload[0]));
        }
        heard
    }
}

fn start_ice(instance: &Instance, phone: &Phone) {
    let [ufrag, password]: [&CStr; 2] = [c"phon", c"a password of the phone"];
    let mut candidate = sys::ast_rtp_engine_ice_candidate {
        foundation: c"1".as_ptr().cast_mut(),
        id: sys::AST_RTP_ICE_COMPONENT_RTP,
        transport: c"UDP".as_ptr().cast_mut(),
        priority: 2_130_706_431,
        ..Default::default()
    };
    candidate.address = to_host(phone.address());
    candidate.type_ = sys::AST_RTP_ICE_CANDIDATE_TYPE_HOST;
    let ice = super::webrtc::ice(instance);
    // SAFETY: the instance is ours; strings and candidate live during the calls.
    unsafe {
        ice.set_authentication.expect("there")(instance.as_ptr(), ufrag.as_ptr(), password.as_ptr());
        ice.add_remote_candidate.expect("there")(instance.as_ptr(), &raw const candidate);
        ice.set_role.expect("there")(instance.as_ptr(), sys::AST_RTP_ICE_ROLE_CONTROLLED);
        ice.start.expect("there")(instance.as_ptr());
    }
}
