//! Receives for a thread that carries packets between bridged sessions (`carriers.rs`).

use std::os::fd::RawFd;
use std::time::Instant;

use ice::Component;

use super::State;
use super::receive::Taken;
use crate::bundle::Whose;
use crate::transport::keys::Protection;
use crate::transport::watch::Watch;

/// The result of [`State::receive_to_carry`].
pub enum Received {
    /// The session is none whose packets are carried any more. Nothing was read.
    Unfit,
    /// The socket is empty.
    Nothing,
    /// A datagram was handled, or kept for the channel.
    Handled,
    /// A packet of media, which is in the buffer.
    Media(Taken),
}

impl State {
    /// Hides the socket of media from the host, if another thread may read it, and returns it.
    pub fn begin_to_carry(&mut self) -> Option<RawFd> {
        let is_unwatched = *self.transport.watch_mut() == Watch::Off;
        let may_begin = self.settings.bridge_threads && is_unwatched && self.may_be_carried();
        if !may_begin {
            return None;
        }
        self.transport.hide_socket().ok()
    }

    /// Leaves the socket of media to the channel again.
    pub fn end_to_carry(&mut self) {
        self.transport.unhide_socket();
    }

    /// Receives one datagram, in place of the channel. Media that the channel has to get is kept; so is all that comes while something
    /// is kept, because the channel gets packets in their order. `wakes`: the channel has to wake up in any case.
    pub fn receive_to_carry(&mut self, now: Instant, wakes: bool, buffer: &mut [u8]) -> Received {
        if !self.may_be_carried() {
            return Received::Unfit;
        }
        let Some(received) = self.transport.receive(Component::Rtp, buffer) else { return Received::Nothing };
        let datagram = buffer.get_mut(..received.len).unwrap_or_default();
        let Some(taken) = self.handle_datagram(now, Component::Rtp, &received, datagram) else {
            // The host is told of what came of it when the channel reads.
            self.transport.kept_mut().wake(now);
            return Received::Handled;
        };
        if wakes || self.has_news() {
            self.transport.kept_mut().wake(now);
        } else {
            self.transport.kept_mut().wake_in_time(now);
        }
        if matches!(taken.whose, Whose::Own) && self.transport.kept_mut().is_empty() {
            return Received::Media(taken);
        }
        self.keep_for_channel(taken, buffer);
        Received::Handled
    }

    /// Keeps a packet of media for the channel.
    pub fn keep_for_channel(&mut self, taken: Taken, buffer: &[u8]) {
        self.keep(taken.into_kept(), buffer);
    }

    fn has_news(&self) -> bool {
        !self.notes.is_empty() || self.transport.remote().has_news()
    }

    /// Returns whether a thread that is in no call of the host may receive: nothing is encrypted, and no other session sends over our
    /// transport.
    fn may_be_carried(&self) -> bool {
        let is_alone = self.bundle.has_own_transport() && self.bundle.children() == 0;
        let is_plain = !self.transport.is_ice_active() && self.transport.protection() == Protection::Plain;
        is_alone && is_plain
    }
}
