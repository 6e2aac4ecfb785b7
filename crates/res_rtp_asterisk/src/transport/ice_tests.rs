use std::time::Duration;

use super::*;

fn side() -> IceSide {
    let sockets = Pair::bind("127.0.0.1".parse().unwrap(), (30_000, 39_999), std::process::id(), true).unwrap();
    IceSide::new(&sockets, &Gathering::default(), &Known::default())
}

fn hears(side: &mut IceSide, ufrag: &str) {
    side.set_authentication(Some(ufrag), None);
    side.set_authentication(None, Some("a-password-of-22-letters"));
}

fn ufrag(side: &mut IceSide) -> String {
    side.describe(Instant::now());
    side.agent.local_credentials().ufrag.clone()
}

#[test]
fn an_unchanged_description_on_hold_is_no_restart() {
    let mut side = side();
    hears(&mut side, "peer");
    let first = ufrag(&mut side);
    side.start(Instant::now());
    hears(&mut side, "peer");
    assert_eq!(ufrag(&mut side), first);
    side.start(Instant::now());
    assert_eq!(ufrag(&mut side), first);
}

#[test]
fn a_changed_ufrag_is_joined_once_whether_the_host_starts_before_or_after_it_prints() {
    for starts_first in [false, true] {
        let mut side = side();
        hears(&mut side, "peer");
        let first = ufrag(&mut side);
        side.start(Instant::now());
        hears(&mut side, "anew");
        if starts_first {
            side.start(Instant::now());
        }
        let second = ufrag(&mut side);
        assert_ne!(second, first);
        side.start(Instant::now());
        assert_eq!(ufrag(&mut side), second);
        assert_eq!(side.agent.remote_credentials().unwrap().ufrag, "anew");
    }
}

#[test]
fn rfc8445_section_6_1_1_who_offers_controls_where_the_host_does_not_say() {
    let mut offering = side();
    ufrag(&mut offering);
    assert_eq!(offering.agent.role(), Role::Controlling);
    let mut answering = side();
    hears(&mut answering, "peer");
    ufrag(&mut answering);
    assert_eq!(answering.agent.role(), Role::Controlled);
}

#[test]
fn a_lite_peer_is_controlled_whatever_the_host_says() {
    let mut side = side();
    side.set_remote_lite();
    side.set_role(Role::Controlled);
    assert_eq!(side.agent.role(), Role::Controlling);
}

fn signalled(address: &str, ufrag: Option<&str>) -> Signalled {
    let ufrag = ufrag.map(|ufrag| format!(" ufrag {ufrag}")).unwrap_or_default();
    format!("candidate:1 1 udp 2122260223 {address} 40000 typ host{ufrag}").parse().unwrap()
}

#[test]
fn rfc8838_section_11_a_candidate_after_the_start_reaches_the_agent_at_the_next_timeout() {
    let (mut side, now) = (side(), Instant::now());
    hears(&mut side, "peer");
    side.start(now);
    assert_eq!(side.handle_trickled(now, signalled("127.0.0.1", Some("peer"))), Trickled::Taken);
    assert_eq!(side.poll_timeout(), Some(now));
    assert!(side.handle_timeout(now));
    assert_eq!(side.agent.remote_candidates().len(), 1);
    // The sessions of other tests may have booked the next slots for checks.
    side.handle_timeout(now + Duration::from_secs(1));
    assert!(side.poll_transmit(&mut [0; ::ice::MAX_DATAGRAM]).is_some(), "a check of the new pair");
}

#[test]
fn a_candidate_before_the_start_waits_for_it() {
    let (mut side, now) = (side(), Instant::now());
    assert_eq!(side.handle_trickled(now, signalled("127.0.0.1", None)), Trickled::Taken);
    assert_eq!(side.poll_timeout(), None);
    hears(&mut side, "peer");
    side.start(now);
    assert_eq!(side.agent.remote_candidates().len(), 1);
}

#[test]
fn rfc8838_section_12_candidates_of_another_generation_are_not_used() {
    let (mut side, now) = (side(), Instant::now());
    hears(&mut side, "peer");
    side.start(now);
    side.handle_trickled(now, signalled("127.0.0.1", Some("peer")));
    side.handle_end_of_candidates();
    hears(&mut side, "anew");
    ufrag(&mut side);
    assert_eq!(side.handle_trickled(now, signalled("127.0.0.2", Some("peer"))), Trickled::OtherGeneration);
    side.start(now);
    side.handle_timeout(now);
    assert_eq!(side.agent.remote_candidates(), []);
    assert!(!side.has_all_candidates());
    assert_eq!(side.handle_trickled(now, signalled("127.0.0.3", Some("anew"))), Trickled::Taken);
    side.handle_timeout(now);
    assert_eq!(side.agent.remote_candidates().len(), 1);
    assert_eq!(side.ignored_candidates(), 1);
}

#[test]
fn a_flood_of_candidates_is_bounded() {
    let (mut side, now) = (side(), Instant::now());
    hears(&mut side, "peer");
    side.start(now);
    let flood = (0..200).map(|last| side.handle_trickled(now, signalled(&format!("192.0.2.{last}"), None)));
    assert_eq!(flood.filter(|outcome| *outcome == Trickled::Taken).count(), MAX_REMOTE_CANDIDATES);
    assert_eq!(side.ignored_candidates(), 200 - MAX_REMOTE_CANDIDATES as u64);
}

#[test]
fn an_ipv6_address_that_chan_sip_could_not_read_is_taken_from_the_foundation() {
    let mut side = side();
    let foundation = ::ice::carried::encode("2001:db8::1", "1").unwrap();
    let mut candidate = signalled("192.0.0.8", None).candidate;
    candidate.foundation = foundation;
    side.add_remote_candidate(Instant::now(), Signalled::uncarried(candidate));
    hears(&mut side, "peer");
    side.start(Instant::now());
    assert_eq!(side.agent.remote_candidates()[0].addr, "[2001:db8::1]:40000".parse().unwrap());
}

#[test]
fn a_candidate_with_a_name_is_asked_for_and_reaches_nobody_until_there_is_an_answer() {
    let (mut side, now) = (side(), Instant::now());
    hears(&mut side, "peer");
    side.start(now);
    assert!(!side.is_looking_up() && side.poll_query(&mut [0; 128]).is_none());
    assert_eq!(side.handle_trickled(now, signalled("phone.local", None)), Trickled::Taken);
    side.handle_timeout(now);
    assert!(side.poll_query(&mut [0; 128]).is_some() && side.is_looking_up());
    assert_eq!(side.agent.remote_candidates(), []);
}

/// Exchanges datagrams with a peer at `address` that nominates, until the side has selected a pair.
fn connect(side: &mut IceSide, now: Instant, address: SocketAddr) {
    let credentials = Credentials { ufrag: "peer".into(), password: "a-password-of-22-letters".into() };
    let mut config = Config::new(Role::Controlling, 1, credentials, [7; 32]);
    config.components = 1;
    let mut peer = Agent::new(config);
    peer.add_local_candidate(Component::Rtp, address);
    peer.set_remote_credentials(now, side.agent.local_credentials().clone());
    side.agent.local_candidates().iter().for_each(|own| peer.add_remote_candidate(now, own.clone()));
    peer.start(now);
    let mut buffer = [0; ::ice::MAX_DATAGRAM];
    for round in 0..20 {
        let now = now + Duration::from_millis(50 * round);
        while let Some(Transmit { path, len, .. }) = peer.poll_transmit(&mut buffer) {
            let received = Received { len, from: path.local, to: path.remote };
            // A check of the second component is of no use to this peer.
            let _ = side.handle_stun(now, Component::Rtp, &received, &buffer[..len]);
        }
        while let Some(Transmit { path, len, .. }) = side.poll_transmit(&mut buffer) {
            let path = Path { component: path.component, local: path.remote, remote: path.local };
            let _ = peer.handle_stun(now, path, &buffer[..len]);
        }
        side.handle_timeout(now);
        peer.handle_timeout(now);
    }
    assert_eq!(side.agent.selected(Component::Rtp).map(|path| path.remote), Some(address));
}

#[test]
fn the_names_of_an_ice_restart_are_asked_for_though_the_pair_from_before_is_in_use() {
    let (mut side, now) = (side(), Instant::now());
    hears(&mut side, "peer");
    side.start(now);
    connect(&mut side, now, "127.0.0.1:40000".parse().unwrap());
    let now = now + Duration::from_secs(2);
    side.handle_trickled(now, signalled("late.local", None));
    side.handle_timeout(now);
    assert!(!side.is_looking_up(), "the peer has been found without the name");
    hears(&mut side, "anew");
    side.add_remote_candidate(now, signalled("phone.local", None));
    side.handle_timeout(now);
    assert!(side.is_looking_up(), "before the host starts");
    side.start(now);
    side.handle_timeout(now);
    assert!(side.agent.selected(Component::Rtp).is_some() && side.is_looking_up());
    assert!(side.poll_query(&mut [0; 128]).is_some());
}

#[test]
fn half_of_the_credentials_is_no_ice() {
    let mut side = side();
    side.set_authentication(Some("peer"), None);
    side.start(Instant::now());
    assert!(!side.is_active());
    side.set_authentication(None, Some("a-password-of-22-letters"));
    assert!(side.is_active(), "checked pairs alone count from here on, though no check was sent yet");
}
