//! The peer is aioice (Python), over real sockets on loopback. `AIOICE_PYTHON` names a Python that has it; without,
//! the tests say so and are skipped.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ice::{Agent, Candidate, CandidateKind, Component, Config, Credentials, Event, Path, Role};

struct Call {
    agent: Agent,
    sockets: Vec<(Component, UdpSocket)>,
    python: Child,
    lines: Receiver<String>,
    events: Vec<Event>,
    media: Vec<(Component, Vec<u8>)>,
    /// So the peer says.
    connected: bool,
}

impl Call {
    fn new(role: Role, ours: u8, theirs: u8) -> Option<Self> {
        let Some(python) = std::env::var_os("AIOICE_PYTHON") else {
            eprintln!("skipped: AIOICE_PYTHON does not name a Python with aioice");
            return None;
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/aioice_peer.py");
        let mut python = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, lines) = channel();
        let stdout = BufReader::new(python.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        let peer_role = if role == Role::Controlling { "controlled" } else { "controlling" };
        writeln!(python.stdin.as_mut().unwrap(), "{peer_role} {theirs}").unwrap();

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
        Some(Self { agent, sockets, python, lines, events: Vec::new(), media: Vec::new(), connected: false })
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
        let stdin = self.python.stdin.as_mut().unwrap();
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

    /// Media there and back over the selected pair.
    fn echo(&mut self, component: Component) -> bool {
        self.media.clear();
        let path = self.agent.selected(component).unwrap();
        self.send(path, b"\x80media");
        self.run_until(Duration::from_secs(3), |call| call.media.contains(&(component, b"\x80media".to_vec())))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let _ = self.python.kill(); // it may have ended already
        let _ = self.python.wait();
    }
}

#[test]
fn aioice_in_either_role_with_both_components() {
    for role in [Role::Controlling, Role::Controlled] {
        let Some(mut call) = Call::new(role, 2, 2) else { return };
        call.signal();
        let start = Instant::now();
        let both = |call: &Call| Component::ALL.iter().all(|component| call.agent.selected(*component).is_some());
        assert!(call.run_until(Duration::from_secs(10), both), "{role:?} {:?}", call.agent.counters());
        assert!(call.run_until(Duration::from_secs(10), |call| call.connected), "{role:?}");
        println!("{role:?}: connected after {:?}", start.elapsed());
        assert!(call.echo(Component::Rtp) && call.echo(Component::Rtcp), "{role:?}");
        assert_eq!(call.events.len(), 2);
    }
}

#[test]
fn aioice_that_knows_one_component_keeps_its_call() {
    for role in [Role::Controlling, Role::Controlled] {
        let Some(mut call) = Call::new(role, 2, 1) else { return };
        call.signal();
        let first = |call: &Call| call.agent.selected(Component::Rtp).is_some();
        assert!(call.run_until(Duration::from_secs(10), first), "{role:?}");
        assert!(call.run_until(Duration::from_secs(10), |call| call.connected), "{role:?}");
        call.run_until(Duration::from_secs(14), |_| false); // two rounds of consent both ways
        assert!(call.echo(Component::Rtp), "{role:?}");
        assert_eq!(call.agent.counters().bad_integrity, 0);
        assert!(call.agent.counters().responses >= 3);
    }
}
