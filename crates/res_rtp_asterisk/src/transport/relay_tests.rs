use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use asterisk::worker::Task;
use turn::Credentials;

use super::*;
use crate::transport::testing::with_session;

/// A server that answers nothing.
fn server() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

fn credentials() -> Credentials {
    Credentials { username: "pbx".into(), password: "word".into() }
}

fn give(transport: &mut Transport, link: Link, relayed: SocketAddr) {
    let ice = transport.ice_mut().expect("ICE is on unless switched off");
    ice.add_gathered(Component::Rtp, CandidateKind::Relayed, relayed, None);
    transport.relay = Some(Relay { link: RefCell::new(link), relayed });
}

fn offers(transport: &Transport, address: SocketAddr) -> bool {
    transport.offered_candidates().iter().any(|candidate| candidate.addr == address)
}

/// The server has had all the time that it may take.
const LATE: Duration = Duration::from_secs(6);

#[test]
fn a_relayed_address_that_is_lost_is_in_no_further_description_and_another_is_wanted() {
    with_session(|session| {
        let (now, server) = (Instant::now(), server());
        session.with(|state| {
            let relayed = "203.0.113.5:50000".parse().unwrap();
            let link = Link::over_udp(now, server.local_addr().unwrap(), credentials()).unwrap();
            give(state.transport_mut(), link, relayed);
            assert!(offers(state.transport(), relayed) && !state.transport().wants_relay());
            state.drive_relay(now);
            assert!(offers(state.transport(), relayed), "it is not lost yet");
            state.drive_relay(now + LATE);
            assert!(!offers(state.transport(), relayed) && state.transport().wants_relay());
        });
    });
}

#[test]
fn nothing_leaves_by_the_socket_in_the_name_of_a_relayed_address_that_is_lost() {
    with_session(|session| {
        let (now, server, peer, other) = (Instant::now(), server(), server(), server());
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        session.with(|state| {
            // It is on this machine, so that the socket could send from it.
            let (relayed, to) = (other.local_addr().unwrap(), peer.local_addr().unwrap());
            let link = Link::over_udp(now, server.local_addr().unwrap(), credentials()).unwrap();
            give(state.transport_mut(), link, relayed);
            state.drive_relay(now + LATE);
            let transport = state.transport();
            assert!(!transport.send_response(Component::Rtp, b"lost", to, Some(relayed)));
            let own = transport.socket(Component::Rtp).local();
            assert!(transport.send_response(Component::Rtp, b"own", to, Some(own)));
        });
        let mut buffer = [0; 16];
        let (len, _) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"own", "nobody is shown our address");
    });
}

/// A Binding indication (RFC 8489 §5), which the allocation takes in and does not answer.
const FRAME: [u8; 20] = [0, 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// They fit into one segment, and are more than are taken at once.
const FRAMES: usize = 200;

#[test]
fn frames_that_came_at_once_do_not_wait_for_the_next_ones() {
    with_session(|session| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Link::over_stream(Instant::now(), listener.local_addr().unwrap(), credentials(), None).unwrap();
        session.with(|state| give(state.transport_mut(), link, "203.0.113.5:50000".parse().unwrap()));
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(&FRAME.repeat(FRAMES)).unwrap();
        session.handle_ready(Instant::now(), TAG);
        // The worker thread has the rest.
        std::thread::sleep(Duration::from_millis(500));
        let left = session.with(|state| {
            let receive = || state.transport_mut().receive_relayed(Instant::now(), &mut [0; 2048]);
            std::iter::repeat_with(receive).take_while(|received| !matches!(received, FromRelay::Nothing)).count()
        });
        assert_eq!(left, Some(0), "of {FRAMES}");
    });
}
