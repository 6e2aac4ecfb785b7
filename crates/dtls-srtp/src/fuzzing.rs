//! The bodies of the fuzz targets, which `tests/fuzz` calls. They are here so that they keep compiling. They panic when
//! a promise of the crate is broken.
#![allow(clippy::disallowed_types, reason = "a fuzzer is a process of its own")]

mod association;

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::record::{Filter, GCM_ALERT_LEN, Phase};
use crate::{
    Certificate, ClientHello, Context, ContextConfig, Event, HashFunction, Keys, MAX_DATAGRAM_LEN, MinVersion, Profile,
    Role, Session, Verify,
};

pub use association::association;

/// Filters the input twice: records that pass once pass again, and nothing is added.
pub fn records(input: &[u8]) {
    let Some((choice, datagram)) = input.split_first() else { return };
    let role = if choice & 1 == 0 { Role::Client } else { Role::Server };
    let phase = if choice & 2 == 0 { Phase::Handshake } else { Phase::Connected(GCM_ALERT_LEN) };
    let once = Filter::default().apply(role, phase, datagram);
    assert!(once.records.len() <= datagram.len());
    let again = Filter::default().apply(role, phase, &once.records);
    assert_eq!(again.records, once.records);
    assert_eq!(again.alert, None);
    if ClientHello::parse(datagram).is_some() {
        let served = Filter::default().apply(Role::Server, Phase::Handshake, datagram);
        assert!(!served.records.is_empty(), "a hello that a session would not take");
    }
}

/// Runs a list of operations on two sessions and the network between them: a byte that says what happens, and one that
/// says how. Whatever a stranger sends, both ends report the same keys, and no event follows the end.
pub fn session(operations: &[u8]) {
    let mut now = Instant::now();
    let mut ends = [End::new(Role::Client), End::new(Role::Server)];
    ends.iter_mut().for_each(|end| end.session.start(now));
    let mut rest = operations;
    while let [operation, how, tail @ ..] = rest {
        rest = tail;
        let to = usize::from(how & 1);
        match operation % 8 {
            0..4 => {
                ends[1 - to].take().into_iter().for_each(|datagram| ends[to].session.handle_datagram(now, &datagram))
            }
            4 => drop(ends[1 - to].take()),
            5 => now += Duration::from_millis(8 * u64::from(*how)),
            6 => {
                let (forged, tail) = tail.split_at(usize::from(how >> 1).min(tail.len()));
                ends[to].session.handle_datagram(now, forged);
                rest = tail;
            }
            _ if *how > 250 => ends[to].session.close(),
            _ => ends[to].repeat(now),
        }
        ends.iter_mut().for_each(|end| end.drain(now));
    }
    if let [End { keys: Some(client), .. }, End { keys: Some(server), .. }] = &ends {
        assert_eq!((&client.local, &client.remote), (&server.remote, &server.local));
    }
}

struct End {
    session: Session,
    keys: Option<Keys>,
    has_ended: bool,
    outbound: VecDeque<Vec<u8>>,
    received: Option<Vec<u8>>,
}

impl End {
    fn new(role: Role) -> Self {
        let mut session = Session::new(context(), role).expect("a session");
        let fingerprint = context().certificate().fingerprint(HashFunction::Sha256);
        session.set_remote_fingerprint(HashFunction::Sha256, fingerprint).expect("a fingerprint");
        Self { session, keys: None, has_ended: false, outbound: VecDeque::new(), received: None }
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        self.received = self.outbound.pop_front();
        self.received.clone()
    }

    /// Delivers the last received datagram again.
    fn repeat(&mut self, now: Instant) {
        if let Some(datagram) = &self.received {
            self.session.handle_datagram(now, datagram);
        }
    }

    fn drain(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        let mut buffer = [0; MAX_DATAGRAM_LEN];
        while let Some(len) = self.session.poll_transmit(&mut buffer) {
            self.outbound.push_back(buffer[..len].to_vec());
        }
        while let Some(event) = self.session.poll_event() {
            assert!(!self.has_ended, "{event:?} after the end");
            match event {
                Event::Connected(keys) => assert!(self.keys.replace(keys).is_none(), "keys are reported once"),
                Event::Refused(_) => assert_eq!(self.session.role(), Role::Server),
                Event::Failed(_) | Event::Closed => self.has_ended = true,
            }
        }
    }
}

/// The context of all sessions. Making a certificate is not fuzzed, and takes long.
fn context() -> &'static Arc<Context> {
    static CONTEXT: OnceLock<Arc<Context>> = OnceLock::new();
    CONTEXT.get_or_init(|| new_context(true))
}

fn new_context(fingerprint: bool) -> Arc<Context> {
    Context::new(ContextConfig {
        certificate: Certificate::self_signed().expect("a certificate"),
        verify: Verify { fingerprint, certificate: false },
        cipher_list: None,
        ca_file: None,
        ca_path: None,
        srtp_profiles: vec![Profile::Aes128CmSha1_80],
        min_version: MinVersion::default(),
        mtu: MAX_DATAGRAM_LEN as u32,
    })
    .expect("a context")
}
