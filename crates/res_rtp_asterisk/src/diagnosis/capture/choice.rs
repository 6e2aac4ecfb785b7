//! The packets that a capture wants.

use std::net::SocketAddr;
use std::sync::Arc;

use asterisk::debug::Only;

use crate::diagnosis::story;
use crate::globals::Globals;
use crate::session::Session;

/// The packets that a capture wants.
#[derive(Debug, Clone)]
pub enum Choice {
    /// All.
    All,
    /// Those from and to an address; with a port, media and RTCP of that port alone.
    Peer(Only),
    /// Those of one call: of its sessions, which have the capture's mark, and its SIP.
    Call {
        /// The Call-IDs of its SIP.
        ids: Vec<String>,
        /// The addresses of its WebSocket clients.
        clients: Vec<SocketAddr>,
    },
}

impl Choice {
    /// Finds the call with this channel, Call-ID or port of ours, and its sessions; `None` if there is none. The caller holds no lock.
    pub fn call(globals: &Globals, wanted: &str) -> Option<(Self, Vec<Arc<Session>>)> {
        let sessions = story::sessions(globals, wanted);
        let calls: Vec<_> = sessions.iter().filter_map(|session| globals.calls().of_session(session.id())).collect();
        let of_calls = calls.iter().flat_map(|call| &call.sessions).filter_map(|id| globals.worker().tasks().get(*id));
        let choice = Self::Call {
            ids: calls.iter().map(|call| call.id.clone()).collect(),
            clients: calls.iter().filter_map(|call| call.client).collect(),
        };
        let all: Vec<_> = sessions.iter().cloned().chain(of_calls).collect();
        (!all.is_empty()).then_some((choice, all))
    }

    pub(super) fn wants_packet(&self, peer: SocketAddr, is_marked: bool) -> bool {
        match self {
            Self::All => true,
            Self::Peer(only) => only.is(peer),
            Self::Call { .. } => is_marked,
        }
    }

    pub(super) fn wants_message(&self, call_id: &str, client: SocketAddr) -> bool {
        match self {
            Self::All => true,
            Self::Peer(only) => only.ip == client.ip().to_canonical(),
            Self::Call { ids, clients } => ids.iter().any(|id| id == call_id) || clients.contains(&client),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_wanted_with_its_sip_and_a_call_with_its_own() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let peer = Choice::Peer(Only { ip: [192, 0, 2, 1].into(), port: Some(4000) });
        assert!(peer.wants_packet(address("192.0.2.1:4000"), false));
        assert!(!peer.wants_packet(address("192.0.2.1:4002"), true));
        assert!(peer.wants_message("7", address("[::ffff:192.0.2.1]:50000")), "SIP comes from another port");
        let call = Choice::Call { ids: vec!["7".to_owned()], clients: vec![address("192.0.2.1:50000")] };
        assert!(
            call.wants_packet(address("192.0.2.9:1"), true) && !call.wants_packet(address("192.0.2.1:4000"), false)
        );
        assert!(call.wants_message("7", address("192.0.2.9:1")) && call.wants_message("8", address("192.0.2.1:50000")));
        assert!(!call.wants_message("8", address("192.0.2.1:50002")));
        assert!(Choice::All.wants_packet(address("192.0.2.9:1"), false));
    }
}
