//! The relayed candidate of a session: an allocation of the pool, which carries what goes along paths from the relayed address.
//!
//! Its socket is always read by the worker thread. Media is kept for the channel, as for a channel that does not read.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Instant;

use ::ice::{CandidateKind, Component, Path};
use asterisk::worker::{Id, Tag, Tasks};

use super::Transport;
use super::sockets::Received;
use crate::gathering::candidates;
use crate::globals::globals;
use crate::relay::link::{FromServer, Link, Trouble};

/// An allocation that belongs to the session.
pub struct Relay {
    /// Sending changes it, and packets are protected while the transport is borrowed.
    link: RefCell<Link>,
    relayed: SocketAddr,
}

/// A message from the server, as far as it concerns the session.
pub enum FromRelay {
    /// A peer's datagram, at the beginning of the buffer.
    Datagram(Received),
    /// A message that has been handled.
    Handled,
    /// Nothing waits.
    Nothing,
}

impl Transport {
    /// Takes an allocation that is ready, and adds the relayed candidate. Does nothing if the session has one, and without DTLS: the
    /// worker thread, which reads the allocation's socket, does not touch keys from SDP. Returns whether the socket has to be watched.
    pub fn take_relay(&mut self, now: Instant) -> bool {
        let wants_one = self.wants_relay();
        let Some(ice) = self.ice.as_mut().filter(|_| wants_one) else { return false };
        let Some(link) = globals().and_then(|globals| globals.relays().take(now)) else { return false };
        let Some((relayed, mapped)) = link.addresses() else { return false };
        // chan_sip prints IPv6 addresses in a form that nobody reads.
        let is_readable = mapped.is_ipv4() == relayed.is_ipv4();
        let related = if is_readable { mapped } else { candidates::unknown(relayed) };
        ice.add_gathered(Component::Rtp, CandidateKind::Relayed, relayed, Some(related));
        self.relay = Some(Relay { link: RefCell::new(link), relayed });
        true
    }

    fn wants_relay(&self) -> bool {
        self.dtls.is_some() && self.relay.is_none()
    }

    /// Gives the allocation back.
    pub fn give_relay_back(&mut self) {
        let Some(Relay { link, .. }) = self.relay.take() else { return };
        if let Some(globals) = globals() {
            globals.relays().give_back(Instant::now(), link.into_inner());
        }
    }

    /// Receives what the server has sent next.
    pub fn receive_relayed(&mut self, now: Instant, buffer: &mut [u8]) -> FromRelay {
        let Some(Relay { link, relayed }) = &mut self.relay else { return FromRelay::Nothing };
        match link.get_mut().receive(now, buffer) {
            FromServer::Data { len, peer } => FromRelay::Datagram(Received { len, from: peer, to: *relayed }),
            FromServer::Handled => FromRelay::Handled,
            FromServer::Nothing => FromRelay::Nothing,
        }
    }

    /// Notes that the worker thread has reported the socket.
    pub fn relay_reported(&mut self) {
        if let Some(relay) = &mut self.relay {
            relay.link.get_mut().reported();
        }
    }

    /// Has the worker thread report, once, when something arrives from the server.
    pub fn watch_relay<T>(&mut self, tasks: &Tasks<T>, id: Id) {
        if let Some(relay) = &mut self.relay {
            relay.link.get_mut().watch(tasks, id, TAG);
        }
    }

    /// Runs the allocation's timers. Returns why it is lost. ICE then uses another pair, and the next description has another
    /// allocation; the caller must call [`Transport::drive`].
    pub fn drive_relay(&mut self, now: Instant) -> Option<Trouble> {
        let Relay { link, relayed } = self.relay.as_mut()?;
        let link = link.get_mut();
        link.handle_timeout(now);
        let trouble = std::iter::from_fn(|| link.poll_event()).find_map(Result::err)?;
        if let Some(ice) = &mut self.ice {
            ice.remove_gathered(now, *relayed);
        }
        self.relay = None;
        Some(trouble)
    }

    /// Returns when [`Self::drive_relay`] is due next.
    pub(super) fn relay_timeout(&self) -> Option<Instant> {
        self.relay.as_ref()?.link.borrow().poll_timeout()
    }

    /// Sends a datagram through the server, if `source` is the relayed address; `None` if it is not. Returns whether it is on its way.
    pub(super) fn send_relayed(&self, datagram: &[u8], to: SocketAddr, source: Option<SocketAddr>) -> Option<bool> {
        let relay = self.relay.as_ref().filter(|relay| source == Some(relay.relayed))?;
        let now = crate::clock::now();
        let sent = relay.link.try_borrow_mut().is_ok_and(|mut link| link.send(now, to, datagram));
        // The way to the server may be TLS, and this a host thread that writes, see `Engine::write`.
        dtls_srtp::thread_stop();
        Some(sent)
    }

    /// Returns whether an address to send `component` from is ours: that of its socket, or the relayed one. A relayed address that is
    /// gone is not, though a handshake may remember it, and nothing leaves by the socket in its name.
    pub(super) fn is_own(&self, component: Component, source: SocketAddr) -> bool {
        let is_relayed = self.relay.as_ref().is_some_and(|relay| relay.relayed == source);
        is_relayed || source.port() == self.socket(component).local().port()
    }

    /// Asks for a channel for a path that ICE has selected, if it begins at the relayed address.
    pub(super) fn bind_channel(&mut self, now: Instant, path: &Path) {
        if let Some(relay) = self.relay.as_mut().filter(|relay| relay.relayed == path.local) {
            relay.link.get_mut().bind_channel(now, path.remote);
        }
    }
}

/// Distinguishes the socket from those of the components and of names.
pub const TAG: Tag = 4;

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
