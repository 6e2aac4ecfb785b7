//! Bodies of the fuzz targets, here so that they keep compiling; `tests/fuzz` calls them. They panic when a promise of the crate is
//! broken.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::{Allocation, Config, Credentials, Event, Frames, MAX_DATAGRAM, Sending, Transport};

/// Runs a client against a server that sends what it likes. Each operation is a byte that says what happens, a byte that says how,
/// and for a datagram of the server's its bytes.
///
/// A peer's data lies inside its datagram, the client does not spin, and once it has failed or is released it does nothing more.
pub fn server(operations: &[u8]) {
    let transport =
        if operations.first().is_some_and(|first| first & 1 == 1) { Transport::Stream } else { Transport::Datagram };
    let mut world = World::new(transport);
    let mut rest = operations.get(1..).unwrap_or_default();
    while let [what, how, following @ ..] = rest {
        rest = world.operate(*what, *how, following);
        world.settle();
    }
}

struct World {
    now: Instant,
    allocation: Allocation,
    frames: Option<Frames>,
    /// The transaction id of the client's last request, which a server would copy.
    asked: [u8; 12],
    is_over: bool,
}

impl World {
    fn new(transport: Transport) -> Self {
        let now = Instant::now();
        let address = |last, port| SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), port));
        let credentials = Credentials { username: "pbx".into(), password: "secret".into() };
        let config = Config { local: address(1, 4000), server: address(2, 3478), transport, credentials };
        let frames = (transport == Transport::Stream).then(Frames::default);
        let mut world = Self { now, allocation: Allocation::new(now, config), frames, asked: [0; 12], is_over: false };
        world.settle();
        world
    }

    /// Returns the operations that follow.
    fn operate<'a>(&mut self, what: u8, how: u8, following: &'a [u8]) -> &'a [u8] {
        match what % 5 {
            0 => self.pass(Duration::from_millis(u64::from(how) * 40)),
            1 => self.pass(Duration::from_secs(u64::from(how) * 10)),
            2 => self.send(how),
            3 if how == 0 => self.allocation.release(self.now),
            3 => self.allocation.bind_channel(self.now, peer(how)),
            _ => {
                let (datagram, rest) = following.split_at(usize::from(how).min(following.len()));
                self.receive(datagram, what & 0x80 != 0);
                return rest;
            }
        }
        following
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.allocation.handle_timeout(self.now);
    }

    fn send(&mut self, how: u8) {
        let mut buffer = [0; MAX_DATAGRAM];
        let data = vec![how; usize::from(how) * 9];
        if let Sending::Written(len) = self.allocation.send(self.now, peer(how), &data, &mut buffer) {
            assert!(len >= data.len() + 4 && !self.is_over);
        }
    }

    fn receive(&mut self, datagram: &[u8], answers: bool) {
        let mut datagram = datagram.to_vec();
        if let Some(id) = datagram.get_mut(8..20).filter(|_| answers) {
            id.copy_from_slice(&self.asked);
        }
        let Some(frames) = &mut self.frames else { return self.receive_frame(&datagram) };
        frames.handle_octets(&datagram);
        let mut buffer = [0; 512];
        loop {
            match self.frames.as_mut().map(|frames| frames.poll_frame(&mut buffer)) {
                Some(Ok(Some(len))) => self.receive_frame(&buffer[..len]),
                Some(Err(_)) => self.frames = Some(Frames::default()),
                _ => break,
            }
        }
        assert!(self.frames.as_ref().is_none_or(|frames| frames.kept() < 1 << 17));
    }

    fn receive_frame(&mut self, frame: &[u8]) {
        if let Some(relayed) = self.allocation.handle_datagram(self.now, frame) {
            assert!(frame.get(relayed.data).is_some() && !self.is_over);
        }
    }

    /// Takes everything out that there is to take.
    fn settle(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        for round in 0.. {
            assert!(round < 200, "it sends for ever");
            let Some(len) = self.allocation.poll_transmit(&mut buffer) else { break };
            assert!(!self.is_over);
            if let [0, _, _, _, _, _, _, _, id @ ..] = &buffer[..len] {
                self.asked.copy_from_slice(&id[..12]);
            }
        }
        for event in std::iter::from_fn(|| self.allocation.poll_event()) {
            assert!(!self.is_over, "{event:?} after the end");
            self.is_over = matches!(event, Event::Failed(_) | Event::Released);
        }
        let next = self.allocation.poll_timeout();
        assert_eq!(next.is_none(), self.is_over);
        assert!(next.is_none_or(|next| next > self.now), "it spins");
    }
}

fn peer(how: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(198, 51, 100, how), 6000 + u16::from(how)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_server_may_send_what_it_likes(operations in prop::collection::vec(any::<u8>(), 0..400)) {
            super::server(&operations);
        }
    }
}
