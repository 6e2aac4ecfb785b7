//! One datagram in: told apart (RFC 7983), authenticated, counted. What is left of it is media.

use std::net::SocketAddr;
use std::time::Instant;

use asterisk::rtp::Which;
use ice::Component;
use rtp::Packet;
use rtp::demux::{Class, classify};

use crate::bundle::Whose;
use crate::console::debug;
use crate::diagnosis::counters::Refused;
use crate::state::State;
use crate::transport::Protection;
use crate::transport::sockets::Received;

/// A packet of media, without SRTP already.
pub struct Taken {
    /// Its length.
    pub len: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whose it is. Our own has been judged by its source and counted, others have not.
    pub whose: Whose,
}

impl State {
    /// Receives one datagram for the channel: what was kept for it first. A packet of media in
    /// `buffer`; `None` when there was none, or something else.
    pub fn receive(&mut self, now: Instant, component: Component, buffer: &mut [u8]) -> Option<Taken> {
        self.handle_visit(now);
        if component == Component::Rtp
            && let Some(taken) = self.take_kept(buffer)
        {
            return Some(taken);
        }
        let received = self.socket(component).receive(buffer)?;
        self.handle_datagram(now, component, received, buffer.get_mut(..received.len)?)
    }

    /// Takes in a datagram. The packet that it has become, when it is media.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        component: Component,
        received: Received,
        datagram: &mut [u8],
    ) -> Option<Taken> {
        // Its own datagram is one that came back: the peer signalled our address, or somebody forged it.
        if !self.bundle.has_own_transport() || received.from == received.to {
            self.refuse(Refused::Source);
            return None;
        }
        match classify(datagram) {
            Class::Stun => self.handle_stun(now, component, &received, datagram),
            Class::Dtls => self.handle_dtls(now, component, &received, datagram),
            Class::Rtp => return self.handle_media(now, component, &received, datagram),
            Class::Rtcp => self.handle_rtcp(now, component, &received, datagram),
            Class::TurnChannel | Class::Unknown => self.refuse(Refused::Unknown),
        }
        None
    }

    fn handle_media(
        &mut self,
        now: Instant,
        component: Component,
        received: &Received,
        datagram: &mut [u8],
    ) -> Option<Taken> {
        let verdict = self.judge_media(now, component, received, datagram);
        if let Err(reason) = &verdict {
            let reason = *reason;
            self.refuse(reason);
            if debug::RTP.wants(received.from) {
                self.notes.push(debug::dropped(received.from, datagram.len(), reason));
            }
        }
        verdict.ok()
    }

    fn judge_media(
        &mut self,
        now: Instant,
        component: Component,
        received: &Received,
        datagram: &mut [u8],
    ) -> Result<Taken, Refused> {
        if component == Component::Rtcp {
            return Err(Refused::Source);
        }
        let len = self.unprotect_media(component, received, datagram)?;
        let packet = Packet::parse(datagram.get(..len).unwrap_or_default()).map_err(|_| Refused::Malformed)?;
        let whose = self.bundle.whose(packet.ssrc, self.receiver.ssrc());
        match whose {
            Whose::Own => self.judge_own(now, received.from, &packet)?,
            Whose::Child(_) | Whose::Unknown => self.judge_child_source(received.from)?,
        }
        if debug::RTP.wants(received.from) {
            self.notes.push(debug::received(received.from, &packet));
        }
        Ok(Taken { len, from: received.from, whose })
    }

    /// A packet whose source nobody had named has turned out to be our own. Whether it is of use.
    pub fn take_as_own(&mut self, now: Instant, from: SocketAddr, packet: &Packet<'_>) -> bool {
        let verdict = self.judge_own(now, from, packet);
        verdict.map_err(|reason| self.refuse(reason)).is_ok()
    }

    fn judge_own(&mut self, now: Instant, from: SocketAddr, packet: &Packet<'_>) -> Result<(), Refused> {
        self.judge_source(now, from, packet.sequence_number)?;
        // A second stream on the port that nobody negotiated (repair packets, somebody else's noise) is
        // not a change of source. The reading thread knows; here it may not be asked.
        let is_stray = !self.clock_rates.knows(packet.payload_type)
            && self.receiver.ssrc().is_some_and(|known| known != packet.ssrc);
        if !is_stray {
            let clock_rate = self.clock_rates.of(packet.payload_type);
            if !self.receiver.update(now, packet, clock_rate).is_usable() {
                return Err(Refused::Sequence);
            }
        }
        self.start_reports(now);
        Ok(())
    }

    fn unprotect_media(
        &mut self,
        component: Component,
        received: &Received,
        datagram: &mut [u8],
    ) -> Result<usize, Refused> {
        match self.protection() {
            Protection::Due => Err(Refused::NoKeys),
            Protection::Plain => {
                self.judge_path(component, received)?;
                Ok(datagram.len())
            }
            Protection::Srtp => {
                let srtp = self.instance().and_then(|instance| instance.srtp()).ok_or(Refused::NoKeys)?;
                srtp.unprotect(datagram, Which::Rtp).map_err(|_| Refused::Srtp)
            }
        }
    }

    /// Without SRTP, ICE is what says who the peer is.
    pub fn judge_path(&self, component: Component, received: &Received) -> Result<(), Refused> {
        match &self.ice {
            Some(ice) if ice.is_active() => {
                let valid = ice.is_valid(component, received.to, received.from)
                    // Checks failed: the signalled address is what is left.
                    || ice.route(component).is_none() && self.symmetric.rtp() == Some(received.from);
                if valid { Ok(()) } else { Err(Refused::Source) }
            }
            _ => Ok(()),
        }
    }

    /// Without ICE, strict RTP says whom we listen to, and symmetric RTP whom we send to.
    fn judge_source(&mut self, now: Instant, from: SocketAddr, sequence_number: u16) -> Result<(), Refused> {
        if self.ice.as_ref().is_some_and(|ice| ice.is_active()) {
            return Ok(());
        }
        if !self.strict.handle_packet(now, from, sequence_number).is_accepted() {
            return Err(Refused::Source);
        }
        if self.symmetric.handle_rtp(from) {
            self.learned_remote = Some(from);
        }
        Ok(())
    }
}
