//! Channels that read late: the dialplan waits for a database or the machine is busy. What a socket's buffer would have kept for them is
//! kept, though our thread reads the socket to answer ICE and DTLS.

mod common;

use common::rtp::{FRAME_LEN, Frame, RTCP, RTP};
use common::sdes::SdesCall;
use common::webrtc::{Call, Offer};
use common::websocket::Browser;
use host_tests::{Host, Kind};
use std::thread::sleep;
use std::time::Duration;

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("rtp.conf", "[general]\nrtpstart=33000\nrtpend=33999\n");
    host.load_all(&["res_srtp", "res_rtp_asterisk"]);
    host
}

/// Only the channel's thread may use keys from SDP, because chan_sip exchanges them under the channel's lock.
#[test]
fn with_keys_from_sdp_nothing_is_lost_in_two_seconds_that_nobody_reads() {
    let host = host();
    let mut call = SdesCall::new();
    call.say(0);
    assert_eq!(call.heard(), [0]);
    for value in 1..=200 {
        call.say(value);
        if value % 50 == 0 {
            call.report_and(&[]);
        }
        sleep(Duration::from_millis(10));
    }
    assert_eq!(call.heard(), Vec::from_iter(1..=200));
    call.say(201);
    assert_eq!(call.heard(), [201], "the channel reads in time again");
    let sessions = host.command("rtp show sessions").1;
    assert!(!sessions.contains("ring full") && !sessions.contains("srtp"), "{sessions}");
}

#[test]
fn a_browser_is_heard_from_the_first_word_on_after_two_seconds_that_nobody_reads() {
    let host = host();
    let mut call = Call::new(Kind::Newest, Offer::Browser, host.directory());
    assert!(call.talk_until(|call| call.connected && !call.frames.is_empty()));
    // Each pause has a sound of its own: on a busy machine the last packet of before arrives late.
    for value in [0x33, 0x44] {
        call.browser_talks_alone(150, value);
        let mut heard = 0;
        while call.instance.is_readable(RTP, Duration::from_secs(1)) {
            let frames = call.instance.read(RTP);
            heard += frames.iter().filter_map(Frame::voice).filter(|voice| voice == &[value; FRAME_LEN]).count();
        }
        assert_eq!(heard, 150, "{}", host.command("rtp show sessions").1);
    }
    assert!(call.instance.descriptor(RTCP) >= 0);
}

/// The rest waits for nobody: memory is bounded, and the oldest packets are those that a socket would have kept.
#[test]
fn a_channel_that_never_reads_keeps_the_beginning() {
    let _host = host();
    let mut call = SdesCall::new();
    for number in 0..2000_u32 {
        call.say((number % 251) as u8);
        if number % 20 == 0 {
            // Our thread keeps up, so that no packet is dropped by the kernel.
            sleep(Duration::from_millis(5));
        }
    }
    sleep(Duration::from_millis(100));
    let heard = call.heard();
    assert!((278..=600).contains(&heard.len()), "{}", heard.len());
    assert!((0..278_u32).zip(&heard).all(|(number, value)| (number % 251) as u8 == *value));
}

/// `chan_sip`'s own thread wakes up once a second. Ours have no clock that ticks.
#[test]
fn without_calls_our_threads_wake_up_for_nothing() {
    let host = host();
    host.load_all(&["res_http_websocket"]);
    let mut call = Call::new(Kind::Newest, Offer::Browser, host.directory());
    assert!(call.talk_until(|call| call.connected && !call.frames.is_empty()));
    drop(call);
    let idle = Browser::connect("ws", false, "echo").expect("a handshake");
    // Two seconds after the last session, the heap is trimmed.
    sleep(Duration::from_secs(3));
    let before = wake_ups();
    sleep(Duration::from_secs(3));
    assert_eq!(wake_ups(), before);
    idle.close();
}

/// How often each of our threads has slept so far, in order of their names (proc(5)).
fn wake_ups() -> Vec<(String, String)> {
    let threads = std::fs::read_dir("/proc/self/task").expect("a process").filter_map(Result::ok);
    let mut ours: Vec<_> = threads
        .filter_map(|thread| {
            let status = std::fs::read_to_string(thread.path().join("status")).ok()?;
            let value = |name| status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
            Some((value("Name:")?, value("voluntary_ctxt_switches:")?))
        })
        .filter(|(name, _)| name.starts_with("rtp-") || name == "websocket")
        .collect();
    ours.sort();
    assert!(ours.len() >= 2, "{ours:?}");
    ours
}
