use stun_types::message::Message;
use turn_client_proto::types::attribute::Lifetime;

use super::*;
use crate::testing::{
    ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, MAPPED, REFRESH, RELAYED, Server, credentials, indication, method,
};

/// A client, the server that it talks to, and their time.
struct Bench {
    allocation: Allocation,
    server: Server,
    now: Instant,
    events: Vec<Event>,
    /// Everything that the client has sent.
    sent: Vec<Vec<u8>>,
}

impl Bench {
    fn new(transport: Transport) -> Self {
        let now = Instant::now();
        let (local, server) = (addr("192.0.2.1:4000"), addr("203.0.113.1:3478"));
        let config = Config { local, server, transport, credentials: credentials() };
        let allocation = Allocation::new(now, config);
        Self { allocation, server: Server::new("secret"), now, events: Vec::new(), sent: Vec::new() }
    }

    /// One with an allocation.
    fn ready(transport: Transport) -> Self {
        let mut bench = Self::new(transport);
        bench.run(Duration::ZERO);
        assert_eq!(bench.events.pop(), Some(Event::Allocated { relayed: addr(RELAYED), mapped: addr(MAPPED) }));
        bench
    }

    /// Delivers datagrams and lets time pass, with the server answering everything at once.
    fn run(&mut self, time: Duration) {
        let answering = |server: &Server, request: &[u8]| server.answer(request);
        self.run_with(time, answering);
    }

    fn run_with(&mut self, time: Duration, answer: impl Fn(&Server, &[u8]) -> Option<Vec<u8>>) {
        let end = self.now + time.max(Duration::from_millis(200));
        for _ in 0..10_000 {
            while let Some(sent) = self.transmit() {
                if let Some(answer) = answer(&self.server, &sent) {
                    assert_eq!(self.allocation.handle_datagram(self.now, &answer), None);
                }
            }
            self.events.extend(std::iter::from_fn(|| self.allocation.poll_event()));
            match self.allocation.poll_timeout().filter(|at| *at <= end) {
                Some(at) => {
                    assert!(at > self.now, "it does not spin");
                    self.now = at;
                    self.allocation.handle_timeout(at);
                }
                None => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("it spins");
    }

    fn transmit(&mut self) -> Option<Vec<u8>> {
        let mut buffer = [0; MAX_DATAGRAM];
        let len = self.allocation.poll_transmit(&mut buffer)?;
        self.sent.push(buffer[..len].to_vec());
        Some(buffer[..len].to_vec())
    }

    fn send(&mut self, peer: &str, data: &[u8]) -> Result<Vec<u8>, Sending> {
        let mut buffer = [0xff; MAX_DATAGRAM];
        match self.allocation.send(self.now, addr(peer), data, &mut buffer) {
            Sending::Written(len) => Ok(buffer[..len].to_vec()),
            other => Err(other),
        }
    }

    /// Sends to a peer that has a permission by then.
    fn reach(&mut self, peer: &str) {
        assert_eq!(self.send(peer, b"first"), Err(Sending::Held));
        self.run(Duration::ZERO);
    }

    fn count(&self, wanted: stun_types::message::Method) -> usize {
        self.sent.iter().filter(|sent| method(sent) == Some(wanted)).count()
    }

    fn fails_with(mut self, failure: Failure, answer: impl Fn(&Server, &[u8]) -> Option<Vec<u8>>) {
        self.run_with(Duration::from_secs(60), answer);
        assert_eq!(self.events.pop(), Some(Event::Failed(failure)));
        assert_eq!((self.allocation.poll_timeout(), self.transmit()), (None, None));
    }
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

const PEER: &str = "198.51.100.99:6000";

#[test]
fn an_allocation_takes_two_round_trips() {
    for transport in [Transport::Datagram, Transport::Stream] {
        let bench = Bench::ready(transport);
        assert_eq!(bench.count(ALLOCATE), 2);
        assert_eq!(bench.allocation.addresses(), Some((addr(RELAYED), addr(MAPPED))));
    }
}

#[test]
fn rfc8656_section_9_the_first_datagram_for_a_peer_waits_for_the_permission_and_then_leaves() {
    let mut bench = Bench::ready(Transport::Datagram);
    assert_eq!(bench.send(PEER, b"first"), Err(Sending::Held));
    assert_eq!(bench.send("198.51.100.99:6001", b"same address"), Err(Sending::Held));
    bench.run(Duration::ZERO);
    assert_eq!(bench.count(CREATE_PERMISSION), 1);
    for text in [&b"first"[..], b"same address"] {
        assert!(bench.sent.iter().any(|sent| sent.windows(text.len()).any(|part| part == text)));
    }
    let sent = bench.send(PEER, b"second").unwrap();
    assert!(sent.windows(6).any(|part| part == b"second"));
}

#[test]
fn data_of_a_peer_comes_without_a_copy() {
    let mut bench = Bench::ready(Transport::Datagram);
    bench.reach(PEER);
    let datagram = indication(addr(PEER), b"hello");
    let Relayed { peer, data } = bench.allocation.handle_datagram(bench.now, &datagram).unwrap();
    assert_eq!((peer, &datagram[data]), (addr(PEER), &b"hello"[..]));
    let stranger = indication(addr("192.0.2.200:1"), b"hello");
    assert_eq!(bench.allocation.handle_datagram(bench.now, &stranger), None);
}

#[test]
fn rfc8656_section_12_a_channel_has_four_octets_of_overhead_and_padding_in_a_stream() {
    for (transport, expected) in [(Transport::Datagram, 4 + 5), (Transport::Stream, 4 + 8)] {
        let mut bench = Bench::ready(transport);
        bench.reach(PEER);
        bench.allocation.bind_channel(bench.now, addr(PEER));
        bench.run(Duration::ZERO);
        assert_eq!(bench.count(CHANNEL_BIND), 1);
        let sent = bench.send(PEER, b"hello").unwrap();
        assert_eq!((sent.len(), &sent[2..9]), (expected, &b"\x00\x05hello"[..]));
        assert!(sent[9..].iter().all(|padding| *padding == 0));
        let Relayed { peer, data } = bench.allocation.handle_datagram(bench.now, &sent[..9]).unwrap();
        assert_eq!((peer, data), (addr(PEER), 4..9));
        bench.allocation.bind_channel(bench.now, addr(PEER));
        bench.run(Duration::ZERO);
        assert_eq!(bench.count(CHANNEL_BIND), 1);
    }
}

#[test]
fn everything_is_refreshed_for_as_long_as_the_call_lasts() {
    let mut bench = Bench::ready(Transport::Datagram);
    bench.reach(PEER);
    bench.allocation.bind_channel(bench.now, addr(PEER));
    bench.run(Duration::from_secs(3600));
    assert_eq!(bench.events, []);
    assert!(bench.count(REFRESH) >= 6 && bench.count(CREATE_PERMISSION) >= 12 && bench.count(CHANNEL_BIND) >= 6);
    assert_eq!(bench.send(PEER, b"hello").unwrap().len(), 9);
}

#[test]
fn rfc8656_section_5_a_stale_nonce_costs_a_round_trip() {
    let mut bench = Bench::ready(Transport::Datagram);
    bench.server.change_nonce();
    bench.reach(PEER);
    assert_eq!(bench.count(CREATE_PERMISSION), 2);
    assert!(bench.send(PEER, b"second").is_ok());
    bench.run(Duration::from_secs(1200));
    assert_eq!(bench.events, []);
}

#[test]
fn nothing_is_sent_for_less_than_the_life_of_a_nats_mapping() {
    let mut bench = Bench::ready(Transport::Datagram);
    bench.run(Duration::from_secs(61));
    let indications = bench.sent.iter().filter(|sent| sent[..2] == [0x00, 0x11] && sent.len() == 20).count();
    assert_eq!((indications, bench.count(REFRESH)), (2, 2));
}

#[test]
fn an_allocation_that_was_probed_lives_as_long_as_its_user_believes() {
    let mut bench = Bench::ready(Transport::Datagram);
    bench.server.lifetime = 3600;
    bench.run(Duration::from_secs(40));
    let lifetime = |sent: &Vec<u8>| Message::from_bytes(sent).ok()?.attribute::<Lifetime>().ok().map(|it| it.seconds());
    let of = |kind| bench.sent.iter().filter(|sent| method(sent) == Some(kind)).filter_map(lifetime).max();
    let (allocated, probed) = (of(ALLOCATE), of(REFRESH));
    assert!(allocated.is_some() && allocated == probed, "{allocated:?} {probed:?}");
}

#[test]
fn a_release_is_a_refresh_with_lifetime_zero() {
    for transport in [Transport::Datagram, Transport::Stream] {
        let mut bench = Bench::ready(transport);
        bench.server.change_nonce();
        bench.allocation.release(bench.now);
        bench.run(Duration::ZERO);
        assert_eq!((bench.count(REFRESH), &bench.events[..]), (2, &[Event::Released][..]));
        assert_eq!(bench.send(PEER, b"late"), Err(Sending::Dropped));
    }
}

#[test]
fn a_release_that_nobody_confirms_ends_soon() {
    let mut bench = Bench::ready(Transport::Datagram);
    let begun = bench.now;
    bench.allocation.release(begun);
    bench.run_with(Duration::from_secs(2), |_, _| None);
    assert_eq!(bench.events, [Event::Released]);
}

#[test]
fn a_silent_server_is_given_up_after_five_seconds() {
    for transport in [Transport::Datagram, Transport::Stream] {
        let mut bench = Bench::new(transport);
        bench.run_with(Duration::from_millis(4900), |_, _| None);
        assert_eq!(bench.events, []);
        assert_eq!(bench.count(ALLOCATE), if transport == Transport::Datagram { 4 } else { 1 });
        bench.fails_with(Failure::Silent, |_, _| None);
    }
}

#[test]
fn rfc8489_section_9_2_5_a_wrong_password_is_told_from_silence() {
    let mut bench = Bench::new(Transport::Datagram);
    bench.server = Server::new("another");
    bench.fails_with(Failure::Unauthorised, Server::answer);
}

#[test]
fn a_refusal_says_why() {
    let other = addr("203.0.113.9:3478");
    for (code, alternate, failure) in [
        (300, Some(other), Failure::Redirected(other)),
        (300, None, Failure::Refused(300)),
        (486, None, Failure::Quota),
        (508, None, Failure::Full),
        (403, None, Failure::Refused(403)),
    ] {
        // At once, and after the challenge.
        Bench::new(Transport::Datagram).fails_with(failure, |server, sent| Some(server.refuse(sent, code, alternate)));
        Bench::new(Transport::Stream).fails_with(failure, |server, sent| {
            let answer = server.answer(sent)?;
            let is_challenge = answer[1] == 0x13;
            Some(if is_challenge { answer } else { server.refuse(sent, code, alternate) })
        });
    }
}

#[test]
fn a_peer_that_the_server_refuses_is_asked_for_once() {
    let mut bench = Bench::ready(Transport::Datagram);
    assert_eq!(bench.send(PEER, b"first"), Err(Sending::Held));
    bench.run_with(Duration::ZERO, |server, sent| Some(server.refuse(sent, 403, None)));
    assert_eq!(bench.events, [Event::PeerRefused(addr(PEER).ip())]);
    assert_eq!(bench.send(PEER, b"again"), Err(Sending::Dropped));
    assert_eq!(bench.count(CREATE_PERMISSION), 1);
}

#[test]
fn a_peer_whose_permission_failed_for_the_moment_is_asked_for_again() {
    for code in [400, 508] {
        let mut bench = Bench::ready(Transport::Datagram);
        assert_eq!(bench.send(PEER, b"early"), Err(Sending::Held));
        bench.run_with(Duration::ZERO, |server, sent| Some(server.refuse(sent, code, None)));
        assert_eq!(bench.events, [], "it is not known to be refused for good");
        assert_eq!(bench.send(PEER, b"at once"), Err(Sending::Dropped));
        assert_eq!(bench.count(CREATE_PERMISSION), 1);
        bench.run(PAUSE);
        bench.reach(PEER);
        assert!(bench.send(PEER, b"again").is_ok());
        assert!(!bench.sent.iter().any(|sent| sent.windows(5).any(|part| part == b"early")), "too late to be sent");
    }
}

#[test]
fn a_permission_that_could_not_be_refreshed_while_the_server_was_away_comes_back_with_it() {
    let mut bench = Bench::ready(Transport::Datagram);
    bench.reach(PEER);
    let deaf = |server: &Server, sent: &[u8]| server.answer(sent).filter(|_| method(sent) != Some(CREATE_PERMISSION));
    bench.run_with(Duration::from_secs(301), deaf);
    assert_eq!(bench.send(PEER, b"expired"), Err(Sending::Dropped));
    bench.run(PAUSE);
    bench.reach(PEER);
    assert!(bench.send(PEER, b"again").is_ok());
    assert_eq!(bench.events, []);
}

#[test]
fn a_server_that_has_forgotten_the_allocation_is_noticed() {
    let mut bench = Bench::ready(Transport::Datagram);
    bench.send(PEER, b"first").unwrap_err();
    bench.fails_with(Failure::Dropped, |server, sent| Some(server.refuse(sent, 437, None)));
}

#[test]
fn what_is_kept_for_peers_is_bounded() {
    let mut bench = Bench::ready(Transport::Datagram);
    for n in 0..2000_u32 {
        let peer = SocketAddr::new(std::net::Ipv4Addr::from(0x0a00_0000 + n).into(), 5000);
        bench.allocation.send(bench.now, peer, b"flood", &mut [0; MAX_DATAGRAM]);
    }
    assert_eq!((bench.allocation.peers.len(), bench.allocation.held.len()), (MOST_PEERS, MOST_HELD));
    assert_eq!(bench.send("[2001:db8::1]:1", b"another family"), Err(Sending::Dropped));
}

#[test]
fn an_answer_with_another_transaction_id_is_not_one() {
    let mut bench = Bench::new(Transport::Datagram);
    let sent = bench.transmit().unwrap();
    let mut forged = bench.server.refuse(&sent, 486, None);
    forged[19] ^= 1;
    assert_eq!(bench.allocation.handle_datagram(bench.now, &forged), None);
    assert_eq!(bench.allocation.poll_event(), None);
}

#[test]
fn a_server_that_was_restarted_is_noticed_while_nobody_uses_the_allocation() {
    let mut bench = Bench::ready(Transport::Datagram);
    bench.run(Duration::from_secs(300));
    assert_eq!(bench.events, []);
    // It has another nonce, and knows nothing.
    bench.server.change_nonce();
    let forgetful = |server: &Server, request: &[u8]| {
        let answer = server.answer(request)?;
        let is_refused = stun_types::message::Message::from_bytes(&answer)
            .unwrap()
            .has_class(stun_types::message::MessageClass::Error);
        Some(if is_refused { answer } else { server.refuse(request, 437, None) })
    };
    bench.run_with(Duration::from_secs(31), forgetful);
    assert_eq!(bench.events, [Event::Failed(Failure::Dropped)]);
}

#[test]
fn a_server_that_is_gone_is_noticed_while_nobody_uses_the_allocation() {
    let mut bench = Bench::ready(Transport::Datagram);
    bench.run_with(Duration::from_secs(32), |_, _| None);
    assert!(bench.allocation.is_doubtful(), "not handed out by now");
    bench.run_with(Duration::from_secs(8), |_, _| None);
    assert_eq!(bench.events, [Event::Failed(Failure::Silent)]);
}

#[test]
fn an_allocation_over_tcp_is_not_asked_for() {
    let mut bench = Bench::ready(Transport::Stream);
    bench.sent.clear();
    bench.run(Duration::from_secs(300));
    assert!(bench.sent.iter().all(|sent| method(sent) != Some(REFRESH)));
}
