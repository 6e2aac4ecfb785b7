//! Interoperability with `is`, the ICE agent of str0m: component 1 only, trickle ICE, repeated nomination.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ice::{Agent, Candidate, CandidateKind, Component, Config, Credentials, Event, Path, Role};
use is::stun::{StunMessage, StunPacket};
use is::{IceAgent, IceAgentEvent, IceCreds, Protocol};

struct Call {
    ours: Agent,
    theirs: IceAgent,
    now: Instant,
    events: Vec<Event>,
    nominated: Option<SocketAddr>,
    drop_every: usize,
    count: usize,
}

const OURS: &str = "192.0.2.1:10000";
const THEIRS: &str = "198.51.100.1:20000";

impl Call {
    fn new(role: Role, components: u8, drop_every: usize) -> Self {
        let now = Instant::now();
        let mut config = Config::new(role, 0x1234, Credentials::from_random(&[3; 32]), [4; 32]);
        config.components = components;
        let mut ours = Agent::new(config);
        ours.add_local_candidate(Component::Rtp, addr(OURS));
        ours.add_local_candidate(Component::Rtcp, addr("192.0.2.1:10001"));
        let mut theirs = IceAgent::new(IceCreds { ufrag: "theirs".into(), pass: "the password of theirs".into() });
        theirs.add_local_candidate(is::Candidate::host(addr(THEIRS), "udp").unwrap());
        theirs.set_controlling(role == Role::Controlled);
        Self { ours, theirs, now, events: Vec::new(), nominated: None, drop_every, count: 0 }
    }

    fn signal(&mut self) {
        let Credentials { ufrag, password } = self.ours.local_credentials().clone();
        self.theirs.set_remote_credentials(IceCreds { ufrag, pass: password });
        self.theirs.add_remote_candidate(is::Candidate::host(addr(OURS), "udp").unwrap());
        let IceCreds { ufrag, pass } = self.theirs.local_credentials().clone();
        self.ours.set_remote_credentials(self.now, Credentials { ufrag, password: pass });
        let (kind, component) = (CandidateKind::Host, Component::Rtp);
        let priority = self.theirs.local_candidates().next().unwrap().prio();
        let candidate =
            Candidate { foundation: "1".into(), component, priority, addr: addr(THEIRS), kind, related: None };
        self.ours.add_remote_candidate(self.now, candidate);
        self.ours.start(self.now);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.theirs.handle_timeout(self.now); // it sets its first timer only here
        while self.now < end {
            self.exchange();
            let next = [self.ours.poll_timeout(), self.theirs.poll_timeout()].into_iter().flatten().min();
            self.now = next.map_or(end, |next| next.clamp(self.now + Duration::from_millis(1), end));
            self.ours.handle_timeout(self.now);
            self.theirs.handle_timeout(self.now);
        }
        self.exchange();
    }

    fn exchange(&mut self) {
        let mut buf = [0; ice::MAX_DATAGRAM];
        loop {
            let mut moved = false;
            while let Some(transmit) = self.ours.poll_transmit(&mut buf) {
                moved = true;
                if self.is_lost() {
                    continue;
                }
                let (source, destination) = (transmit.path.local, transmit.path.remote);
                let message = StunMessage::parse(&buf[..transmit.len]).unwrap();
                self.theirs.handle_packet(self.now, StunPacket { proto: Protocol::Udp, source, destination, message });
            }
            while let Some(transmit) = self.theirs.poll_transmit() {
                moved = true;
                if self.is_lost() {
                    continue;
                }
                let path = Path { component: Component::Rtp, local: transmit.destination, remote: transmit.source };
                self.ours.handle_stun(self.now, path, &transmit.contents).unwrap();
            }
            self.collect();
            if !moved {
                return;
            }
        }
    }

    fn collect(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.ours.poll_event()));
        while let Some(event) = self.theirs.poll_event() {
            if let IceAgentEvent::NominatedSend { destination, .. } = event {
                self.nominated = Some(destination);
            }
        }
    }

    fn is_lost(&mut self) -> bool {
        self.count += 1;
        self.drop_every != 0 && self.count.is_multiple_of(self.drop_every)
    }

    fn agree(&self) -> bool {
        let path = Path { component: Component::Rtp, local: addr(OURS), remote: addr(THEIRS) };
        self.ours.selected(Component::Rtp) == Some(path) && self.nominated == Some(addr(OURS))
    }
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn we_nominate_and_is_follows() {
    let mut call = Call::new(Role::Controlling, 1, 0);
    call.signal();
    call.run(Duration::from_millis(500));
    assert!(call.agree());
}

#[test]
fn is_nominates_and_we_follow() {
    let mut call = Call::new(Role::Controlled, 1, 0);
    call.signal();
    call.run(Duration::from_millis(500));
    assert!(call.agree());
}

#[test]
fn is_knows_no_second_component_and_the_first_does_not_care() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut call = Call::new(role, 2, 0);
        call.signal();
        call.run(Duration::from_secs(60));
        assert!(call.agree());
        assert!(call.events.contains(&Event::ComponentFailed { component: Component::Rtcp }));
        assert_eq!(call.events.len(), 2);
    }
}

#[test]
fn both_keep_their_consent_for_ten_minutes() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut call = Call::new(role, 1, 7);
        call.signal();
        call.run(Duration::from_secs(600));
        assert!(call.agree() && call.theirs.state().is_connected());
        assert_eq!(call.events.len(), 1);
        assert_eq!(call.ours.counters().bad_integrity, 0);
    }
}

#[test]
fn a_role_conflict_with_is_is_settled() {
    for role in [Role::Controlling, Role::Controlled] {
        for tie_breaker in [1, u64::MAX] {
            let mut call = Call::new(role, 1, 0);
            call.theirs.set_controlling(role == Role::Controlling);
            call.theirs.set_control_tie_breaker(tie_breaker);
            call.signal();
            call.run(Duration::from_secs(5));
            assert!(call.agree(), "{role:?} {tie_breaker}");
            assert_eq!(call.theirs.controlling(), call.ours.role() == Role::Controlled);
        }
    }
}

#[test]
fn is_restarts_and_we_go_along() {
    let mut call = Call::new(Role::Controlled, 1, 0);
    call.signal();
    call.run(Duration::from_secs(3));
    call.events.clear();
    call.theirs.ice_restart(IceCreds { ufrag: "again".into(), pass: "another password of theirs".into() }, true);
    call.nominated = None;
    call.ours.restart(call.now, Credentials::from_random(&[5; 32]));
    assert!(call.ours.selected(Component::Rtp).is_some());
    call.signal();
    call.run(Duration::from_secs(3));
    assert!(call.agree());
    assert_eq!(call.events.len(), 1);
}

#[test]
fn we_are_controlling_when_is_is_lite() {
    let mut call = Call::new(Role::Controlling, 1, 0);
    call.theirs.set_ice_lite(true);
    call.ours.set_remote_lite(true);
    call.signal();
    call.run(Duration::from_secs(3));
    assert!(call.agree());
}
