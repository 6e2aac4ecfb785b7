//! Tests res_srtp through the two tables that it registers with the core.

mod common;

use asterisk_sys as sys;
use common::HostThread;
use host_tests::{Host, Kind, Loading};
use std::{
    ffi::{c_int, c_void},
    ptr, slice,
};

const MODULE: &str = "res_srtp";
const KEY: [u8; 16] = *b"0123456789abcdef";
const SALT: [u8; 14] = *b"ghijklmnopqrst";
const OTHER_KEY: [u8; 16] = *b"fedcba9876543210";
/// The SSRC of the first end of a pair; the second has another (RFC 3711 §3.2.3).
const SSRC: u32 = 0xcafe_babe;
const OTHER_SSRC: u32 = 0x0bad_cafe;

const RTP: c_int = 0;
const RTCP: c_int = 1;

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    host
}

fn res() -> &'static sys::ast_srtp_res {
    // SAFETY: not null while the module is loaded; the tables are statics of the module.
    unsafe { sys::res_srtp.as_ref() }.expect("registered")
}

fn policy_res() -> &'static sys::ast_srtp_policy_res {
    // SAFETY: as above.
    unsafe { sys::res_srtp_policy.as_ref() }.expect("registered")
}

/// The streams that a policy applies to.
#[derive(Clone, Copy)]
enum Streams {
    AnyInbound,
    Outbound(u32),
}

/// A policy, as chan_sip makes it from `a=crypto`.
struct Policy(*mut sys::ast_srtp_policy);

impl Policy {
    fn new(suite: sys::ast_srtp_suite, key: &[u8], streams: Streams) -> Self {
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
struct End(*mut sys::ast_srtp);

impl End {
    fn new(suite: sys::ast_srtp_suite, receiving: &[u8], sending: &[u8], ssrc: u32) -> Self {
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

    fn pair(suite: sys::ast_srtp_suite) -> (Self, Self) {
        (Self::new(suite, &OTHER_KEY, &KEY, SSRC), Self::new(suite, &KEY, &OTHER_KEY, OTHER_SSRC))
    }

    fn replace(&mut self, suite: sys::ast_srtp_suite, receiving: &[u8], sending: &[u8], ssrc: u32) {
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

    fn protect(&self, packet: &[u8], rtcp: c_int) -> Option<Vec<u8>> {
        let mut packet = packet.to_vec();
        let mut buffer = packet.as_mut_ptr().cast::<c_void>();
        let mut length = c_int::try_from(packet.len()).expect("fits");
        // SAFETY: a packet of this length; the result is a buffer that is valid until the next call.
        let answer = unsafe { res().protect.expect("there")(self.0, &raw mut buffer, &raw mut length, rtcp) };
        // SAFETY: as above.
        (answer == length).then(|| unsafe { slice::from_raw_parts(buffer.cast::<u8>(), length as usize) }.to_vec())
    }

    /// The decrypted packet, or the errno.
    fn unprotect(&self, packet: &[u8], rtcp: c_int) -> Result<Vec<u8>, i32> {
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

fn rtp(sequence_number: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend_from_slice(&sequence_number.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence_number) * 160).to_be_bytes());
    packet.extend_from_slice(&SSRC.to_be_bytes());
    packet.extend(std::iter::repeat_n(0xd5, 160));
    packet
}

/// An empty receiver report.
fn rtcp() -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend_from_slice(&SSRC.to_be_bytes());
    packet
}

#[test]
fn packets_protected_by_one_end_are_read_by_the_other() {
    let _host = host();
    for (suite, tag) in [(sys::AST_AES_CM_128_HMAC_SHA1_80, 10), (sys::AST_AES_CM_128_HMAC_SHA1_32, 4)] {
        let (a, b) = End::pair(suite);
        for sequence_number in 65_530..65_535 {
            let clear = rtp(sequence_number);
            let protected = a.protect(&clear, RTP).expect("protected");
            assert_eq!(protected.len(), clear.len() + tag);
            assert_ne!(protected[12..172], clear[12..]);
            assert_eq!(b.unprotect(&protected, RTP), Ok(clear));
        }
        // The E flag with the index (4 bytes), and a tag of 80 bits even if RTP has the short one (RFC 5764 §4.1.2).
        let protected = a.protect(&rtcp(), RTCP).expect("protected");
        assert_eq!(protected.len(), rtcp().len() + 4 + 10);
        assert_eq!(b.unprotect(&protected, RTCP), Ok(rtcp()));
    }
}

#[test]
fn a_refused_packet_answers_eagain_and_the_call_goes_on() {
    let _host = host();
    let (a, b) = End::pair(sys::AST_AES_CM_128_HMAC_SHA1_80);
    let packets: Vec<_> = (1..=4).map(|number| a.protect(&rtp(number), RTP).expect("protected")).collect();
    assert!(b.unprotect(&packets[0], RTP).is_ok());
    for _ in 0..200 {
        assert_eq!(b.unprotect(&packets[0], RTP), Err(libc::EAGAIN), "a replayed packet, however often it comes");
    }
    let mut forged = packets[1].clone();
    forged[20] ^= 1;
    assert_eq!(b.unprotect(&forged, RTP), Err(libc::EAGAIN));
    assert_eq!(b.unprotect(&forged[..11], RTP), Err(libc::EAGAIN), "shorter than a header");
    assert_eq!(b.unprotect(&packets[1], RTP), Ok(rtp(2)));
    assert_eq!(b.unprotect(&packets[3], RTP), Ok(rtp(4)));
    assert_eq!(b.unprotect(&packets[2], RTP), Ok(rtp(3)), "a late packet that was not received before");
    // None of this has reset the session.
    assert_eq!(b.unprotect(&packets[0], RTP), Err(libc::EAGAIN));
}

#[test]
fn a_rekeyed_call_stays_the_same_object() {
    let _host = host();
    let suite = sys::AST_AES_CM_128_HMAC_SHA1_80;
    let (mut a, mut b) = End::pair(suite);
    let old = a.protect(&rtp(1), RTP).expect("protected");
    a.replace(suite, &KEY, &OTHER_KEY, SSRC);
    b.replace(suite, &OTHER_KEY, &KEY, OTHER_SSRC);
    assert_eq!(b.unprotect(&old, RTP), Err(libc::EAGAIN));
    let new = a.protect(&rtp(2), RTP).expect("protected");
    assert_eq!(b.unprotect(&new, RTP), Ok(rtp(2)));
}

#[test]
fn a_session_holds_the_module() {
    let host = host();
    assert_eq!(host.use_count(MODULE), 0);
    let (a, b) = End::pair(sys::AST_AES_CM_128_HMAC_SHA1_80);
    assert_eq!(host.use_count(MODULE), 2);
    assert!(!host.unload(MODULE) && !host.unload_forced(MODULE));
    drop((a, b));
    assert_eq!(host.use_count(MODULE), 0);
    assert!(host.unload(MODULE), "{}", host.log());
    // SAFETY: ordinary variables of the core.
    unsafe { assert!(sys::res_srtp.is_null() && sys::res_srtp_policy.is_null()) };
}

#[test]
fn invalid_input_is_refused() {
    let _host = host();
    let table = policy_res();
    // SAFETY: calls functions of the table with its own objects, and buffers of the given lengths.
    unsafe {
        let policy = table.alloc.expect("there")();
        assert_ne!(table.set_suite.expect("there")(policy, 77), 0, "an unknown suite");
        assert_eq!(table.set_suite.expect("there")(policy, sys::AST_AES_CM_128_HMAC_SHA1_80), 0);
        table.set_master_key.expect("there")(policy, KEY.as_ptr(), 3, SALT.as_ptr(), SALT.len());
        let mut srtp = ptr::null_mut();
        assert!(res().create.expect("there")(&raw mut srtp, ptr::null_mut(), policy) < 0, "a short key");
        assert!(srtp.is_null());
        table.destroy.expect("there")(policy);
    }
    let (a, _b) = End::pair(sys::AST_AES_CM_128_HMAC_SHA1_80);
    assert!(a.protect(&[0x80; 3], RTP).is_none(), "no RTP packet");
    let mut random = [[0_u8; 32]; 2];
    for bytes in &mut random {
        // SAFETY: a buffer of that length.
        assert_eq!(unsafe { res().get_random.expect("there")(bytes.as_mut_ptr(), bytes.len()) }, 0);
    }
    assert_ne!(random[0], random[1]);
}

#[test]
fn a_host_thread_outlives_the_module() {
    let host = host();
    let thread = HostThread::start();
    let call = || {
        let (a, b) = End::pair(sys::AST_AES_CM_128_HMAC_SHA1_80);
        assert!(b.unprotect(&a.protect(&rtp(1), RTP).expect("protected"), RTP).is_ok());
        let mut random = [0_u8; 32];
        // SAFETY: a buffer of that length.
        assert_eq!(unsafe { res().get_random.expect("there")(random.as_mut_ptr(), random.len()) }, 0);
    };
    thread.run(call);
    assert!(host.unload(MODULE), "{}", host.log());
    assert!(!host.is_mapped(MODULE));
    thread.end();
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    HostThread::start().run(call);
}
