//! The peer's addresses: those that the signalling names, those that packets come from, and the one that the host was told.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ice::Component;
use rtp::source::{StrictRtp, SymmetricRtp};

use crate::config::Settings;

/// Where media and reports may come from and go to without ICE, and whether the host has stopped media.
pub struct Remote {
    /// The address that media is accepted from (`strictrtp`).
    strict: StrictRtp,
    /// The addresses that media and reports are sent to.
    symmetric: SymmetricRtp,
    /// Whether packets are sent to the address that packets come from (`nat=comedia`).
    follows: bool,
    /// The host has stopped media, for a hold or at the end, until it names an address again.
    is_stopped: bool,
    /// The address that media really goes to, until the host has been told.
    learned: Option<SocketAddr>,
    /// The address that the host was told last. It hands it back to us, which is no news then.
    told: Option<SocketAddr>,
}

impl Remote {
    /// Makes the state of a session whose peer is not known yet.
    pub fn new(now: Instant, settings: &Settings) -> Self {
        let strict = if settings.strict_rtp { StrictRtp::learning(now, settings.probation) } else { StrictRtp::open() };
        let (learned, told) = (None, None);
        Self { strict, symmetric: SymmetricRtp::new(), follows: false, is_stopped: false, learned, told }
    }

    /// Sets whether packets are sent to the address that packets come from (`nat=comedia`).
    pub fn set_follows(&mut self, follows: bool) {
        self.follows = follows;
        self.symmetric.set_follow(follows);
    }

    /// Returns whether packets are sent to the address that packets come from.
    pub fn follows(&self) -> bool {
        self.follows
    }

    /// Returns whether an address that the host hands over is other than the one that we told it.
    pub fn is_news(&self, address: Option<SocketAddr>) -> bool {
        address.is_none() || address != self.told || self.is_stopped
    }

    /// Takes the peer's address from the session description; `None` takes it back.
    pub fn set_signalled(&mut self, now: Instant, address: Option<SocketAddr>) {
        (self.told, self.learned) = (None, None);
        self.is_stopped &= address.is_none();
        self.symmetric.set_signalled(address);
        self.strict.set_signalled(now, address);
    }

    /// Takes a second address that media may come from.
    pub fn set_alternative(&mut self, now: Instant, address: Option<SocketAddr>) {
        self.strict.set_alternative(now, address);
    }

    /// Stops media until the host names an address again or [`Self::resume`] is called.
    pub fn stop(&mut self) {
        self.is_stopped = true;
        self.symmetric.set_signalled(None);
        (self.told, self.learned) = (None, None);
    }

    /// Ends a stop for a stream whose address the host never names: one that is bundled with another.
    pub fn resume(&mut self) {
        self.is_stopped = false;
    }

    /// Returns whether the host has stopped media.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Notes the address of a pair that ICE selected for media. During a stop it is no news: the host would take it for the
    /// end of the hold.
    pub fn handle_selected(&mut self, address: SocketAddr) {
        if !self.is_stopped {
            self.learned = Some(address);
        }
    }

    /// Returns an address that the host has to be told, once.
    pub fn take_learned(&mut self) -> Option<SocketAddr> {
        let learned = self.learned.take();
        self.told = learned.or(self.told);
        learned
    }

    /// Notes an address that the host is being told by other means.
    pub fn note_told(&mut self, address: Option<SocketAddr>) {
        self.told = address.or(self.told);
    }

    /// Judges a packet of media by its source. With `nat=comedia` media goes there from now on.
    pub fn accepts_media(&mut self, now: Instant, from: SocketAddr, sequence_number: u16) -> bool {
        if !self.strict.handle_packet(now, from, sequence_number).is_accepted() {
            return false;
        }
        if self.symmetric.handle_rtp(from) {
            self.learned = Some(from);
        }
        true
    }

    /// Takes the source of a report that is the peer's. With `nat=comedia` reports go there from now on.
    pub fn handle_reports(&mut self, from: SocketAddr) {
        self.symmetric.handle_rtcp(from);
    }

    /// Returns whether media is accepted from anywhere (`strictrtp=no`).
    pub fn is_open(&self) -> bool {
        self.strict.is_open()
    }

    /// Returns the address that media is accepted from, once it is known.
    pub fn source(&self) -> Option<SocketAddr> {
        self.strict.source()
    }

    /// Returns the address that the peer sends from, or is to send from. Its reports come from the same address, if not from
    /// the same port; without SRTP nothing else tells whose they are.
    pub fn ip(&self) -> Option<IpAddr> {
        self.strict.source().or(self.media()).map(|source| source.ip())
    }

    /// Returns the address that media is sent to.
    pub fn media(&self) -> Option<SocketAddr> {
        self.symmetric.rtp().filter(is_usable)
    }

    /// Returns the address that reports are sent to.
    pub fn reports(&self) -> Option<SocketAddr> {
        self.symmetric.rtcp().filter(is_usable)
    }

    /// Returns the address of that component as it was signalled or learned, usable or not.
    pub fn signalled(&self, component: Component) -> Option<SocketAddr> {
        match component {
            Component::Rtp => self.symmetric.rtp(),
            Component::Rtcp => self.symmetric.rtcp(),
        }
    }
}

/// Returns whether packets can be sent there. An unspecified address is a hold in the way of RFC 2543.
fn is_usable(address: &SocketAddr) -> bool {
    !address.ip().is_unspecified() && address.port() != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> Remote {
        Remote::new(Instant::now(), &Settings::default())
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_unspecified_address_is_nowhere_to_send_to() {
        let mut remote = remote();
        remote.set_signalled(Instant::now(), Some(address("0.0.0.0:4000")));
        assert_eq!((remote.media(), remote.reports()), (None, None));
        assert_eq!(remote.signalled(Component::Rtp), Some(address("0.0.0.0:4000")));
    }

    #[test]
    fn what_the_host_hands_back_is_no_news() {
        let mut remote = remote();
        let selected = address("192.0.2.1:4000");
        remote.handle_selected(selected);
        assert!(remote.is_news(Some(selected)));
        assert_eq!((remote.take_learned(), remote.take_learned()), (Some(selected), None));
        assert!(!remote.is_news(Some(selected)));
        remote.stop();
        assert!(remote.is_news(Some(selected)), "it ends the hold");
    }

    #[test]
    fn a_pair_that_is_selected_on_hold_is_not_told_to_the_host() {
        let mut remote = remote();
        remote.stop();
        remote.handle_selected(address("192.0.2.1:4000"));
        assert_eq!(remote.take_learned(), None);
        remote.set_signalled(Instant::now(), Some(address("192.0.2.1:4000")));
        assert!(!remote.is_stopped());
    }
}
