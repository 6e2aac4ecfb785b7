//! Explains why a session has no audio. `rtp show sessions` prints for each session one sentence with the reason, and below it the
//! facts that it is based on.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::Duration;

use super::counters::Refused;
use super::gone::ShownGone;

/// The facts about a session that `rtp show sessions` prints.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Our UDP port for media.
    pub port: u16,
    /// The address that media is sent to, or the signalled address while it cannot be sent.
    pub peer: Option<SocketAddr>,
    /// Whether the host has stopped media.
    pub stopped: bool,
    /// Whether nothing is sent until the host uses the session again.
    pub silent: bool,
    /// The session whose sockets and keys carry the stream.
    pub carrier: ShownCarrier,
    /// Number of other sessions whose streams this session carries.
    pub children: usize,
    /// The state of ICE; `None` without ICE.
    pub ice: Option<ShownIce>,
    /// The state of DTLS; `None` if it is not configured.
    pub dtls: Option<ShownDtls>,
    /// The signs that the peer is gone; `None` if there are none.
    pub gone: Option<ShownGone>,
    /// Whether media waits for SRTP keys.
    pub keys_due: bool,
    /// Whether media is, or will be, encrypted.
    pub encrypted: bool,
    /// Whether the host's G.719 is Opus.
    pub has_opus: bool,
    /// The stream that we receive.
    pub received: Flow,
    /// The stream that we send.
    pub sent: Flow,
    /// The state of RTCP in words.
    pub rtcp: String,
    /// Counts of refused packets by reason; only those above zero.
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
    /// A parent that has ended.
    Gone,
}

/// The state of ICE in a session.
#[derive(Debug, Clone, Default)]
pub struct ShownIce {
    /// Whether the peer uses ICE.
    pub active: bool,
    /// "controlling" or "controlled".
    pub role: String,
    /// The selected pair of component 1.
    pub selected: Option<String>,
    /// Candidate pairs with their states, one line each.
    pub pairs: Vec<String>,
    /// Number of failed pairs.
    pub failed: usize,
    /// Number of candidates of the peer.
    pub remote_candidates: usize,
    /// Whether the peer has said that no more candidates follow (RFC 8838 §13).
    pub has_all_candidates: bool,
    /// Number of candidates that came after the description and could not be used.
    pub ignored_candidates: u64,
    /// Number of candidates' names that nobody has answered for (RFC 6762).
    pub unanswered_names: u64,
    /// Number of authenticated connectivity checks received.
    pub requests: u64,
    /// Number of authenticated responses to our checks.
    pub responses: u64,
    /// Number of received checks with a wrong password (MESSAGE-INTEGRITY, RFC 8489 §14.5).
    pub bad_integrity: u64,
}

/// The state of DTLS in a session.
#[derive(Debug, Clone, Default)]
pub struct ShownDtls {
    /// Our role in words (RFC 5763 §5).
    pub role: &'static str,
    /// The progress of the handshake in words.
    pub progress: &'static str,
    /// Whether the handshake failed.
    pub failed: bool,
}

/// The statistics of one direction of media.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flow {
    /// Packets so far.
    pub packets: u64,
    /// Octets of payload so far.
    pub octets: u64,
    /// Time since the last packet; `None` before the first.
    pub silence: Option<Duration>,
    /// Cumulative number of packets lost (RFC 3550 §6.4.1); negative with duplicates.
    pub lost: i64,
    /// Interarrival jitter in seconds.
    pub jitter: f64,
}

impl Shown {
    /// Returns one sentence that says whether media flows, and if not, the first obstacle: a peer that is gone, stopped media, no
    /// route, no keys, or no packets.
    pub fn verdict(&self) -> String {
        if let Some(gone) = self.gone.as_ref().filter(|gone| gone.is_suspected) {
            return gone.to_string();
        }
        let signalling = self.gone.as_ref().map(|gone| format!("; {gone}")).unwrap_or_default();
        let obstacle = self.stopped_verdict().or_else(|| self.path_verdict()).or_else(|| self.keys_verdict());
        obstacle.unwrap_or_else(|| self.flow_verdict()) + &signalling
    }

    /// Returns the counts of refused packets in words; empty if there are none.
    pub fn refusals(&self) -> String {
        let told: Vec<String> = self.refused.iter().map(|(why, count)| format!("{} {count}", why.name())).collect();
        told.join(", ")
    }

    fn stopped_verdict(&self) -> Option<String> {
        let text = match self.silent {
            true => "the host has stopped the session: the call has ended, or the peer refuses the stream",
            false => "the host has stopped media: the call is on hold or has ended",
        };
        self.stopped.then(|| text.to_owned())
    }

    fn path_verdict(&self) -> Option<String> {
        let ice = self.ice.as_ref().filter(|ice| ice.active && ice.selected.is_none());
        let text = match ice {
            Some(ice) if ice.requests == 0 && ice.bad_integrity > 0 => {
                "ICE: the peer's checks fail authentication, because they do not use the password that we signalled"
                    .to_owned()
            }
            Some(ice) if ice.requests + ice.responses == 0 => {
                format!(
                    "ICE: no check or answer of the peer has arrived ({} candidates signalled{})",
                    ice.remote_candidates,
                    if ice.has_all_candidates { ", no more follow" } else { "" }
                )
            }
            Some(ice) if ice.failed > 0 && ice.failed == ice.pairs.len() && ice.has_all_candidates => {
                "ICE: every candidate pair has failed and the peer has no more candidates, we wait for its own checks"
                    .to_owned()
            }
            Some(ice) if ice.failed > 0 && ice.failed == ice.pairs.len() => {
                "ICE: every candidate pair has failed".to_owned()
            }
            Some(_) => "ICE: checks are under way".to_owned(),
            None if self.carrier == ShownCarrier::Gone => "the session that it was bundled with has ended".to_owned(),
            None if self.carrier != ShownCarrier::Own && self.peer.is_none() => {
                "the session that it is bundled with has no route to the peer yet".to_owned()
            }
            None if self.peer.is_none() => "the peer's address is not known yet".to_owned(),
            None => return None,
        };
        Some(text)
    }

    fn keys_verdict(&self) -> Option<String> {
        if self.keys_due && self.carrier != ShownCarrier::Own {
            return Some("the session that it is bundled with has no SRTP keys for it yet".to_owned());
        }
        let dtls = self.dtls.as_ref().filter(|_| self.keys_due)?;
        let why = if dtls.failed { "the handshake failed, see the log for the reason" } else { dtls.progress };
        Some(format!("DTLS: {why} (we are {})", dtls.role))
    }

    fn flow_verdict(&self) -> String {
        let silent = |flow: &Flow| flow.silence.is_none_or(|silence| silence >= SILENCE);
        match (silent(&self.received), silent(&self.sent)) {
            (false, false) => "media flows both ways".to_owned(),
            (true, false) => self.silence_verdict(),
            (false, true) => "media is received, but the channel has nothing to send".to_owned(),
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
            None if refused(Refused::Srtp) => "received packets fail SRTP authentication".to_owned(),
            None if refused(Refused::NoKeys) => {
                "received packets were not encrypted, or arrived before the SRTP keys were agreed".to_owned()
            }
            None if refused(Refused::PayloadType) => {
                "received packets have a payload type that was not negotiated".to_owned()
            }
            None => "nothing was received yet".to_owned(),
        }
    }
}

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = self.peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
        writeln!(f, "Port {}, peer {peer}: {}", self.port, self.verdict())?;
        if let Some(ice) = &self.ice {
            writeln!(f, "  ICE:      {ice}")?;
            ice.pairs.iter().try_for_each(|pair| writeln!(f, "            {pair}"))?;
        }
        if let Some(dtls) = &self.dtls {
            writeln!(f, "  DTLS:     {}, {}", dtls.role, dtls.progress)?;
        }
        match (self.carrier, self.children) {
            (ShownCarrier::Port(port), _) => {
                writeln!(f, "  Bundle:   uses the transport of the session on port {port}")?
            }
            (_, children @ 1..) => writeln!(f, "  Bundle:   carries {children} more sessions")?,
            _ => {}
        }
        let carried = if self.has_opus { ", Opus (G.719 to Asterisk)" } else { "" };
        writeln!(f, "  Media:    {}{carried}", if self.encrypted { "SRTP" } else { "not encrypted" })?;
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
            return f.write_str("offered, but the peer has not used it");
        }
        let selected = self.selected.as_deref().unwrap_or("no pair selected");
        let Self { role, requests, responses, bad_integrity, .. } = self;
        write!(
            f,
            "{role}, {selected}; checks received {requests}, answered {responses}, wrong password {bad_integrity}"
        )?;
        for (count, what) in
            [(self.ignored_candidates, "candidates ignored"), (self.unanswered_names, "names without an answer")]
        {
            if count > 0 {
                write!(f, ", {what} {count}")?;
            }
        }
        Ok(())
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

/// Time without a packet after which a direction counts as silent.
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
    fn opus_has_its_own_name() {
        let call = Shown { encrypted: true, has_opus: true, ..flowing() };
        assert!(call.to_string().contains("\n  Media:    SRTP, Opus (G.719 to Asterisk)\n"), "{call}");
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
        assert_eq!(call.verdict(), "ICE: no check or answer of the peer has arrived (2 candidates signalled)");
        call.stopped = true;
        assert_eq!(call.verdict(), "the host has stopped media: the call is on hold or has ended");
        call.silent = true;
        assert!(call.verdict().starts_with("the host has stopped the session: "));
    }

    #[test]
    fn a_peer_that_is_gone_is_the_first_thing_to_know_and_a_closed_websocket_the_last() {
        let mut call = flowing();
        let closed = Some(Duration::from_secs(3));
        call.gone = Some(ShownGone { signalling_closed: closed, ..ShownGone::default() });
        assert_eq!(call.verdict(), "media flows both ways; its WebSocket closed 3 s ago");
        call.gone = Some(ShownGone { is_suspected: true, dtls_closed: closed, ..ShownGone::default() });
        call.stopped = true;
        assert!(call.verdict().starts_with("the peer is gone: its DTLS closed (close_notify) 3 s ago; "));
    }

    #[test]
    fn ice_says_whether_it_is_the_network_or_the_password() {
        let mut call =
            Shown { ice: Some(ShownIce { active: true, bad_integrity: 3, ..Default::default() }), ..flowing() };
        assert!(call.verdict().contains("password"));
        let pairs = vec![String::new(); 2];
        let failed = ShownIce { active: true, requests: 1, failed: 2, pairs, ..Default::default() };
        call.ice = Some(failed.clone());
        assert_eq!(call.verdict(), "ICE: every candidate pair has failed");
        call.ice = Some(ShownIce { has_all_candidates: true, ..failed });
        assert!(call.verdict().contains("the peer has no more candidates"));
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
