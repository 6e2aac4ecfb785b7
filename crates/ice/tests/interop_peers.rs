//! Interoperability with other ICE implementations, over sockets on loopback: aioice (`AIOICE_PYTHON` names a
//! Python that has it) and pjnath (`PJNATH_PEER` names the compiled `peers/pjnath_peer.c`).
//!
//! Both have to be installed by hand, so these tests run only on request and use the peers that they find:
//! `cargo test --package ice --test interop_peers -- --ignored`.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ice::{Agent, Candidate, CandidateKind, Component, Config, Credentials, Event, Path, Role};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Aioice,
    PjnathAggressive,
    PjnathRegular,
}

impl Peer {
    const ALL: [Self; 3] = [Self::Aioice, Self::PjnathAggressive, Self::PjnathRegular];

    fn command(self) -> Option<Command> {
        let variable = if self == Self::Aioice { "AIOICE_PYTHON" } else { "PJNATH_PEER" };
        let Some(program) = std::env::var_os(variable) else {
            eprintln!("skipped: {variable} is not set");
            return None;
        };
        let mut command = Command::new(program);
        if self == Self::Aioice {
            command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/aioice_peer.py"));
        }
        Some(command)
    }
}

/// One call with every installed peer in either role.
fn calls(ours: u8, theirs: u8) -> impl Iterator<Item = (Peer, Call)> {
    let roles = |peer| [Role::Controlling, Role::Controlled].map(|role| (peer, role));
    let peers: Vec<Peer> = Peer::ALL.into_iter().filter(|peer| peer.command().is_some()).collect();
    assert!(!peers.is_empty(), "neither AIOICE_PYTHON nor PJNATH_PEER names a peer");
    let calls = peers.into_iter().flat_map(roles);
    calls.filter_map(move |(peer, role)| Some((peer, Call::new(peer, role, ours, theirs)?)))
}

struct Call {
    agent: Agent,
    sockets: Vec<(Component, UdpSocket)>,
    process: Child,
    lines: Receiver<String>,
    events: Vec<Event>,
    media: Vec<(Component, Vec<u8>)>,
    /// Whether the peer has reported that it is connected.
    connected: bool,
}

impl Call {
    fn new(peer: Peer, role: Role, ours: u8, theirs: u8) -> Option<Self> {
        let mut command = peer.command()?;
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, lines) = channel();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        let peer_role = if role == Role::Controlling { "controlled" } else { "controlling" };
        let nomination = if peer == Peer::PjnathRegular { "regular" } else { "aggressive" };
        writeln!(process.stdin.as_mut().unwrap(), "{peer_role} {theirs} {nomination}").unwrap();

        let mut config = Config::new(role, 0x1234, Credentials::from_random(&[3; 32]), [4; 32]);
        config.components = ours;
        let mut agent = Agent::new(config);
        let mut sockets = Vec::new();
        for component in Component::ALL.into_iter().take(ours.into()) {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
            agent.add_local_candidate(component, socket.local_addr().unwrap());
            sockets.push((component, socket));
        }
        Some(Self { agent, sockets, process, lines, events: Vec::new(), media: Vec::new(), connected: false })
    }

    fn signal(&mut self) {
        let mut description = Vec::new();
        let Credentials { ufrag, password } = self.agent.local_credentials();
        description.push(format!("credentials {ufrag} {password}"));
        for Candidate { foundation, component, priority, addr, kind, .. } in self.agent.local_candidates() {
            let (id, ip, port, kind) = (component.id(), addr.ip(), addr.port(), kind.signalled());
            description.push(format!("candidate {foundation} {id} udp {priority} {ip} {port} typ {kind}"));
        }
        description.push("end".into());
        let stdin = self.process.stdin.as_mut().unwrap();
        description.iter().for_each(|line| writeln!(stdin, "{line}").unwrap());
        while let Some(line) = self.lines.recv().ok().filter(|line| line != "end") {
            self.read(&line);
        }
        self.agent.start(Instant::now());
    }

    fn read(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["credentials", ufrag, password] => {
                let credentials = Credentials { ufrag: ufrag.into(), password: password.into() };
                self.agent.set_remote_credentials(Instant::now(), credentials);
            }
            ["candidate", foundation, component, _, priority, ip, port, _, kind, ..] => {
                let candidate = Candidate {
                    foundation: foundation.into(),
                    component: Component::from_id(component.parse().unwrap()).unwrap(),
                    priority: priority.parse().unwrap(),
                    addr: SocketAddr::new(ip.parse().unwrap(), port.parse().unwrap()),
                    kind: CandidateKind::from_signalled(kind).unwrap(),
                    related: None,
                };
                self.agent.add_remote_candidate(Instant::now(), candidate);
            }
            _ => panic!("{line}"),
        }
    }

    fn run_until(&mut self, time: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = Instant::now() + time;
        while Instant::now() < end && !done(self) {
            self.transmit();
            self.receive();
            if self.agent.poll_timeout().is_some_and(|at| at <= Instant::now()) {
                self.agent.handle_timeout(Instant::now());
            }
            self.connected |= self.lines.try_iter().any(|line| line == "connected");
            self.events.extend(std::iter::from_fn(|| self.agent.poll_event()));
        }
        done(self)
    }

    fn transmit(&mut self) {
        let mut buf = [0; ice::MAX_DATAGRAM];
        while let Some(transmit) = self.agent.poll_transmit(&mut buf) {
            self.send(transmit.path, &buf[..transmit.len]);
        }
    }

    fn send(&self, path: Path, bytes: &[u8]) {
        let socket = self.sockets.iter().find(|(component, _)| *component == path.component);
        socket.unwrap().1.send_to(bytes, path.remote).unwrap();
    }

    fn receive(&mut self) {
        let mut buf = [0; 2048];
        for (component, socket) in &self.sockets {
            let Ok((len, remote)) = socket.recv_from(&mut buf) else { continue };
            let path = Path { component: *component, local: socket.local_addr().unwrap(), remote };
            if buf[0] < 4 {
                self.agent.handle_stun(Instant::now(), path, &buf[..len]).unwrap();
            } else if self.agent.is_valid_path(&path) {
                self.media.push((*component, buf[..len].to_vec()));
            }
        }
    }

    /// Sends media over the selected pair and waits for the peer's echo.
    fn echo(&mut self, component: Component) -> bool {
        self.media.clear();
        let path = self.agent.selected(component).unwrap();
        self.send(path, b"\x80media");
        self.run_until(Duration::from_secs(3), |call| call.media.contains(&(component, b"\x80media".to_vec())))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended already
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "wants AIOICE_PYTHON or PJNATH_PEER"]
fn both_components_come_up_and_carry_media() {
    for (peer, mut call) in calls(2, 2) {
        call.signal();
        let start = Instant::now();
        let both = |call: &Call| Component::ALL.iter().all(|component| call.agent.selected(*component).is_some());
        let role = call.agent.role();
        assert!(call.run_until(Duration::from_secs(10), both), "{peer:?} {role:?} {:?}", call.agent.counters());
        println!("{peer:?}, {role:?}: both selected after {:?}", start.elapsed());
        assert!(call.run_until(Duration::from_secs(10), |call| call.connected), "{peer:?} {role:?}");
        assert!(call.echo(Component::Rtp) && call.echo(Component::Rtcp), "{peer:?} {role:?}");
    }
}

#[test]
#[ignore = "wants AIOICE_PYTHON or PJNATH_PEER"]
fn a_peer_that_knows_one_component_keeps_its_call() {
    for (peer, mut call) in calls(2, 1) {
        call.signal();
        let first = |call: &Call| call.agent.selected(Component::Rtp).is_some();
        let role = call.agent.role();
        assert!(call.run_until(Duration::from_secs(10), first), "{peer:?} {role:?}");
        assert!(call.run_until(Duration::from_secs(10), |call| call.connected), "{peer:?} {role:?}");
        call.run_until(Duration::from_secs(14), |_| false); // two rounds of consent both ways
        assert!(call.echo(Component::Rtp), "{peer:?} {role:?}");
        assert_eq!(call.agent.counters().bad_integrity, 0);
        assert!(call.agent.counters().responses >= 3);
    }
}
