//! The end of a handshake, and the states of an association after it.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::testing::{Side, context};
use crate::{Context, HashFunction, MAX_DATAGRAM_LEN, Profile};

mod new_path;

const SIGNALLED: ([u8; 4], u16) = ([192, 0, 2, 1], 4000);
const ELSEWHERE: ([u8; 4], u16) = ([192, 0, 2, 66], 4000);

/// Our side as the server and a client at an address, with a network between them that loses nothing.
struct Call {
    side: Side,
    /// The context with the certificate that the peer's description names.
    described: Arc<Context>,
    client: Session,
    address: SocketAddr,
    peer: PeerAddress,
    events: Vec<AssociationEvent>,
}

impl Call {
    /// A client at `address` with another certificate than the peer's description names, unless it `is_peer`.
    fn new(is_peer: bool, address: ([u8; 4], u16), peer: PeerAddress) -> Self {
        let mut call = Self::undescribed(is_peer, address, peer);
        call.describe();
        call
    }

    /// The peer's description has not arrived yet.
    fn undescribed(is_peer: bool, address: ([u8; 4], u16), peer: PeerAddress) -> Self {
        let described = context(false);
        let client_context = if is_peer { described.clone() } else { context(false) };
        let side = Side::new(Setup::ActPass);
        let client = browser(&client_context);
        Self { side, described, client, address: address.into(), peer, events: Vec::new() }
    }

    fn describe(&mut self) {
        self.side.set_setup(Setup::Active);
        let fingerprint = self.described.certificate().fingerprint(HashFunction::Sha256);
        self.side.set_fingerprint(HashFunction::Sha256, fingerprint);
    }

    fn receive(&mut self, now: Instant, datagram: &[u8]) -> Admission {
        let path = Path { from: self.address, to: ([192, 0, 2, 100], 5000).into() };
        let Side { endpoint, association } = &mut self.side;
        association.handle_datagram(now, endpoint, self.peer, path, datagram)
    }

    /// Polls for everything that is to be sent, and returns the octets.
    fn sent(&mut self) -> usize {
        self.flight().iter().map(Vec::len).sum()
    }

    /// Polls for everything that is to be sent.
    fn flight(&mut self) -> Vec<Vec<u8>> {
        let mut buffer = [0; MAX_DATAGRAM_LEN];
        let next = || self.side.association.poll_transmit(&mut buffer).map(|len| buffer[..len].to_vec());
        std::iter::from_fn(next).collect()
    }

    /// Exchanges datagrams until neither has one to send, and takes note of our events.
    fn talk(&mut self) {
        self.talk_from(Instant::now());
    }

    fn talk_from(&mut self, now: Instant) {
        let mut buffer = [0; MAX_DATAGRAM_LEN];
        let mut is_quiet = false;
        while !std::mem::replace(&mut is_quiet, true) {
            while let Some(len) = self.client.poll_transmit(&mut buffer) {
                is_quiet = false;
                if let Admission::Answer(answer) = self.receive(now, &buffer[..len]) {
                    self.client.handle_datagram(now, &answer);
                }
            }
            while let Some(len) = self.side.association.poll_transmit(&mut buffer) {
                is_quiet = false;
                self.client.handle_datagram(now, &buffer[..len]);
            }
            while let Some(event) = self.side.association.poll_event(self.peer) {
                self.events.push(event);
            }
        }
    }

    fn phase(&self) -> Phase {
        self.side.association.phase()
    }

    fn progress(&self) -> &'static str {
        self.side.association.progress(&self.side.endpoint)
    }
}

fn client(context: &Arc<Context>) -> Session {
    let mut client = Session::new(context, Role::Client).unwrap();
    client.start(Instant::now());
    client
}

/// A client whose ClientHello takes two datagrams, as those of browsers do.
fn browser(context: &Arc<Context>) -> Session {
    let mut client = Session::with_long_hello(context);
    client.start(Instant::now());
    client
}

fn next_of(session: &mut Session) -> Vec<u8> {
    let mut buffer = [0; MAX_DATAGRAM_LEN];
    let len = session.poll_transmit(&mut buffer).unwrap();
    buffer[..len].to_vec()
}

fn datagrams_of(session: &mut Session) -> Vec<Vec<u8>> {
    let mut buffer = [0; MAX_DATAGRAM_LEN];
    std::iter::from_fn(|| session.poll_transmit(&mut buffer).map(|len| buffer[..len].to_vec())).collect()
}

/// A message that OpenSSL takes for the peer's next one, and cannot read.
fn forged(message_type: u8, number: u8) -> Vec<u8> {
    let mut datagram = crate::record::first_message(message_type, [0xfe, 0xfd], &[0xff; 40]);
    datagram[13 + 5] = number;
    datagram
}

/// A fragment of such a message, which contradicts any fragment of the real one of the same length.
fn a_fragment_of(message_type: u8, number: u8) -> Vec<u8> {
    let mut datagram = forged(message_type, number);
    datagram[13 + 2..13 + 4].copy_from_slice(&[1, 0]);
    datagram
}

const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const KEY_EXCHANGE: u8 = 12;
const REQUEST: u8 = 13;
const DONE: u8 = 14;
const VERIFY: u8 = 15;
const KEY_EXCHANGE_OF_CLIENT: u8 = 16;

fn signalled() -> PeerAddress {
    PeerAddress::Signalled(Some(SIGNALLED.into()))
}

#[test]
fn another_certificate_at_the_signalled_address_is_the_end_until_the_peer_offers_another_association() {
    for peer in [signalled(), PeerAddress::CheckedByIce] {
        let mut call = Call::new(false, SIGNALLED, peer);
        call.talk();
        assert!(matches!(call.events[..], [AssociationEvent::Failed(Failure::FingerprintMismatch { .. })]));
        assert_eq!((call.phase(), call.progress()), (Phase::Failed, "failed"));
        call.side.association.start_over();
        assert_eq!((call.phase(), call.progress()), (Phase::Idle, "waiting for the peer's ClientHello"));
    }
}

#[test]
fn another_certificate_at_an_unknown_address_is_as_if_nothing_had_begun() {
    let mut call = Call::new(false, ELSEWHERE, signalled());
    call.talk();
    assert!(matches!(call.events[..], [AssociationEvent::StrangerFailed(Failure::FingerprintMismatch { .. })]));
    assert_eq!((call.phase(), call.side.association.path()), (Phase::Idle, None));
}

#[test]
fn keys_outlive_the_association_that_the_peer_closes() {
    let mut call = Call::new(true, ELSEWHERE, PeerAddress::CheckedByIce);
    call.talk();
    assert!(
        matches!(&call.events[..], [AssociationEvent::Connected(keys)] if keys.profile == Profile::Aes128CmSha1_80)
    );
    assert_eq!((call.phase(), call.progress()), (Phase::Connected, "connected"));
    call.client.close();
    call.talk();
    assert_eq!(call.events.last(), Some(&AssociationEvent::Closed));
    assert_eq!((call.phase(), call.progress()), (Phase::Connected, "closed by the peer"));
    assert_eq!(call.side.association.poll_timeout(), None);
}

#[test]
fn an_association_whose_keys_cannot_be_used_has_failed() {
    let mut call = Call::new(true, SIGNALLED, signalled());
    call.talk();
    call.side.association.reject_keys();
    assert_eq!(call.phase(), Phase::Failed);
    call.client.close();
    call.talk();
    assert_eq!((call.events.len(), call.phase()), (1, Phase::Failed));
}

#[test]
fn a_peer_that_falls_silent_has_failed_after_the_lifetime_of_a_handshake() {
    let mut call = Call::new(true, SIGNALLED, signalled());
    call.side.set_setup(Setup::Passive);
    call.side.endpoint.activate();
    let start = Instant::now();
    call.side.begin_if_active(start);
    assert_eq!(call.progress(), "handshake under way");
    let Side { association, .. } = &mut call.side;
    let mut end = start;
    while let Some(due) = association.poll_timeout() {
        end = due;
        association.handle_timeout(due, call.peer);
        if let Some(event) = association.poll_event(call.peer) {
            call.events.push(event);
        }
    }
    assert_eq!(call.events, [AssociationEvent::Failed(Failure::TimedOut { alert: None })]);
    assert_eq!((call.phase(), end - start), (Phase::Failed, Duration::from_secs(30)));
}

#[test]
fn a_hello_that_overtakes_the_description_is_answered_and_its_keys_wait() {
    let mut call = Call::undescribed(true, SIGNALLED, PeerAddress::CheckedByIce);
    call.talk();
    assert_eq!((call.events.len(), call.progress()), (0, "handshake complete, waiting for the peer's fingerprint"));
    assert_eq!(call.side.endpoint.setup(), Setup::Passive);
    call.describe();
    call.talk();
    assert!(matches!(call.events[..], [AssociationEvent::Connected(_)]), "{:?}", call.events);
}

#[test]
fn rfc8122_section_5_the_certificate_has_one_of_several_fingerprints() {
    for is_early in [false, true] {
        let mut call = Call::undescribed(true, SIGNALLED, PeerAddress::CheckedByIce);
        if is_early {
            call.talk();
        }
        call.side.set_setup(Setup::Active);
        let others = [context(false), Arc::clone(&call.described), context(false)];
        for described in &others {
            let text = described.certificate().fingerprint(HashFunction::Sha256);
            call.side.add_fingerprint(HashFunction::Sha256, text);
        }
        call.side.end_description();
        call.talk();
        assert!(matches!(call.events[..], [AssociationEvent::Connected(_)]), "{:?}", call.events);
    }
}

#[test]
fn an_early_handshake_with_another_than_the_described_peer_is_as_if_it_had_not_begun() {
    let mut call = Call::undescribed(false, SIGNALLED, PeerAddress::CheckedByIce);
    call.talk();
    call.describe();
    call.talk();
    assert!(matches!(call.events[..], [AssociationEvent::StrangerFailed(Failure::FingerprintMismatch { .. })]));
    assert_eq!(call.phase(), Phase::Idle);
    call.client = client(&call.described);
    call.talk();
    assert!(matches!(call.events[1..], [AssociationEvent::Connected(_)]), "{:?}", call.events);
}

#[test]
fn a_peer_that_calls_itself_passive_behind_its_early_hello_is_taken_at_its_word() {
    let mut call = Call::undescribed(true, SIGNALLED, PeerAddress::CheckedByIce);
    call.talk();
    assert!(call.side.set_setup(Setup::Passive));
    assert_eq!((call.side.endpoint.setup(), call.phase()), (Setup::Active, Phase::Idle));
}

#[test]
fn an_early_hello_from_an_address_that_ice_does_not_know_is_refused() {
    for peer in [PeerAddress::Signalled(None), signalled()] {
        let mut call = Call::undescribed(true, ELSEWHERE, peer);
        let hello = next_of(&mut call.client);
        assert_eq!(call.receive(Instant::now(), &hello), Admission::Refused);
        assert_eq!((call.phase(), call.sent()), (Phase::Idle, 0));
    }
}

#[test]
fn an_early_hello_has_at_most_three_times_its_length_sent() {
    let mut call = Call::undescribed(true, SIGNALLED, PeerAddress::CheckedByIce);
    call.client = client(&call.described);
    let (hello, start) = (next_of(&mut call.client), Instant::now());
    assert_eq!(call.receive(start, &hello), Admission::Taken);
    let mut sent = call.sent();
    while let Some(due) = call.side.association.poll_timeout() {
        call.side.association.handle_timeout(due, call.peer);
        sent += call.sent();
        if due - start > Duration::from_secs(10) {
            break;
        }
    }
    assert!(sent <= 3 * hello.len(), "{sent} for {}", hello.len());
    call.describe();
    assert!(call.sent() > 0, "the described peer is sent the flight at once");
}

/// Our side as the server that has answered the peer's ClientHello; the answer is still on its way.
fn answered() -> (Call, Vec<Vec<u8>>) {
    let mut call = Call::new(true, SIGNALLED, PeerAddress::CheckedByIce);
    call.client = client(&call.described);
    let hello = next_of(&mut call.client);
    call.receive(Instant::now(), &hello);
    let flight = call.flight();
    (call, flight)
}

/// Our side as the client that has sent its ClientHello.
fn asked(peer: PeerAddress) -> Call {
    let mut call = Call::new(true, SIGNALLED, peer);
    call.side.set_setup(Setup::Passive);
    call.side.endpoint.activate();
    call.side.begin_if_active(Instant::now());
    call.client = Session::new(&call.described, Role::Server).unwrap();
    call.client.start(Instant::now());
    call
}

#[test]
fn forged_messages_cost_a_server_nothing() {
    let (mut call, flight) = answered();
    for (kind, number) in [(CERTIFICATE, 1), (KEY_EXCHANGE_OF_CLIENT, 2), (VERIFY, 3), (CERTIFICATE, 4), (VERIFY, 0)] {
        for forgery in [forged(kind, number), a_fragment_of(kind, number)] {
            assert_eq!(call.receive(Instant::now(), &forgery), Admission::Taken);
        }
    }
    flight.iter().for_each(|datagram| call.client.handle_datagram(Instant::now(), datagram));
    call.talk();
    assert!(matches!(call.events[..], [AssociationEvent::Connected(_)]), "{:?}", call.events);
    assert_eq!(call.side.association.interruptions(), 0);
}

#[test]
fn forged_messages_cost_a_client_nothing() {
    for peer in [signalled(), PeerAddress::CheckedByIce] {
        let mut call = asked(peer);
        for (kind, number) in [(SERVER_HELLO, 0), (CERTIFICATE, 1), (KEY_EXCHANGE, 2), (REQUEST, 3), (DONE, 4)] {
            for forgery in [forged(kind, number), a_fragment_of(kind, number)] {
                assert_eq!(call.receive(Instant::now(), &forgery), Admission::Taken);
            }
        }
        call.talk();
        assert!(matches!(call.events[..], [AssociationEvent::Connected(_)]), "{:?}", call.events);
        assert_eq!(call.side.association.interruptions(), 0);
    }
}

#[test]
fn a_repetition_of_the_flight_mends_what_a_flood_of_forgeries_displaced() {
    let (mut call, flight) = answered();
    let mut now = Instant::now();
    flight.iter().for_each(|datagram| call.client.handle_datagram(now, datagram));
    while call.phase() != Phase::Connected && now < Instant::now() + Duration::from_secs(3) {
        for (kind, number) in [(CERTIFICATE, 1), (KEY_EXCHANGE_OF_CLIENT, 2), (VERIFY, 3)].repeat(10) {
            call.receive(now, &forged(kind, number));
        }
        now += Duration::from_millis(100);
        call.client.handle_timeout(now);
        call.talk_from(now);
    }
    assert!(matches!(call.events[..], [AssociationEvent::Connected(_)]), "{:?}", call.events);
}

#[test]
fn a_flight_that_nothing_proves_interrupts_a_server_that_then_takes_another_hello() {
    let (mut call, _) = answered();
    let start = Instant::now();
    call.receive(start, &forged(CERTIFICATE, 1));
    let failed = start + Duration::from_secs(4);
    call.side.association.handle_timeout(failed, call.peer);
    let event = call.side.association.poll_event(call.peer);
    assert!(matches!(event, Some(AssociationEvent::Interrupted(Failure::Handshake(_)))), "{event:?}");
    assert_eq!((call.phase(), call.side.association.interruptions()), (Phase::Idle, 1));
    let hello = next_of(&mut client(&call.described));
    assert_eq!(call.receive(failed, &hello), Admission::Refused, "not at any rate");
    call.side.association.handle_timeout(failed + Duration::from_millis(200), call.peer);
    assert_eq!(call.side.association.poll_timeout(), None);
    call.client = client(&call.described);
    call.talk_from(failed + Duration::from_millis(200));
    assert!(matches!(call.events[..], [AssociationEvent::Connected(_)]), "{:?}", call.events);
}

#[test]
fn interruptions_end_with_the_lifetime_of_a_handshake() {
    let mut call = asked(PeerAddress::CheckedByIce);
    let start = Instant::now();
    let mut now = start;
    let event = loop {
        call.side.begin_if_active(now);
        call.receive(now, &forged(SERVER_HELLO, 0));
        now += Duration::from_millis(3200);
        call.side.association.handle_timeout(now, call.peer);
        match call.side.association.poll_event(call.peer) {
            Some(AssociationEvent::Interrupted(_)) => now += Duration::from_millis(200),
            other => break other,
        }
    };
    assert!(matches!(event, Some(AssociationEvent::Failed(Failure::Handshake(_)))), "{event:?}");
    assert_eq!(call.phase(), Phase::Failed);
    assert!(now - start < Duration::from_secs(35));
}

/// Somebody who forges the peer's address sends a ClientHello ahead of the peer's.
#[test]
fn the_peer_takes_over_a_handshake_that_a_forged_hello_began() {
    for peer in [signalled(), PeerAddress::CheckedByIce] {
        let mut call = Call::new(true, SIGNALLED, peer);
        let strangers = next_of(&mut client(&context(false)));
        call.receive(Instant::now(), &strangers);
        assert!(call.sent() > 0);
        call.client = client(&call.described);
        call.talk();
        assert!(matches!(call.events[..], [AssociationEvent::Connected(_)]), "{:?}", call.events);
    }
}

#[test]
fn forged_hellos_do_not_take_over_the_peers_handshake() {
    for peer in [signalled(), PeerAddress::CheckedByIce] {
        let mut call = Call::new(true, SIGNALLED, peer);
        call.client = client(&call.described);
        let hello = next_of(&mut call.client);
        call.receive(Instant::now(), &hello);
        let flight = call.flight();
        let forgery = next_of(&mut client(&context(false)));
        let Admission::Answer(request) = call.receive(Instant::now(), &forgery) else { unreachable!("no request") };
        assert!(request.len() < forgery.len());
        flight.iter().for_each(|datagram| call.client.handle_datagram(Instant::now(), datagram));
        call.client.handle_datagram(Instant::now(), &request); // it reaches the peer, whose address was forged
        call.talk();
        assert!(matches!(call.events[..], [AssociationEvent::Connected(_)]), "{:?}", call.events);
    }
}

#[test]
fn a_peer_that_misses_our_flight_and_gets_a_request_for_a_cookie_begins_again_with_it() {
    let (mut call, _lost) = answered();
    let forgery = next_of(&mut client(&context(false)));
    let Admission::Answer(request) = call.receive(Instant::now(), &forgery) else { unreachable!("no request") };
    call.client.handle_datagram(Instant::now(), &request);
    call.talk();
    assert!(matches!(call.events[..], [AssociationEvent::Connected(_)]), "{:?}", call.events);
}

/// Everybody who reads our offer can send an authenticated check, and a ClientHello after it.
#[test]
fn somebody_who_read_our_offer_does_not_keep_the_peer_waiting() {
    let mut call = Call::undescribed(true, ELSEWHERE, PeerAddress::CheckedByIce);
    let strangers = next_of(&mut client(&context(false)));
    call.receive(Instant::now(), &strangers);
    call.sent();
    call.address = SIGNALLED.into();
    call.client = client(&call.described);
    let hello = next_of(&mut call.client);
    call.receive(Instant::now(), &hello);
    assert_eq!(call.sent(), 0, "whose offer it answers is not known yet");
    call.describe();
    let now = Instant::now() + Duration::from_millis(100);
    call.client.handle_timeout(now);
    call.talk_from(now);
    assert!(matches!(call.events[..], [AssociationEvent::Connected(_)]), "{:?}", call.events);
}

#[test]
fn a_handshake_is_not_taken_over_without_end() {
    let mut call = Call::new(false, SIGNALLED, PeerAddress::CheckedByIce);
    let mut taken = 0;
    for _ in 0..100 {
        let mut rival = client(&context(false));
        let hello = next_of(&mut rival);
        if let Admission::Answer(request) = call.receive(Instant::now(), &hello) {
            rival.handle_datagram(Instant::now(), &request);
            let hello = next_of(&mut rival);
            taken += usize::from(call.receive(Instant::now(), &hello) == Admission::Taken);
        }
    }
    assert_eq!(taken, 16);
}

#[test]
fn a_hello_in_two_datagrams_is_taken_in_any_order() {
    for order in [&[0, 1][..], &[1, 0], &[0, 0, 1], &[1, 1, 0, 0], &[0, 1, 1]] {
        for is_described in [true, false] {
            let mut call = Call::undescribed(true, SIGNALLED, PeerAddress::CheckedByIce);
            if is_described {
                call.describe();
            }
            let hello = [next_of(&mut call.client), next_of(&mut call.client)];
            let now = Instant::now();
            for part in order {
                assert_eq!(call.receive(now, &hello[*part]), Admission::Taken, "{order:?}");
            }
            call.talk_from(now);
            call.describe();
            call.talk_from(now);
            assert!(matches!(call.events[..], [AssociationEvent::Connected(_)]), "{order:?} {:?}", call.events);
        }
    }
}

#[test]
fn a_hello_in_two_datagrams_is_asked_for_a_cookie_once() {
    let mut call = Call::new(true, ELSEWHERE, signalled());
    let hello = [next_of(&mut call.client), next_of(&mut call.client)];
    let Admission::Answer(request) = call.receive(Instant::now(), &hello[0]) else { unreachable!("no request") };
    assert_eq!(call.receive(Instant::now(), &hello[1]), Admission::Refused);
    call.client.handle_datagram(Instant::now(), &request);
    call.talk();
    assert!(matches!(call.events[..], [AssociationEvent::Connected(_)]), "{:?}", call.events);
}

/// Exchanges datagrams until we have keys, and returns our last flight, which the client has not got.
fn keyed_without_last_flight(call: &mut Call, now: Instant) -> Vec<Vec<u8>> {
    let mut buffer = [0; MAX_DATAGRAM_LEN];
    loop {
        while let Some(len) = call.client.poll_transmit(&mut buffer) {
            call.receive(now, &buffer[..len]);
        }
        let flight = call.flight();
        call.events.extend(call.side.association.poll_event(call.peer));
        if call.phase() == Phase::Connected {
            assert_eq!(call.sent(), 0);
            return flight;
        }
        assert!(!flight.is_empty(), "the handshake stands still");
        flight.iter().for_each(|datagram| call.client.handle_datagram(now, datagram));
    }
}

fn is_retired(call: &Call) -> bool {
    matches!(call.side.association.state, State::Retired(_))
}

#[test]
fn rfc6347_section_4_2_4_a_client_that_missed_the_last_flight_gets_it_without_openssl() {
    for ciphers in ["ECDHE+AESGCM+AES128", "ECDHE+AESGCM+AES256"] {
        let mut call = Call::new(true, SIGNALLED, PeerAddress::CheckedByIce);
        let described = crate::testing::context_with_ciphers(ciphers);
        (call.client, call.described) = (client(&described), described);
        call.describe();
        let now = Instant::now();
        let lost = keyed_without_last_flight(&mut call, now);
        assert!(is_retired(&call) && !lost.is_empty() && !call.client.is_connected(), "{ciphers}");
        let later = now + Duration::from_secs(1);
        call.client.handle_timeout(later);
        let repeated: Vec<_> = datagrams_of(&mut call.client);
        repeated.iter().for_each(|datagram| assert_eq!(call.receive(later, datagram), Admission::Taken));
        assert_eq!(call.flight(), lost, "{ciphers}");
        repeated.iter().for_each(|datagram| assert_eq!(call.receive(later, datagram), Admission::Taken));
        assert_eq!(call.sent(), 0, "a repetition by the network");
        lost.iter().for_each(|datagram| call.client.handle_datagram(later, datagram));
        assert!(call.client.is_connected(), "{ciphers}");
        call.client.close();
        call.talk();
        assert_eq!(call.events.last(), Some(&AssociationEvent::Closed), "{ciphers}");
    }
}

#[test]
fn forged_records_change_nothing_once_openssl_is_gone() {
    let mut call = Call::new(true, SIGNALLED, PeerAddress::CheckedByIce);
    call.talk();
    assert!(is_retired(&call));
    for (content_type, len) in [(21, 26), (22, 40), (21, 8), (21, 0), (22, 24), (23, 30)] {
        let mut forgery = vec![content_type, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, len];
        forgery.resize(13 + usize::from(len), 0x5a);
        call.receive(Instant::now(), &forgery);
        assert_eq!(call.sent(), 0);
    }
    call.client.close();
    call.talk();
    assert_eq!(call.events.last(), Some(&AssociationEvent::Closed), "the peer's own alert is still understood");
}

#[test]
fn openssl_stays_for_ciphers_that_only_it_knows() {
    let described = crate::testing::context_with_ciphers("ECDHE+CHACHA20");
    let mut call = Call::new(true, SIGNALLED, PeerAddress::CheckedByIce);
    (call.client, call.described) = (client(&described), described);
    call.describe();
    call.talk();
    assert!(!is_retired(&call) && call.phase() == Phase::Connected);
    call.client.close();
    call.talk();
    assert_eq!(call.events.last(), Some(&AssociationEvent::Closed));
}
