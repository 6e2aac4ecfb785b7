//! The STUN server, which is asked once more, and the TURN servers, whose state is known.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use ice::gather::mapping::{Event, Mapping, REQUEST_LEN};
use story::verdict::turn_advice;

use super::step::Step;
use crate::clock;
use crate::config::Settings;
use crate::gathering;
use crate::globals::Globals;

/// Asks the STUN server from the addresses that browsers are told, until `end`.
pub fn stun(globals: &Globals, settings: &Settings, found: &[IpAddr], end: Instant) -> Step {
    const NAME: &str = "STUN server";
    let Some(server) = &settings.gathering.stun else {
        return Step::not_tried(
            NAME,
            "rtp.conf has no stunaddr; behind a NAT browsers need it, or ice_external_address",
        );
    };
    if !settings.ice {
        return Step::not_tried(NAME, "icesupport is off in rtp.conf");
    }
    let known = until(end, || Some(globals.gatherer().known()).filter(|known| !known.servers.is_empty()));
    let servers = known.map(|known| known.servers.clone()).unwrap_or_default();
    let stun_from = &settings.gathering.stun_from;
    let asked: Vec<_> = found
        .iter()
        .filter(|ip| stun_from.allows(**ip))
        .filter_map(|ip| Some((*ip, *servers.iter().find(|server| server.is_ipv4() == ip.is_ipv4())?)))
        .collect();
    let result = match (servers.is_empty(), asked.as_slice()) {
        (true, _) => {
            let trouble = globals.gatherer().trouble();
            Err(trouble.unwrap_or_else(|| format!("server {server} (stunaddr): its name has no address yet")))
        }
        (_, []) => {
            Err("it may be asked from no address of this machine; see stun_permit, stun_deny and stun_acl".to_owned())
        }
        (_, asked) => ask_all(asked, end).map_err(|why| format!("server {server} (stunaddr): {why}")),
    };
    Step::of(
        NAME,
        result.map_err(|why| format!("{why}; correct stunaddr in rtp.conf, or let UDP to it through the firewall")),
    )
}

/// Asks from each address at once. Returns the mapped addresses, or why there is none.
fn ask_all(asked: &[(IpAddr, SocketAddr)], end: Instant) -> Result<String, String> {
    let mut asking: Vec<_> = asked.iter().map(|(ip, server)| Asking::new(*ip, *server)).collect();
    until(end, || {
        asking.iter_mut().for_each(Asking::drive);
        asking.iter().all(|asking| asking.outcome.is_some()).then_some(())
    });
    let mapped: Vec<_> = asking.iter().filter_map(Asking::mapped).collect();
    if mapped.is_empty() {
        let outcome = asking.into_iter().find_map(|asking| asking.outcome);
        return Err(outcome.and_then(Result::err).unwrap_or_else(|| "it does not answer".to_owned()));
    }
    Ok(mapped.join(", "))
}

/// One request from one address.
struct Asking {
    ip: IpAddr,
    mapping: Mapping,
    socket: io::Result<UdpSocket>,
    outcome: Option<Result<SocketAddr, String>>,
}

impl Asking {
    fn new(ip: IpAddr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.connect(server)?;
            Ok(socket)
        });
        let outcome = socket.as_ref().err().map(|error| Err(format!("it cannot be asked from {ip}: {error}")));
        let mapping = Mapping::new(clock::now(), server, Duration::from_secs(60), gathering::random());
        Self { ip, mapping, socket, outcome }
    }

    fn drive(&mut self) {
        let (Ok(socket), None) = (&self.socket, &self.outcome) else { return };
        let (now, mut datagram) = (clock::now(), [0; 1500]);
        match socket.recv(&mut datagram) {
            Ok(len) => {
                let server = self.mapping.server();
                // A datagram that is no answer is left alone.
                let _ = self.mapping.handle_datagram(now, server, datagram.get(..len).unwrap_or_default());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.mapping.handle_unreachable(now),
        }
        self.mapping.handle_timeout(now);
        let mut request = [0; REQUEST_LEN];
        while let Some(len) = self.mapping.poll_transmit(&mut request) {
            if socket.send(request.get(..len).unwrap_or_default()).is_err() {
                self.mapping.handle_unreachable(now);
            }
        }
        self.outcome = self.mapping.poll_event().map(|event| match event {
            Event::Mapped(address) => Ok(address),
            Event::Failed(failure) => Err(failure.to_string()),
        });
    }

    fn mapped(&self) -> Option<String> {
        match &self.outcome {
            Some(Ok(address)) => Some(format!("{} is {} to the outside", self.ip, address.ip())),
            _ => None,
        }
    }
}

/// Judges the TURN servers by the allocations that are kept ready. Waits for the first one until `end`.
pub fn turn(globals: &Globals, settings: &Settings, end: Instant) -> Step {
    const NAME: &str = "TURN server";
    if !settings.relays.are_wanted() {
        return Step::not_tried(NAME, "rtp.conf has no turnaddr");
    }
    if !settings.ice {
        return Step::not_tried(NAME, "icesupport is off in rtp.conf");
    }
    let relays = globals.relays();
    // Calls may have taken the allocations that were ready.
    let settled = until(end, || {
        let measured = relays.measured();
        let works = measured.ready > 0 || measured.served > 0 && relays.trouble().is_none();
        works.then_some(Ok(measured.ready)).or_else(|| relays.trouble().map(Err))
    });
    Step::of(NAME, judge_turn(settled))
}

fn judge_turn(settled: Option<Result<usize, String>>) -> Result<String, String> {
    match settled {
        Some(Ok(ready)) => Ok(format!("{ready} relayed addresses are ready")),
        Some(Err(trouble)) => Err(format!("{trouble}; {}", turn_advice(&trouble))),
        None => Err(format!("no server has answered yet; {}", turn_advice(""))),
    }
}

/// Looks again and again, until there is something or `end` has come.
fn until<T>(end: Instant, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        let found = look();
        if found.is_some() || Instant::now() >= end {
            return found;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn end() -> Instant {
        Instant::now() + Duration::from_millis(600)
    }

    #[test]
    fn a_server_that_is_silent_or_not_there_is_told_apart() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let silent = UdpSocket::bind((ip, 0)).unwrap();
        let address = silent.local_addr().unwrap();
        assert_eq!(ask_all(&[(ip, address)], end()), Err("it does not answer".to_owned()));
        drop(silent);
        let nobody = ask_all(&[(ip, address)], end()).unwrap_err();
        assert_eq!(nobody, "nobody listens there, or no route leads there");
    }

    #[test]
    fn turn_is_judged_with_the_key_to_change() {
        assert_eq!(judge_turn(Some(Ok(2))).unwrap(), "2 relayed addresses are ready");
        let refused = judge_turn(Some(Err("turn:192.0.2.1:3478: error 401 (wrong username or password)".to_owned())))
            .unwrap_err();
        assert!(refused.contains("correct turnusername and turnpassword (or turnsecret) in rtp.conf"), "{refused}");
        assert!(judge_turn(None).unwrap_err().ends_with("correct turnaddr in rtp.conf"));
    }
}
