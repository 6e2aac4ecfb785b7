//! The unchanged module files in Asterisk 11.0.0, with the older DTLS and ICE tables and nothing added later.

mod common;

use common::{
    HostThread, eventually,
    rtp::{FRAME_LEN, Frame, Instance, Phone, call},
    webrtc::{Call, Offer},
    websocket::{self, Browser, KeyUpdates},
};
use host_tests::{Host, Kind, Loading, modules};

#[test]
fn all_three_load_unload_and_load_again() {
    let host = Host::start(Kind::Oldest);
    for _ in 0..3 {
        host.load_all(modules::ALL);
        for module in modules::ALL {
            assert!(host.unload(module), "{module}: {}", host.log());
            assert!(!host.is_mapped(module), "{module}");
        }
    }
}

#[test]
fn a_plain_phone_calls() {
    let host = Host::start(Kind::Oldest);
    host.configure("rtp.conf", "[general]\nrtpstart=33000\nrtpend=33999\nstrictrtp=no\n");
    assert_eq!(host.load("res_rtp_asterisk"), Loading::Loaded, "{}", host.log());
    let (instance, mut phone) = (Instance::new(), Phone::new());
    instance.set_remote(phone.address());
    instance.write(1);
    assert_eq!(phone.receive().payload, [1; FRAME_LEN]);
    phone.send(instance.local(), 2);
    assert_eq!(instance.read_until(Frame::voice).expect("audio"), [2; FRAME_LEN]);
}

/// Such a host takes the code of comfort noise, 2, for a number, and 2 is G.726.
#[test]
fn comfort_noise_does_not_go_out_as_g726() {
    let host = Host::start(Kind::Oldest);
    host.configure("rtp.conf", "[general]\nrtpstart=33000\nrtpend=33999\nstrictrtp=no\n");
    assert_eq!(host.load("res_rtp_asterisk"), Loading::Loaded, "{}", host.log());
    let types: [&[(i32, &std::ffi::CStr)]; 3] =
        [&[(2, c"G726-32")], &[(2, c"G726-32"), (13, c"CN")], &[(2, c"G726-32"), (19, c"CN")]];
    for (types, expected) in types.into_iter().zip([13, 13, 19]) {
        let (instance, phone) = call();
        types.iter().for_each(|(number, name)| instance.map(*number, name, 8000));
        instance.write(1);
        phone.receive();
        // SAFETY: the instance is ours.
        assert_eq!(unsafe { asterisk_sys::ast_rtp_instance_sendcng(instance.as_ptr(), 0) }, 0);
        assert_eq!(phone.receive().payload_type, expected, "{types:?}");
    }
}

/// Tests with SHA-1 fingerprints, the only ones of such a host. No current browser accepts them, but the tables work.
#[test]
fn a_browser_that_took_sha_1_would_talk() {
    let host = Host::start(Kind::Oldest);
    host.configure("rtp.conf", "[general]\nrtpstart=33000\nrtpend=33999\n");
    host.load_all(&["res_srtp", "res_rtp_asterisk"]);
    for offer in [Offer::Browser, Offer::Asterisk] {
        let directory = host.directory().to_owned();
        HostThread::start().run(move || {
            let mut call = Call::new(Kind::Oldest, offer, &directory);
            assert!(call.talk_until(|call| call.connected), "{offer:?}");
            assert!(call.talk_until(|call| call.heard.len() >= 10 && call.frames.len() >= 10), "{offer:?}");
        });
    }
}

/// Such a host starts ICE with each description, and before its address.
#[test]
fn a_browser_reconnects_is_replaced_and_gives_up_ice() {
    let host = Host::start(Kind::Oldest);
    host.configure("rtp.conf", "[general]\nrtpstart=33000\nrtpend=33999\n");
    host.load_all(&["res_srtp", "res_rtp_asterisk"]);
    let mut call = Call::new(Kind::Oldest, Offer::Browser, host.directory());
    for change in [Call::reconnect, Call::is_answered_by_another, |call: &mut Call| drop(call.move_without_ice())] {
        assert!(call.talk_until(|call| call.heard.len() >= 10 && call.frames.len() >= 10), "{}", host.log());
        change(&mut call);
        (call.heard, call.frames) = Default::default();
    }
    assert!(call.talk_until(|call| call.heard.len() >= 10 && call.frames.len() >= 10), "{}", host.log());
}

#[test]
fn a_websocket_echoes_over_ws_and_wss() {
    let host = Host::start(Kind::Oldest);
    assert_eq!(host.load("res_http_websocket"), Loading::Loaded, "{}", host.log());
    for tls in [false, true] {
        let mut browser = Browser::connect("ws", tls, "echo").expect("a handshake");
        for length in [0, 5, 1400, 60_000] {
            let message = vec![b'a'; length];
            browser.send(websocket::TEXT, &message);
            assert_eq!(browser.receive(), (websocket::TEXT, message), "tls: {tls}");
        }
        browser.close();
    }
    assert!(eventually(|| host.objects_alive() == 0), "{} objects stay", host.objects_alive());
}

#[test]
fn key_updates_with_unread_answers_keep_no_thread_busy() {
    let host = Host::start(Kind::Oldest);
    assert_eq!(host.load("res_http_websocket"), Loading::Loaded, "{}", host.log());
    let mut browser = Browser::connect("ws", true, "echo").expect("a handshake");
    {
        let key_updates = KeyUpdates::begin();
        key_updates.keep_nobody_busy(&mut browser);
    }
    browser.hang_up();
    assert!(eventually(|| host.objects_alive() == 0), "{} objects stay", host.objects_alive());
}

#[test]
fn a_client_that_does_not_wait_for_the_handshake_is_heard() {
    let host = Host::start(Kind::Oldest);
    assert_eq!(host.load("res_http_websocket"), Loading::Loaded, "{}", host.log());
    for tls in [false, true] {
        let (mut browser, serve) = Browser::prepare("ws", tls, &websocket::handshake("echo"));
        browser.send(websocket::TEXT, b"early");
        let server = std::thread::spawn(serve);
        let mut browser = browser.shaken_hands().expect("a handshake");
        assert_eq!(browser.receive(), (websocket::TEXT, b"early".to_vec()), "tls: {tls}");
        browser.close();
        server.join().expect("no panic");
    }
}
