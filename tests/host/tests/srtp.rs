//! Tests res_srtp through the two tables that it registers with the core.

mod common;

use asterisk_sys as sys;
use common::HostThread;
use common::rtp::{RTCP, RTP};
use common::sdes::{End, KEY, OTHER_KEY, OTHER_SSRC, SALT, SSRC, policy_res, res};
use host_tests::{Host, Kind, Loading};
use std::ptr;

const MODULE: &str = "res_srtp";

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    host
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
