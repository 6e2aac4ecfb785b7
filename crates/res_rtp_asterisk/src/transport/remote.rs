//! The peer's addresses: signalled by the host, learned from received packets, and reported back to the host.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ice::Component;
use rtp::Header;
use rtp::source::{StrictRtp, SymmetricRtp};

use crate::config::Settings;
use crate::console::debug;
use crate::notes::{Level, Note};

/// The addresses that media and RTCP are accepted from and sent to without ICE, and whether the host has stopped media.
pub struct Remote {
    /// The address that media is accepted from (`strictrtp`).
    strict: StrictRtp,
    /// The addresses that media and RTCP are sent to.
    symmetric: SymmetricRtp,
    /// Whether packets are sent to the address that the peer's packets come from (`nat=comedia`).
    follows: bool,
    /// The host has stopped media, for a hold or at the end of the call, until it sets an address again.
    is_stopped: bool,
    /// The address that media was sent to when the host stopped it.
    before_stop: Option<SocketAddr>,
    /// The second address of [`Self::set_alternative`].
    alternative: Option<SocketAddr>,
    /// The address that media is really sent to, until the host has been told.
    learned: Option<SocketAddr>,
    /// The address that the host was told last. When the host sets this address again, nothing has changed.
    told: Option<SocketAddr>,
    /// Lines about changes of the source, until the host has been told.
    notes: Vec<Note>,
}

impl Remote {
    /// Creates the state of a session whose peer is not known yet.
    pub fn new(now: Instant, settings: &Settings) -> Self {
        let strict = if settings.strict_rtp { StrictRtp::learning(now, settings.probation) } else { StrictRtp::open() };
        Self {
            strict,
            symmetric: SymmetricRtp::new(),
            follows: false,
            is_stopped: false,
            before_stop: None,
            alternative: None,
            learned: None,
            told: None,
            notes: Vec::new(),
        }
    }

    /// Sets whether packets are sent to the address that the peer's packets come from (`nat=comedia`).
    pub fn set_follows(&mut self, follows: bool) {
        self.follows = follows;
        self.symmetric.set_follow(follows);
    }

    /// Returns whether packets are sent to the address that the peer's packets come from (`nat=comedia`).
    pub fn follows(&self) -> bool {
        self.follows
    }

    /// Returns whether an address that the host sets changes anything: it is not the one that we told the host, or it ends a stop.
    pub fn is_news(&self, address: Option<SocketAddr>) -> bool {
        address.is_none() || address != self.told || self.is_stopped
    }

    /// Sets the peer's address from the session description; `None` removes it. An address also ends a stop.
    pub fn set_signalled(&mut self, now: Instant, address: Option<SocketAddr>) {
        (self.told, self.learned) = (None, None);
        self.is_stopped &= address.is_none();
        self.symmetric.set_signalled(address);
        self.note_learning("remote", address);
        self.strict.set_signalled(now, address);
    }

    /// Sets a second address that media is accepted from.
    pub fn set_alternative(&mut self, now: Instant, address: Option<SocketAddr>) {
        self.note_learning("alternate remote", address);
        self.alternative = address;
        self.strict.set_alternative(now, address);
    }

    /// Notes that strict RTP learns its source, if this address makes it do so.
    fn note_learning(&mut self, whose: &str, address: Option<SocketAddr>) {
        if let Some(address) =
            address.filter(|address| !self.strict.is_open() && Some(*address) != self.strict.source())
        {
            self.note(format!("Strict RTP learning after {whose} address set to: {address}"));
        }
    }

    fn note(&mut self, text: String) {
        self.notes.push(Note::OfInstance(Level::Console, text));
    }

    /// Takes out the lines about changes of the source, for the host.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Returns whether there is something to tell the host.
    pub fn has_news(&self) -> bool {
        self.learned.is_some() || !self.notes.is_empty()
    }

    /// Stops media until the host sets an address again or [`Self::resume`] is called.
    pub fn stop(&mut self) {
        self.is_stopped = true;
        self.before_stop = self.symmetric.rtp().or(self.before_stop);
        self.symmetric.set_signalled(None);
        (self.told, self.learned) = (None, None);
    }

    /// Ends a stop of a bundled stream, for which the host never sets an address.
    pub fn resume(&mut self) {
        self.is_stopped = false;
    }

    /// Returns whether the host has stopped media.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Records the remote address of the pair that ICE selected for media, to tell the host. Ignored during a stop, because the
    /// host would take a new address for the end of the hold.
    pub fn handle_selected(&mut self, address: SocketAddr) {
        if !self.is_stopped {
            self.learned = Some(address);
        }
    }

    /// Returns the new address of the peer that the host has to be told, once.
    pub fn take_learned(&mut self) -> Option<SocketAddr> {
        let learned = self.learned.take();
        self.told = learned.or(self.told);
        learned
    }

    /// Records that the caller tells the host this address.
    pub fn note_told(&mut self, address: Option<SocketAddr>) {
        self.told = address.or(self.told);
    }

    /// Returns whether strict RTP accepts a media packet from this source. With `nat=comedia` our media is sent there from now on.
    pub fn accepts_media(&mut self, now: Instant, from: SocketAddr, header: &Header) -> bool {
        let before = (self.strict.is_learning(), self.strict.source());
        let is_accepted = self.strict.handle_packet(now, from, header.ssrc, header.sequence_number).is_accepted();
        if before != (self.strict.is_learning(), self.strict.source()) {
            self.note_source(before, from);
        }
        if is_accepted && self.symmetric.handle_rtp(from) {
            self.learned = Some(from);
            if debug::RTP.is_on() {
                let text = format!("RTP NAT: Got audio from other end. Now sending to address {from}");
                self.notes.push(Note::debug(0, text));
            }
        }
        is_accepted
    }

    /// Notes that strict RTP has ended its learning, or accepts another source than before a packet from `from`.
    fn note_source(&mut self, (was_learning, before): (bool, Option<SocketAddr>), from: SocketAddr) {
        if let Some(source) = before.filter(|_| was_learning && !self.strict.is_learning()) {
            self.note(format!("Strict RTP learning complete - Locking on source address {source}"));
        }
        if self.strict.source() == before {
            return;
        }
        self.note(match Some(from) {
            it if it == self.symmetric.rtp() => format!("Strict RTP switching to RTP remote address {from} as source"),
            it if it == self.alternative => format!("Strict RTP switching to RTP alt remote address {from} as source"),
            _ => format!("Strict RTP switching source address to {from}"),
        });
    }

    /// Records the source address of the peer's RTCP. With `nat=comedia` our RTCP is sent there from now on.
    pub fn handle_reports(&mut self, from: SocketAddr) {
        if self.symmetric.handle_rtcp(from) && debug::RTP.is_on() {
            let text = format!("RTCP NAT: Got RTCP from other end. Now sending to address {from}");
            self.notes.push(Note::debug(0, text));
        }
    }

    /// Returns whether media is accepted from every source (`strictrtp=no`).
    pub fn is_open(&self) -> bool {
        self.strict.is_open()
    }

    /// Returns the address that media is accepted from, once it is known.
    pub fn source(&self) -> Option<SocketAddr> {
        self.strict.source()
    }

    /// Returns the IP address that the peer sends media from, or is expected to. Its RTCP comes from the same address, possibly from
    /// another port. Without SRTP and ICE only this address identifies the peer's RTCP.
    pub fn ip(&self) -> Option<IpAddr> {
        self.strict.source().or(self.media()).map(|source| source.ip())
    }

    /// Returns the address that media is sent to.
    pub fn media(&self) -> Option<SocketAddr> {
        self.symmetric.rtp().filter(is_usable)
    }

    /// Returns the address that RTCP is sent to.
    pub fn reports(&self) -> Option<SocketAddr> {
        self.symmetric.rtcp().filter(is_usable)
    }

    /// Returns the address that media is sent to, or was sent to before the host stopped it.
    pub fn latest(&self) -> Option<SocketAddr> {
        self.symmetric.rtp().or(self.before_stop)
    }

    /// Returns the signalled or learned address of `component`, even if packets cannot be sent there.
    pub fn signalled(&self, component: Component) -> Option<SocketAddr> {
        match component {
            Component::Rtp => self.symmetric.rtp(),
            Component::Rtcp => self.symmetric.rtcp(),
        }
    }
}

/// Returns whether packets can be sent to `address`. An unspecified address means a hold (RFC 3264 §8.4).
fn is_usable(address: &SocketAddr) -> bool {
    !address.ip().is_unspecified() && address.port() != 0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn remote() -> Remote {
        Remote::new(Instant::now(), &Settings::default())
    }

    fn header(sequence_number: u16) -> Header {
        Header { marker: false, payload_type: 0, sequence_number, timestamp: 0, ssrc: 1 }
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
    fn after_a_stop_it_is_known_where_media_went() {
        let mut remote = remote();
        remote.set_signalled(Instant::now(), Some(address("192.0.2.1:4000")));
        remote.stop();
        assert_eq!((remote.signalled(Component::Rtp), remote.latest()), (None, Some(address("192.0.2.1:4000"))));
        remote.stop();
        assert_eq!(remote.latest(), Some(address("192.0.2.1:4000")));
    }

    #[test]
    fn changes_of_the_source_are_noted_in_the_words_of_the_original() {
        let (mut remote, mut now) = (remote(), Instant::now());
        let (signalled, actual) = (address("192.0.2.1:4000"), address("198.51.100.7:6000"));
        remote.set_signalled(now, Some(signalled));
        for number in 0..8 {
            now += Duration::from_millis(20);
            remote.accepts_media(now, actual, &header(number));
        }
        now += Duration::from_secs(3);
        remote.accepts_media(now, actual, &header(8));
        assert_eq!(
            lines(&mut remote),
            [
                "Strict RTP learning after remote address set to: 192.0.2.1:4000",
                "Strict RTP switching source address to 198.51.100.7:6000",
                "Strict RTP learning complete - Locking on source address 198.51.100.7:6000",
            ]
        );
        remote.set_alternative(now, Some(address("192.0.2.9:4000")));
        remote.accepts_media(now, address("192.0.2.9:4000"), &header(9));
        remote.accepts_media(now, signalled, &header(9));
        assert_eq!(
            lines(&mut remote),
            [
                "Strict RTP learning after alternate remote address set to: 192.0.2.9:4000",
                "Strict RTP switching to RTP alt remote address 192.0.2.9:4000 as source",
                "Strict RTP switching to RTP remote address 192.0.2.1:4000 as source",
            ]
        );
    }

    fn lines(remote: &mut Remote) -> Vec<String> {
        let notes = remote.take_notes().into_iter();
        notes
            .filter_map(|note| if let Note::OfInstance(Level::Console, text) = note { Some(text) } else { None })
            .collect()
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
