//! Handshakes over a network that loses, delays, repeats and invents datagrams.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{Network, Pair, Peer, config};
use dtls_srtp::timer::{FIRST_INTERVAL, HANDSHAKE_LIFETIME};
use dtls_srtp::{ClientHello, Context, Failure, HashFunction, Profile, Role, Runner, Verify};

#[test]
fn both_ends_have_the_same_keys_and_no_time_passes() {
    let mut pair = Pair::introduced(Network::perfect());
    pair.run();
    pair.assert_agreed();
    assert_eq!(pair.now, pair.started, "no retransmission was needed");
    assert_eq!(pair.peers[0].keys.as_ref().map(|keys| keys.profile), Some(Profile::Aes128CmSha1_80));
}

#[test]
fn every_profile_is_agreed_on() {
    for profile in [Profile::Aes128CmSha1_80, Profile::Aes128CmSha1_32, Profile::AeadAes128Gcm, Profile::AeadAes256Gcm]
    {
        let mut only = config();
        only.srtp_profiles = vec![profile];
        let mut pair = introduced(Peer::with(Role::Client, only.clone()), Peer::with(Role::Server, only));
        pair.run();
        pair.assert_agreed();
        let keys = pair.peers[1].keys.as_ref().expect("keys");
        assert_eq!(
            (keys.profile, keys.local.key.len(), keys.local.salt.len()),
            (profile, profile.key_len(), profile.salt_len())
        );
    }
}

#[test]
fn the_runner_of_a_context_gets_every_step_of_its_handshakes() {
    /// Counts the steps.
    #[derive(Debug, Default)]
    struct Counting(AtomicU32);

    impl Runner for Counting {
        fn run(&self, step: &mut (dyn FnMut() + Send)) {
            self.0.fetch_add(1, Ordering::Relaxed);
            step();
        }
    }

    let [ours, theirs] = [Arc::<Counting>::default(), Arc::default()];
    let peer = |role, runner: &Arc<Counting>| {
        Peer::with_context(role, &Context::with_runner(config(), runner.clone()).expect("a context"))
    };
    let mut pair = introduced(peer(Role::Client, &ours), peer(Role::Server, &theirs));
    pair.run();
    pair.assert_agreed();
    let steps = |runner: &Counting| runner.0.load(Ordering::Relaxed);
    // The client begins, and each side answers two flights at least.
    assert!(steps(&ours) >= 3 && steps(&theirs) >= 2, "{ours:?} {theirs:?}");
}

#[test]
fn a_runner_that_runs_nothing_costs_no_handshake() {
    #[derive(Debug)]
    struct Idle;

    impl Runner for Idle {
        fn run(&self, _: &mut (dyn FnMut() + Send)) {}
    }

    let context = Context::with_runner(config(), Arc::new(Idle)).expect("a context");
    let mut pair = introduced(Peer::with_context(Role::Client, &context), Peer::new(Role::Server));
    pair.run();
    pair.assert_agreed();
}

#[test]
fn no_datagram_of_a_handshake_is_longer_than_the_mtu() {
    let mut small = config();
    small.mtu = 256;
    let mut pair = introduced(Peer::with(Role::Client, small.clone()), Peer::with(Role::Server, small));
    pair.run();
    pair.assert_agreed();
    let longest = pair.peers.iter().map(|peer| peer.longest).max();
    assert!(longest.is_some_and(|longest| (200..=256).contains(&longest)), "{longest:?}");
}

#[test]
fn handshakes_survive_loss_delay_and_duplicates() {
    for seed in 1..=60 {
        let network = Network {
            seed,
            loss_percent: 25,
            duplicate_percent: 25,
            garbage_percent: 0,
            max_delay: Duration::from_millis(80),
        };
        let mut pair = Pair::introduced(network);
        pair.run();
        pair.assert_agreed();
        assert!(pair.now - pair.started < HANDSHAKE_LIFETIME, "seed {seed}");
    }
}

#[test]
fn noise_and_forged_alerts_end_no_handshake() {
    for (seed, cipher) in (1..=60).zip(CIPHERS.into_iter().cycle()) {
        let network = Network {
            seed,
            loss_percent: 10,
            duplicate_percent: 10,
            garbage_percent: 60,
            max_delay: Duration::from_millis(20),
        };
        let mut only = config();
        only.cipher_list = Some(cipher.to_owned());
        let mut pair = introduced_over(network, Peer::with(Role::Client, only.clone()), Peer::with(Role::Server, only));
        pair.run();
        pair.assert_agreed();
    }
}

#[test]
fn noise_ends_no_association() {
    for cipher in CIPHERS {
        let mut only = config();
        only.cipher_list = Some(cipher.to_owned());
        let mut pair = introduced(Peer::with(Role::Client, only.clone()), Peer::with(Role::Server, only));
        pair.run();
        let now = pair.now;
        for content_type in 20..=23 {
            for len in 0..80 {
                let header = [content_type, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 1, 0, 0, len];
                let datagram = [&header[..], &vec![0x3c; len.into()]].concat();
                pair.peers.iter_mut().for_each(|peer| peer.session.handle_datagram(now, &datagram));
            }
        }
        assert!(pair.peers.iter().all(|peer| peer.session.is_connected()), "{cipher}");
        pair.peers[0].session.close();
        pair.run();
        assert!(pair.peers[1].is_closed, "{cipher}");
    }
}

#[test]
fn a_lost_hello_is_sent_again_after_the_first_interval() {
    let mut pair = Pair::introduced(Network::perfect());
    assert_eq!(pair.peers[0].drain().len(), 1, "the ClientHello, lost");
    pair.run();
    pair.assert_agreed();
    assert_eq!(pair.now - pair.started, FIRST_INTERVAL);
}

#[test]
fn a_silent_peer_is_given_up() {
    let mut client = Peer::new(Role::Client);
    client.expect_peer(&Peer::new(Role::Server), HashFunction::Sha256);
    let network = Network { loss_percent: 100, ..Network::perfect() };
    let mut pair = Pair::new(client, Peer::new(Role::Server), network);
    pair.start();
    pair.run();
    assert_eq!(pair.peers[0].failure, Some(Failure::TimedOut { alert: None }));
    assert_eq!(pair.now - pair.started, HANDSHAKE_LIFETIME);
    assert!(pair.peers[0].sent < 20, "{} datagrams", pair.peers[0].sent);
    assert_eq!(pair.peers[1].failure, None, "a server waits");
}

#[test]
fn another_certificate_than_the_sdps_fails() {
    let (mut client, mut server) = (Peer::new(Role::Client), Peer::new(Role::Server));
    let stranger = Peer::new(Role::Client);
    client.expect_peer(&server, HashFunction::Sha256);
    server.expect_peer(&stranger, HashFunction::Sha256);
    let mut pair = Pair::new(client, server, Network::perfect());
    pair.start();
    pair.run();
    assert!(matches!(pair.peers[1].failure, Some(Failure::FingerprintMismatch { .. })), "{:?}", pair.peers[1].failure);
    assert!(pair.peers[1].keys.is_none());
    assert!(pair.peers[0].is_closed);
}

#[test]
fn the_strongest_fingerprint_counts() {
    let (mut client, mut server) = (Peer::new(Role::Client), Peer::new(Role::Server));
    client.expect_peer(&server, HashFunction::Sha256);
    server.expect_peer(&client, HashFunction::Sha256);
    server.expect_peer(&Peer::new(Role::Client), HashFunction::Sha1);
    let mut pair = Pair::new(client, server, Network::perfect());
    pair.start();
    pair.run();
    pair.assert_agreed();
}

#[test]
fn keys_wait_for_the_fingerprint() {
    let (mut client, server) = (Peer::new(Role::Client), Peer::new(Role::Server));
    client.expect_peer(&server, HashFunction::Sha256);
    let mut pair = Pair::new(client, server, Network::perfect());
    pair.start();
    pair.run();
    assert!(pair.peers[0].keys.is_some());
    assert!(pair.peers[1].keys.is_none() && pair.peers[1].failure.is_none());
    let [client, server] = &mut pair.peers;
    server.expect_peer(client, HashFunction::Sha256);
    pair.run();
    pair.assert_agreed();
}

#[test]
fn a_hello_that_overtakes_the_answer_is_kept() {
    let (mut client, mut server) = (Peer::new(Role::Client), Peer::new(Role::Server));
    client.expect_peer(&server, HashFunction::Sha256);
    server.expect_peer(&client, HashFunction::Sha256);
    let mut pair = Pair::new(client, server, Network::perfect());
    pair.peers[0].session.start(pair.started);
    for datagram in pair.peers[0].drain() {
        pair.peers[1].session.handle_datagram(pair.started, &datagram);
    }
    assert_eq!(pair.peers[1].drain().len(), 0);
    pair.start();
    pair.run();
    pair.assert_agreed();
    assert_eq!(pair.now, pair.started);
}

/// The cookie exchange of RFC 6347 §4.2.1.
#[test]
fn a_client_that_returns_the_cookie_is_served() {
    for lost in [false, true] {
        let mut pair = introduced(Peer::new(Role::Client), Peer::new(Role::Server));
        let address = ([192, 0, 2, 1], 4000).into();
        let [client, server] = &mut pair.peers;
        let mut fresh = Peer::with_context(Role::Server, &server.context);
        fresh.expect_peer(client, HashFunction::Sha256);
        if lost {
            client.drain();
            client.session.handle_timeout(pair.now + FIRST_INTERVAL);
        }
        let first = client.drain().remove(0);
        let hello = ClientHello::parse(&first).expect("a ClientHello");
        assert!(!hello.has_cookie());
        let request = fresh.context.hello_verify_request(&hello, address).expect("a request");
        client.session.handle_datagram(pair.now, &request);
        let second = client.drain().remove(0);
        let hello = ClientHello::parse(&second).expect("a ClientHello");
        assert!(fresh.context.has_our_cookie(&hello, address));
        fresh.session.start_after_cookie(pair.now);
        assert_eq!((fresh.drain().len(), fresh.session.steps()), (0, 0));
        fresh.session.handle_datagram(pair.now, &second);
        assert_eq!(fresh.session.steps(), 1);
        pair.peers[1] = fresh;
        pair.run();
        pair.assert_agreed();
        assert_eq!(pair.now, pair.started, "no retransmission was needed");
    }
}

#[test]
fn alerts_and_noise_are_no_step_of_a_handshake() {
    let mut pair = Pair::introduced(Network::perfect());
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];
    let noise = [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32][..], &[0x5a; 32]].concat();
    for peer in &mut pair.peers {
        peer.session.handle_datagram(pair.now, &alert);
        peer.session.handle_datagram(pair.now, &noise);
        assert_eq!(peer.session.steps(), 0);
    }
    pair.run();
    pair.assert_agreed();
    assert!(pair.peers.iter().all(|peer| peer.session.steps() > 0));
}

#[test]
fn a_role_may_change_until_messages_are_exchanged() {
    let (mut client, mut server) = (Peer::new(Role::Server), Peer::new(Role::Server));
    client.expect_peer(&server, HashFunction::Sha256);
    server.expect_peer(&client, HashFunction::Sha256);
    let mut pair = Pair::new(client, server, Network::perfect());
    pair.start();
    assert_eq!(pair.peers[0].session.set_role(Role::Client).ok(), Some(true));
    pair.start();
    pair.run();
    pair.assert_agreed();
    assert_eq!(pair.peers[0].session.set_role(Role::Server).ok(), Some(false));
}

#[test]
fn no_profile_in_common_fails() {
    let (mut one, mut other) = (config(), config());
    one.srtp_profiles = vec![Profile::Aes128CmSha1_32];
    other.srtp_profiles = vec![Profile::AeadAes128Gcm];
    let mut pair = introduced(Peer::with(Role::Client, one), Peer::with(Role::Server, other));
    pair.run();
    assert_eq!(pair.peers[1].failure, Some(Failure::NoProfile));
    assert!(pair.peers.iter().all(|peer| peer.keys.is_none()));
}

#[test]
fn a_hello_that_cannot_be_accepted_is_told_and_another_one_taken() {
    let mut only = config();
    only.cipher_list = Some("ECDHE-ECDSA-CHACHA20-POLY1305".to_owned());
    let mut server_only = config();
    server_only.cipher_list = Some("ECDHE-ECDSA-AES128-GCM-SHA256".to_owned());
    let mut pair = introduced(Peer::with(Role::Client, only), Peer::with(Role::Server, server_only));
    let now = pair.now;
    let hello = pair.peers[0].drain();
    hello.iter().for_each(|datagram| pair.peers[1].session.handle_datagram(now, datagram));
    assert_eq!(pair.peers[1].drain().len(), 1, "the alert");
    assert_eq!(pair.peers[1].refusals, [Failure::Handshake("no shared cipher".to_owned())]);

    let mut client = Peer::new(Role::Client);
    client.expect_peer(&pair.peers[1], HashFunction::Sha256);
    pair.peers[1].expect_peer(&client, HashFunction::Sha256);
    pair.peers[0] = client;
    pair.start();
    pair.run();
    pair.assert_agreed();
}

#[test]
fn a_forged_alert_is_a_hint_when_the_peer_stays_silent() {
    let mut client = Peer::new(Role::Client);
    client.session.start(std::time::Instant::now());
    let mut pair = Pair::new(client, Peer::new(Role::Server), Network { loss_percent: 100, ..Network::perfect() });
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    pair.peers[0].session.handle_datagram(pair.now, &alert);
    pair.run();
    let failure = pair.peers[0].failure.clone().expect("given up");
    assert_eq!(failure.to_string(), "handshake timed out, after alert 40 (handshake failure)");
}

#[test]
fn closing_is_told_to_the_peer() {
    let mut pair = Pair::introduced(Network::perfect());
    pair.run();
    pair.peers[0].session.close();
    pair.run();
    assert!(pair.peers[1].is_closed && !pair.peers[1].session.is_connected());
    pair.peers[0].session.close();
    assert_eq!(pair.peers[0].drain().len(), 0);
}

#[test]
fn what_comes_after_the_keys_changes_nothing() {
    let mut pair = Pair::introduced(Network::perfect());
    let now = pair.now;
    let mut seen = Vec::new();
    for _ in 0..6 {
        for sender in [0, 1] {
            for datagram in pair.peers[sender].drain() {
                pair.peers[1 - sender].session.handle_datagram(now, &datagram);
                seen.push(datagram);
            }
        }
    }
    pair.assert_agreed();
    let mut stranger = Peer::new(Role::Client);
    stranger.session.start(now);
    seen.extend(stranger.drain());
    seen.push(vec![21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40]);
    seen.push(vec![23, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40]);
    for datagram in &seen {
        for peer in &mut pair.peers {
            peer.session.handle_datagram(now, datagram);
            assert!(peer.session.is_connected());
        }
    }
    assert!(pair.peers.iter().all(|peer| peer.session.poll_timeout().is_none()));
}

#[test]
fn nothing_is_verified_when_the_configuration_says_so() {
    let mut trusting = config();
    trusting.verify = Verify { fingerprint: false, certificate: false };
    let (client, server) = (Peer::with(Role::Client, trusting.clone()), Peer::with(Role::Server, trusting));
    let mut pair = Pair::new(client, server, Network::perfect());
    pair.start();
    pair.run();
    pair.assert_agreed();
}

#[test]
fn a_certificate_that_nobody_vouches_for_fails_where_that_is_asked() {
    let mut strict = config();
    strict.verify = Verify { fingerprint: true, certificate: true };
    let mut pair = introduced(Peer::new(Role::Client), Peer::with(Role::Server, strict));
    pair.run();
    assert!(matches!(pair.peers[1].failure, Some(Failure::CertificateNotTrusted(_))), "{:?}", pair.peers[1].failure);
}

/// One of each kind of record protection.
const CIPHERS: [&str; 3] = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-SHA"];

fn introduced(client: Peer, server: Peer) -> Pair {
    introduced_over(Network::perfect(), client, server)
}

fn introduced_over(network: Network, mut client: Peer, mut server: Peer) -> Pair {
    client.expect_peer(&server, HashFunction::Sha256);
    server.expect_peer(&client, HashFunction::Sha256);
    let mut pair = Pair::new(client, server, network);
    pair.start();
    pair
}

proptest::proptest! {
    #[test]
    fn any_datagram_is_filtered(input in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        dtls_srtp::fuzzing::records(&input);
    }

    #[test]
    fn any_operations_lead_to_the_same_keys_or_none(input in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        dtls_srtp::fuzzing::session(&input);
    }

    #[test]
    fn a_stranger_neither_gets_keys_nor_keeps_the_peer_out(input in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..400)) {
        dtls_srtp::fuzzing::association(&input);
    }
}
