//! Facts that the module of the WebSocket tells the engine by its exported function: candidates that come by themselves
//! (RFC 8838), the end of them, and Opus under the name of G.719.

mod common;

use asterisk_sys as sys;
use common::{
    descriptors, eventually,
    mdns::{AnswerTo, Responder},
    rtp::{self, Frame, Instance, Phone, RTP as RTP_SOCKET},
    webrtc::{self, Call},
};
use host_tests::{Host, Kind, modules};
use std::{
    ffi::{CString, c_char, c_int, c_void},
    os::unix::ffi::OsStrExt,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

const SRTP: &str = "res_srtp";
const RTP: &str = "res_rtp_asterisk";

const CANDIDATE: c_int = 1;
const END_OF_CANDIDATES: c_int = 2;
const SIGNALLING_CLOSED: c_int = 3;
const OPUS: c_int = 5;

type Signal = unsafe extern "C" fn(c_int, *const c_char, *const c_char) -> c_int;

/// The exported function, and a handle that keeps the module mapped.
struct Engine {
    handle: *mut c_void,
    signal: Signal,
}

// SAFETY: handles of the dynamic linker may be used on any thread.
unsafe impl Send for Engine {}

impl Engine {
    /// Finds the function in the module that the host has loaded, as the other module does.
    fn find() -> Self {
        let path = CString::new(modules::path(RTP).as_os_str().as_bytes()).expect("no NUL");
        // SAFETY: strings; the function has this type.
        unsafe {
            let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_LAZY);
            assert!(!handle.is_null(), "the module is loaded");
            let symbol = libc::dlsym(handle, c"asterisk_webrtc_signal".as_ptr());
            assert!(!symbol.is_null(), "the module exports it");
            Self { handle, signal: std::mem::transmute::<*mut c_void, Signal>(symbol) }
        }
    }

    fn tell(&self, kind: c_int, ufrag: &str, value: &str) -> bool {
        let (ufrag, value) = (CString::new(ufrag).expect("no NUL"), CString::new(value).expect("no NUL"));
        // SAFETY: two strings that live during the call, and the module is mapped.
        unsafe { (self.signal)(kind, ufrag.as_ptr(), value.as_ptr()) == 0 }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: the handle is ours.
        unsafe { libc::dlclose(self.handle) };
    }
}

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("rtp.conf", "[general]\nrtpstart=33000\nrtpend=33999\n");
    host.load_all(&[SRTP, RTP]);
    host
}

fn candidate_of(call: &Call) -> String {
    let address = call.address();
    format!("candidate:1 1 udp 2122260223 {} {} typ host generation 0", address.ip(), address.port())
}

fn is_a_conversation(call: &mut Call) {
    assert!(call.talk_until(|call| call.connected), "ICE and DTLS within ten seconds");
    assert!(
        call.talk_until(|call| call.heard.len() >= 25 && call.frames.iter().filter_map(Frame::voice).count() >= 25)
    );
}

#[test]
fn a_candidate_that_comes_by_itself_is_checked_and_carries_the_call() {
    let host = host();
    let mut call = Call::without_candidates(host.directory());
    let engine = Engine::find();
    assert!(!call.hears_within(Duration::from_millis(300)), "nobody knows the address");
    assert!(engine.tell(CANDIDATE, &call.ufrag(), &candidate_of(&call)));
    assert!(call.hears_within(Duration::from_secs(5)), "{}", host.log());
    assert!(engine.tell(END_OF_CANDIDATES, &call.ufrag(), ""));
    is_a_conversation(&mut call);
}

fn candidate_named(name: &str, call: &Call) -> String {
    candidate_of(call).replace(&call.address().ip().to_string(), name)
}

/// Chromium answers to the group, other responders to the port that asks (RFC 6762 §6.7).
#[test]
fn a_name_in_place_of_an_address_is_looked_up_and_carries_the_call() {
    let host = host();
    for answers in [AnswerTo::Group, AnswerTo::Port] {
        let mut call = Call::without_candidates(host.directory());
        let responder = Responder::start(call.address().ip(), answers);
        let line = candidate_named(responder.name(), &call);
        assert!(Engine::find().tell(CANDIDATE, &call.ufrag(), &line));
        assert!(call.hears_within(Duration::from_secs(5)), "{answers:?}: {}", host.log());
        assert!(responder.was_asked());
        is_a_conversation(&mut call);
    }
}

#[test]
fn a_name_that_nobody_answers_for_keeps_no_call_waiting_and_no_socket_open() {
    let host = host();
    let mut call = Call::without_candidates(host.directory());
    // The descriptor that the channel polls is made for the first poll.
    assert!(!call.instance.is_readable(RTP_SOCKET, Duration::ZERO));
    let before = descriptors();
    assert!(Engine::find().tell(CANDIDATE, &call.ufrag(), &candidate_named("nobody.local", &call)));
    assert!(eventually(|| descriptors() > before), "it is asked for");
    is_a_conversation(&mut call);
    assert!(eventually(|| descriptors() == before), "{} descriptors, {before} before", descriptors());
}

#[test]
fn a_call_without_names_asks_nobody() {
    let host = host();
    let responder = Responder::start([127, 0, 0, 1].into(), AnswerTo::Group);
    let call = Call::without_candidates(host.directory());
    assert!(Engine::find().tell(CANDIDATE, &call.ufrag(), &candidate_of(&call)));
    assert!(call.hears_within(Duration::from_secs(5)), "{}", host.log());
    assert!(!responder.was_asked());
}

#[test]
fn a_fact_about_nobody_and_one_that_makes_no_sense_are_refused() {
    let host = host();
    let mut call = Call::without_candidates(host.directory());
    let (engine, ufrag) = (Engine::find(), call.ufrag());
    for kind in [CANDIDATE, END_OF_CANDIDATES, SIGNALLING_CLOSED] {
        assert!(!engine.tell(kind, "nobody", &candidate_of(&call)));
        assert!(!engine.tell(kind, "", ""));
        // SAFETY: null is allowed.
        assert_eq!(unsafe { (engine.signal)(kind, ptr::null(), ptr::null()) }, -1);
    }
    for kind in [c_int::MIN, 0, 6, c_int::MAX] {
        assert!(!engine.tell(kind, &ufrag, &candidate_of(&call)));
    }
    for odd in ["", "candidate:", "candidate:1 1 udp 1 192.0.2.1 9 typ", &"candidate:1 ".repeat(10_000)] {
        assert!(engine.tell(CANDIDATE, &ufrag, odd), "the call is there");
    }
    assert!(!call.hears_within(Duration::from_millis(100)));
    assert!(engine.tell(CANDIDATE, &ufrag, &candidate_of(&call)));
    assert!(engine.tell(SIGNALLING_CLOSED, &ufrag, "the client has gone"));
    is_a_conversation(&mut call);
}

/// The payload type of G.719, as chan_sip offers it.
const G719: u8 = 116;

/// Reads the frame of a packet with this payload: its samples, or nothing.
fn samples_of(instance: &Instance, phone: &mut Phone, payload: &[u8]) -> Option<c_int> {
    let packet = phone.packet(G719, false, payload);
    phone.rtp.send_to(&packet, instance.local()).expect("loopback");
    assert!(instance.is_readable(RTP_SOCKET, Duration::from_secs(5)));
    instance.read(RTP_SOCKET).iter().find_map(|frame| match frame {
        Frame::Voice { samples, .. } => Some(*samples),
        _ => None,
    })
}

#[test]
fn rfc6716_section_3_1_the_samples_of_opus_are_in_the_packet() {
    let host = host();
    let (engine, (instance, mut phone)) = (Engine::find(), rtp::call());
    let tone = [&[0x78], &[0; 79][..]].concat();
    assert_eq!(samples_of(&instance, &mut phone, &tone), Some(480), "the host counts 8000 octets a second");
    assert!(engine.tell(OPUS, &webrtc::ufrag(&instance), ""));
    assert_eq!(samples_of(&instance, &mut phone, &tone), Some(960));
    for (packet, samples) in [(&[0xE0, 1][..], 120), (&[0x18, 1], 2880), (&[0x83, 4], 480)] {
        assert_eq!(samples_of(&instance, &mut phone, packet), Some(samples), "{packet:?}");
    }
    for broken in [&[0x79, 0][..], &[0x7B], &[0x7B, 0], &[0x7A, 200, 1]] {
        assert_eq!(samples_of(&instance, &mut phone, broken), None, "{broken:?}");
    }
    let (_, sessions) = host.command("rtp show sessions");
    assert!(sessions.contains("Opus (G.719 to Asterisk)") && sessions.contains("malformed 4"), "{sessions}");
}

/// The other leg of a call may be a translator, or an engine that was told nothing.
#[test]
fn timestamps_of_opus_go_on_by_the_packet() {
    let _host = host();
    let (instance, phone) = rtp::call();
    assert!(Engine::find().tell(OPUS, &webrtc::ufrag(&instance), ""));
    let tone = [&[0x78], &[0; 79][..]].concat();
    let sent = [0; 3].map(|_| {
        instance.write_voice(sys::AST_FORMAT_G719, &tone, 480);
        phone.receive()
    });
    assert!(sent.windows(2).all(|two| two[1].timestamp.wrapping_sub(two[0].timestamp) == 960), "{sent:?}");
}

#[test]
fn an_engine_that_is_unloaded_knows_nobody() {
    let host = host();
    let engine = Engine::find();
    let ufrag = Call::without_candidates(host.directory()).ufrag();
    assert!(!engine.tell(CANDIDATE, &ufrag, ""), "the call has ended");
    assert!(host.unload(RTP) && host.unload(SRTP), "{}", host.log());
    assert!(!engine.tell(CANDIDATE, &ufrag, ""));
    drop(engine);
    assert!(eventually(|| !host.is_mapped(RTP)));
    host.load_all(&[SRTP, RTP]);
    let call = Call::without_candidates(host.directory());
    assert!(Engine::find().tell(END_OF_CANDIDATES, &call.ufrag(), ""));
}

#[test]
fn facts_arrive_while_calls_come_and_go_and_the_module_is_unloaded() {
    let host = host();
    let engine = Engine::find();
    let calls: Vec<Call> = (0..3).map(|_| Call::without_candidates(host.directory())).collect();
    let ufrags: Vec<String> = calls.iter().map(Call::ufrag).collect();
    let ends = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&ends);
    let teller = thread::spawn(move || {
        let mut told = 0_u32;
        while !ended.load(Ordering::Relaxed) {
            for ufrag in &ufrags {
                let line = format!("candidate:1 1 udp 1 127.0.0.1 {} typ host", 1024 + told % 60_000);
                told += u32::from(engine.tell(CANDIDATE, ufrag, &line));
                engine.tell(END_OF_CANDIDATES, ufrag, "");
            }
        }
        told
    });
    thread::sleep(Duration::from_millis(200));
    for call in calls {
        drop(call);
        thread::sleep(Duration::from_millis(50));
    }
    assert!(host.unload(RTP) && host.unload(SRTP), "{}", host.log());
    thread::sleep(Duration::from_millis(50));
    ends.store(true, Ordering::Relaxed);
    assert!(teller.join().expect("the thread did not panic") > 0);
    assert!(eventually(|| !host.is_mapped(RTP)));
}
