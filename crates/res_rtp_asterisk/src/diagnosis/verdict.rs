//! Why is there no audio? What `rtp show sessions` says of each session: one sentence that answers the
//! question, and below it the facts that it comes from.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::Duration;

use super::counters::Refused;

/// A session, as far as people want to know it.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Our port for media.
    pub port: u16,
    /// Where media goes, or is to go.
    pub peer: Option<SocketAddr>,
    /// The host has stopped media.
    pub stopped: bool,
    /// The session whose sockets and keys carry the stream.
    pub carrier: ShownCarrier,
    /// How many other streams its own carry.
    pub children: usize,
    /// ICE, unless the host does without.
    pub ice: Option<ShownIce>,
    /// DTLS, when it is configured.
    pub dtls: Option<ShownDtls>,
    /// Keys are due and not there.
    pub keys_due: bool,
    /// Media is encrypted.
    pub encrypted: bool,
    /// What came, and what was sent.
    pub received: Flow,
    /// What was sent.
    pub sent: Flow,
    /// Reports.
    pub rtcp: String,
    /// What was refused, with how often.
    pub refused: Vec<(Refused, u64)>,
}

/// The session whose sockets and keys carry a stream (RFC 9143).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ShownCarrier {
    /// The session itself.
    #[default]
    Own,
    /// The session on this port.
    Port(u16),
    /// A session that is gone.
    Gone,
}

/// ICE in a session.
#[derive(Debug, Clone, Default)]
pub struct ShownIce {
    /// Checks have begun.
    pub active: bool,
    /// Controlling or controlled.
    pub role: String,
    /// The pair that media takes.
    pub selected: Option<String>,
    /// All pairs with their states.
    pub pairs: Vec<String>,
    /// How many of them have failed.
    pub failed: usize,
    /// Candidates of the peer.
    pub remote_candidates: usize,
    /// Checks of the peer that verified.
    pub requests: u64,
    /// Answers of the peer to ours.
    pub responses: u64,
    /// Checks with a wrong password.
    pub bad_integrity: u64,
}

/// DTLS in a session.
#[derive(Debug, Clone, Default)]
pub struct ShownDtls {
    /// Who begins.
    pub role: &'static str,
    /// Where the handshake stands.
    pub progress: &'static str,
    /// Whether it failed.
    pub failed: bool,
}

/// One direction of media.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flow {
    /// Packets so far.
    pub packets: u64,
    /// Octets of payload so far.
    pub octets: u64,
    /// Since the last packet.
    pub silence: Option<Duration>,
    /// Packets that did not arrive.
    pub lost: i64,
    /// Interarrival jitter in seconds.
    pub jitter: f64,
}

impl Shown {
    /// The answer.
    pub fn verdict(&self) -> String {
        let obstacle = self.stopped_verdict().or_else(|| self.path_verdict()).or_else(|| self.keys_verdict());
        obstacle.unwrap_or_else(|| self.flow_verdict())
    }

    /// What was refused, in words; empty when nothing was.
    pub fn refusals(&self) -> String {
        let told: Vec<String> = self.refused.iter().map(|(why, count)| format!("{} {count}", why.name())).collect();
        told.join(", ")
    }

    fn stopped_verdict(&self) -> Option<String> {
        self.stopped.then(|| "the host has stopped media: the call is on hold, or over".to_owned())
    }

    fn path_verdict(&self) -> Option<String> {
        let ice = self.ice.as_ref().filter(|ice| ice.active && ice.selected.is_none());
        let text = match ice {
            Some(ice) if ice.requests == 0 && ice.bad_integrity > 0 => {
                "ICE: the peer's checks do not verify, its password is not the one that it signalled".to_owned()
            }
            Some(ice) if ice.requests + ice.responses == 0 => {
                format!("ICE: nothing of the peer has arrived ({} candidates signalled)", ice.remote_candidates)
            }
            Some(ice) if ice.failed > 0 && ice.failed == ice.pairs.len() => "ICE: every pair has failed".to_owned(),
            Some(_) => "ICE: checks are under way".to_owned(),
            None if self.carrier == ShownCarrier::Gone => "the session that it was bundled with is gone".to_owned(),
            None if self.carrier != ShownCarrier::Own && self.peer.is_none() => {
                "the session that it is bundled with has no way to the peer yet".to_owned()
            }
            None if self.peer.is_none() => "the peer's address is not known yet".to_owned(),
            None => return None,
        };
        Some(text)
    }

    fn keys_verdict(&self) -> Option<String> {
        if self.keys_due && self.carrier != ShownCarrier::Own {
            return Some("the session that it is bundled with has no keys for it yet".to_owned());
        }
        let dtls = self.dtls.as_ref().filter(|_| self.keys_due)?;
        let why = if dtls.failed { "the handshake failed, the log says why" } else { dtls.progress };
        Some(format!("DTLS: {why} (we are {})", dtls.role))
    }

    fn flow_verdict(&self) -> String {
        let silent = |flow: &Flow| flow.silence.is_none_or(|silence| silence >= SILENCE);
        match (silent(&self.received), silent(&self.sent)) {
            (false, false) => "media flows both ways".to_owned(),
            (true, false) => self.silence_verdict(),
            (false, true) => "the peer is heard, but the channel has nothing to send".to_owned(),
            (true, true) => format!("{}, and the channel has nothing to send", self.silence_verdict()),
        }
    }

    fn silence_verdict(&self) -> String {
        let refused = |reason| self.refused.iter().any(|(known, _)| *known == reason);
        match self.received.silence {
            Some(silence) => format!("nothing was received for {} s", silence.as_secs()),
            None if refused(Refused::Source) => {
                "media arrives from another address than expected (strictrtp)".to_owned()
            }
            None if refused(Refused::Srtp) => "what arrives does not verify as SRTP".to_owned(),
            None if refused(Refused::NoKeys) => "what arrived was not encrypted, or came before the keys".to_owned(),
            None if refused(Refused::PayloadType) => {
                "what arrives has a payload type that was not negotiated".to_owned()
            }
            None => "nothing was received yet".to_owned(),
        }
    }
}

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = self.peer.map_or_else(|| "nobody yet".to_owned(), |peer| peer.to_string());
        writeln!(f, "Port {}, peer {peer}: {}", self.port, self.verdict())?;
        if let Some(ice) = &self.ice {
            writeln!(f, "  ICE:      {ice}")?;
            ice.pairs.iter().try_for_each(|pair| writeln!(f, "            {pair}"))?;
        }
        if let Some(dtls) = &self.dtls {
            writeln!(f, "  DTLS:     {}, {}", dtls.role, dtls.progress)?;
        }
        match (self.carrier, self.children) {
            (ShownCarrier::Port(port), _) => writeln!(f, "  Bundle:   over the transport of port {port}")?,
            (_, children @ 1..) => writeln!(f, "  Bundle:   carries {children} more")?,
            _ => {}
        }
        writeln!(f, "  Media:    {}", if self.encrypted { "SRTP" } else { "not encrypted" })?;
        writeln!(f, "  Received: {}", self.received)?;
        writeln!(f, "  Sent:     {}", self.sent)?;
        writeln!(f, "  RTCP:     {}", self.rtcp)?;
        if !self.refused.is_empty() {
            writeln!(f, "  Refused:  {}", self.refusals())?;
        }
        Ok(())
    }
}

impl Display for ShownIce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.active {
            return f.write_str("offered, the peer has not begun");
        }
        let selected = self.selected.as_deref().unwrap_or("no pair selected");
        let Self { role, requests, responses, bad_integrity, .. } = self;
        write!(
            f,
            "{role}, {selected}; checks received {requests}, answered {responses}, wrong password {bad_integrity}"
        )
    }
}

impl Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packets, octets, lost, jitter, .. } = self;
        let Some(silence) = self.silence else { return f.write_str("nothing") };
        let silence = silence.as_secs_f64();
        write!(f, "{packets} packets, {octets} octets, lost {lost}, jitter {jitter:.4} s, last {silence:.1} s ago")
    }
}

/// Longer than any pause between packets, comfort noise apart.
const SILENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn flowing() -> Shown {
        let flow = Flow { packets: 50, octets: 8000, silence: Some(Duration::from_millis(20)), lost: 1, jitter: 0.002 };
        Shown {
            port: 10_000,
            peer: Some(SocketAddr::from(([192, 0, 2, 1], 4000))),
            received: flow,
            sent: flow,
            rtcp: "off".to_owned(),
            ..Shown::default()
        }
    }

    #[test]
    fn a_healthy_call_in_five_lines() {
        let expected = "Port 10000, peer 192.0.2.1:4000: media flows both ways\n  \
             Media:    not encrypted\n  \
             Received: 50 packets, 8000 octets, lost 1, jitter 0.0020 s, last 0.0 s ago\n  \
             Sent:     50 packets, 8000 octets, lost 1, jitter 0.0020 s, last 0.0 s ago\n  \
             RTCP:     off\n";
        assert_eq!(flowing().to_string(), expected);
    }

    #[test]
    fn the_first_obstacle_on_the_way_is_the_answer() {
        let mut call = flowing();
        call.received.silence = None;
        assert_eq!(call.verdict(), "nothing was received yet");
        call.refused = vec![(Refused::Source, 9)];
        assert_eq!(call.verdict(), "media arrives from another address than expected (strictrtp)");
        call.dtls = Some(ShownDtls { role: "passive", progress: "waiting for the peer's ClientHello", failed: false });
        call.keys_due = true;
        assert_eq!(call.verdict(), "DTLS: waiting for the peer's ClientHello (we are passive)");
        call.ice = Some(ShownIce { active: true, remote_candidates: 2, ..ShownIce::default() });
        assert_eq!(call.verdict(), "ICE: nothing of the peer has arrived (2 candidates signalled)");
        call.stopped = true;
        assert_eq!(call.verdict(), "the host has stopped media: the call is on hold, or over");
    }

    #[test]
    fn ice_says_whether_it_is_the_network_or_the_password() {
        let mut call =
            Shown { ice: Some(ShownIce { active: true, bad_integrity: 3, ..Default::default() }), ..flowing() };
        assert!(call.verdict().contains("password"));
        let pairs = vec![String::new(); 2];
        call.ice = Some(ShownIce { active: true, requests: 1, failed: 2, pairs, ..Default::default() });
        assert_eq!(call.verdict(), "ICE: every pair has failed");
    }

    #[test]
    fn a_peer_that_went_silent_is_not_a_peer_that_never_spoke() {
        let mut call = flowing();
        call.received.silence = Some(Duration::from_secs(61));
        assert_eq!(call.verdict(), "nothing was received for 61 s");
        call.sent.silence = None;
        assert_eq!(call.verdict(), "nothing was received for 61 s, and the channel has nothing to send");
    }
}
