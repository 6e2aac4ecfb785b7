//! The likely cause of a call without audio, and the setting to change.
//!
//! The rules are in the order in which a call is set up: the first obstacle is the answer. What is wrong and did not stop the call is a
//! remark. A rule that the facts of the call leave open looks at the account's settings, if they are known.

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::time::Duration;

use crate::event::{By, Certificate, Handshake};

mod facts;
mod signalled;

pub use facts::{Account, Dtls, Facts, Ice, Media, NoSocket, Signalling};

/// The likely cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// One sentence: the cause and, if there is one, the setting to change.
    pub sentence: String,
    /// The key to change; empty if there is nothing to change.
    pub key: &'static str,
    /// Further faults, beside the first.
    pub remarks: Vec<String>,
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        self.remarks.iter().try_for_each(|remark| write!(f, "; also: {remark}"))
    }
}

fn because(key: &'static str, sentence: String) -> Option<Verdict> {
    Some(Verdict { sentence, key, remarks: Vec::new() })
}

impl Facts {
    /// Returns the likely cause and the setting to change; that media flows, if it does.
    pub fn verdict(&self) -> Verdict {
        let rules = [
            Self::draining,
            Self::no_socket,
            Self::bad_certificate,
            Self::wrong_credentials,
            Self::refused_by_host,
            Self::bad_offer,
            Self::bad_answer,
            Self::refused_by_client,
            Self::gone,
            Self::no_path,
            Self::no_keys,
            Self::no_media,
        ];
        let mut verdict = rules.iter().find_map(|rule| rule(self)).unwrap_or_else(|| self.healthy());
        verdict.remarks = self.remarks(verdict.key);
        verdict
    }

    fn media(&self) -> Option<&Media> {
        self.media.as_ref()
    }

    fn draining(&self) -> Option<Verdict> {
        let (By::Drain, status) = self.signalling.as_ref()?.refusal? else { return None };
        let why = "this host is draining (webrtc drain) and takes no new calls";
        because("", format!("{why}: it refused this one with {status}; 'webrtc drain off' in the console ends that"))
    }

    fn no_socket(&self) -> Option<Verdict> {
        let (key, advice) = self.no_socket?.advice(self.driver);
        because(key, format!("the call got no sockets: {advice}"))
    }

    fn bad_certificate(&self) -> Option<Verdict> {
        let problem = self.certificate().filter(|problem| *problem != Certificate::OutOfDate)?;
        let names = self.names();
        let key = match problem {
            Certificate::NoKey | Certificate::OtherKey => names.private_key,
            Certificate::Other => names.cipher,
            _ => names.certificate,
        };
        let others = if key == names.cipher { format!(" or {}", names.authorities) } else { String::new() };
        because(key, format!("DTLS cannot be set up: {problem}; correct {key}{others} in {}", self.section()))
    }

    fn gone(&self) -> Option<Verdict> {
        because("", self.media()?.gone.clone()?)
    }

    fn no_path(&self) -> Option<Verdict> {
        let media = self.media()?;
        let ice = media.ice.filter(|ice| ice.is_active && !ice.has_selected)?;
        if ice.requests == 0 && ice.wrong_password > 0 {
            let why = "the peer's checks fail authentication, because they do not use the password that we signalled";
            return because("", format!("ICE: {why}; something between the two changes SDP"));
        }
        if ice.requests > 0 && ice.responses == 0 {
            let why = "the peer's checks arrive, and nothing of ours reaches it: a firewall drops UDP that leaves this machine";
            return because("firewall", format!("ICE: {why}; open UDP from the ports {}", range(media)));
        }
        if ice.requests == 0 && ice.responses > 0 {
            let why = "our checks are answered, but the peer's own do not arrive";
            return because("firewall", format!("ICE: {why}; open UDP to the ports {} in the firewall", range(media)));
        }
        if ice.requests + ice.responses > 0 {
            return because("", "ICE: checks pass both ways, but no pair was selected".to_owned());
        }
        if media.candidates.is_empty() {
            return because(
                "ice_interfaces",
                format!(
                    "ICE: we have no candidate; see ice_interfaces, ice_permit and ice_deny in rtp.conf, and {}",
                    self.names().bound.line
                ),
            );
        }
        if let Some(trouble) = &self.turn {
            return because(
                self.turn_key(),
                format!("ICE: nothing of the peer arrives, and TURN does not work: {trouble}; {}", self.turn_advice()),
            );
        }
        if let Some(trouble) = &self.stun {
            return because(
                "stunaddr",
                format!(
                    "ICE: nothing of the peer arrives, and our public address is not known: {trouble}; correct stunaddr in rtp.conf"
                ),
            );
        }
        if media.candidates.iter().all(|own| own.ip().is_loopback())
            && media.peer_candidates.iter().any(|peer| !peer.ip().is_loopback())
        {
            let why = "our only candidates are loopback addresses, which the peer cannot reach";
            let bound = self.names().bound;
            return because(bound.key, format!("ICE: {why}; correct {} or ice_interfaces in rtp.conf", bound.line));
        }
        if media.candidates.iter().all(|own| is_private(own.ip()))
            && media.peer_candidates.iter().any(|peer| !is_private(peer.ip()))
        {
            let why = "our candidates are private addresses, and the peer is on another network";
            return because(
                "stunaddr",
                format!("ICE: {why}; set stunaddr, ice_external_address or turnaddr in rtp.conf"),
            );
        }
        because(
            "firewall",
            format!(
                "ICE: no check or answer of the peer has arrived: a firewall drops UDP; open UDP to and from the ports {} (rtpstart to rtpend of rtp.conf), or set turnaddr in rtp.conf",
                range(media)
            ),
        )
    }

    fn no_keys(&self) -> Option<Verdict> {
        let media = self.media().filter(|media| media.keys_due)?;
        let (names, of) = (self.names(), self.section());
        let Some(dtls) = media.dtls else {
            let see = names.encryption;
            return because(
                names.srtp.key,
                format!("media is to be encrypted and there are no keys; see {see} in {of}"),
            );
        };
        let (certificate, cipher) = (names.certificate, names.cipher);
        match dtls.failure {
            Some(Handshake::Fingerprint) => because(
                names.verify.key,
                "DTLS: the peer's certificate is not the one that its description names: somebody is in between, or has changed the SDP".to_owned(),
            ),
            Some(Handshake::NotTrusted) => because(
                names.verify.key,
                format!("DTLS: the peer's certificate is not trusted; browsers sign theirs themselves: set {} in {of}", names.verify.line),
            ),
            Some(failure @ Handshake::Alert(70 | 71 | 40)) => because(
                "dtlsminversion",
                format!("DTLS: handshake failed: {failure}; see dtlsminversion in rtp.conf and {cipher} in {of}"),
            ),
            Some(failure @ Handshake::Alert(_)) => because(
                certificate,
                format!("DTLS: handshake failed: {failure}: the peer does not take our certificate; see {certificate} in {of}"),
            ),
            Some(Handshake::TimedOut) if dtls.has_heard => because(
                "dtls_mtu",
                "DTLS: the handshake begins and does not end: large datagrams are lost on the way; set dtls_mtu = 600 in rtp.conf".to_owned(),
            ),
            Some(failure) => because(certificate, format!("DTLS: handshake failed: {failure}; see {certificate} and {cipher} in {of}")),
            None if dtls.has_heard => because(
                "dtls_mtu",
                "DTLS: the handshake began and has not ended: datagrams are lost on the way, or are too large; set dtls_mtu = 600 in rtp.conf".to_owned(),
            ),
            None => because(
                names.setup,
                format!("DTLS: no datagram of the peer's handshake has arrived; see {} in {of} (actpass is right for browsers)", names.setup),
            ),
        }
    }

    fn no_media(&self) -> Option<Verdict> {
        let media = self.media()?;
        let (names, of) = (self.names(), self.section());
        let heard = media.received.0 > 0;
        if !heard && media.refused_type > 0 {
            return because(
                "allow",
                format!("received packets have a payload type that was not agreed; see allow in {of}"),
            );
        }
        if !heard && media.refused_srtp > 0 {
            return because("", "received packets fail SRTP authentication: both ends have other keys".to_owned());
        }
        if !heard && media.refused_keys > 0 && media.is_encrypted {
            return because(
                names.srtp.key,
                format!("received packets are not encrypted, though that was agreed; see {} in {of}", names.srtp.key),
            );
        }
        if !heard && media.refused_source > 0 {
            let from = media.heard_from.map_or_else(|| "another address".to_owned(), |from| from.to_string());
            return because(
                "strictrtp",
                format!(
                    "media arrives from {from}, not from the address that was signalled, and strict RTP refuses it; see strictrtp in rtp.conf and {} in {of}",
                    names.nat.key
                ),
            );
        }
        if let (Some(signalled), Some(from)) = (media.signalled, media.heard_from)
            && heard
            && !media.follows
            && media.ice.is_none_or(|ice| !ice.is_active)
            && signalled.ip() != from.ip()
            && !signalled.ip().is_unspecified()
        {
            let why = format!(
                "media arrives from {from}, but ours goes to {signalled}, as signalled: the phone is behind a NAT"
            );
            return because(names.nat.key, format!("{why}; set {} in {of}", names.nat.line));
        }
        if media.is_stopped {
            return None;
        }
        let is_silent = media.received.1.is_none_or(|silence| silence >= SILENCE);
        if is_silent
            && self.account.get(names.direct_media.key).is_some_and(|value| !value.eq_ignore_ascii_case("no"))
            && heard
        {
            return because(
                names.direct_media.key,
                format!(
                    "the phones send media to each other, not to Asterisk; set {} in {of}",
                    names.direct_media.line
                ),
            );
        }
        if !heard && media.sent.0 > 0 {
            let why = "no packet of the peer has arrived: it sends none (microphone refused or muted), or a firewall drops UDP";
            return because("firewall", format!("{why}; open UDP to the ports {}", range(media)));
        }
        if !heard {
            return because("", "no packet of the peer has arrived, and the channel has nothing to send".to_owned());
        }
        if media.reported_loss.is_some_and(|loss| loss > MUCH_LOSS) {
            let why = "the peer loses much of what we send";
            return because(
                "firewall",
                format!("{why}; see the network and firewall for UDP from the ports {}", range(media)),
            );
        }
        None
    }

    fn healthy(&self) -> Verdict {
        let Some(media) = self.media() else {
            let origin = self.signalling.as_ref().and_then(|signalling| insecure(signalling.origin.as_deref()?));
            if let Some(origin) = origin {
                return Verdict { sentence: insecure_page(origin), key: "tlsenable", ..Verdict::default() };
            }
            return Verdict { sentence: "there was no media session".to_owned(), ..Verdict::default() };
        };
        let is_over = |flow: (u64, Option<Duration>)| flow.1.is_none_or(|silence| silence >= SILENCE);
        let sentence = match (is_over(media.received), is_over(media.sent)) {
            _ if media.is_stopped && media.received.0 > 0 => "media flowed; the host has stopped it".to_owned(),
            _ if media.is_stopped => "the host has stopped media: the call is on hold or has ended".to_owned(),
            (false, false) => "media flows both ways".to_owned(),
            (false, true) if media.sent.0 == 0 => "media is received, but the channel has nothing to send".to_owned(),
            (false, true) => "media is received; nothing was sent lately".to_owned(),
            (true, _) => match media.received.1 {
                Some(silence) => format!("nothing was received for {} s", silence.as_secs()),
                None => "nothing was received yet".to_owned(),
            },
        };
        Verdict { sentence, ..Verdict::default() }
    }

    fn turn_key(&self) -> &'static str {
        if self.turn.as_deref().is_some_and(is_about_password) { "turnpassword" } else { "turnaddr" }
    }

    fn turn_advice(&self) -> &'static str {
        turn_advice(self.turn.as_deref().unwrap_or_default())
    }

    fn remarks(&self, key: &str) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some(trouble) = self.turn.as_ref().filter(|_| !key.starts_with("turn")) {
            remarks.push(format!("TURN: {trouble}; {}", self.turn_advice()));
        }
        if let Some(trouble) = self.stun.as_ref().filter(|_| key != "stunaddr") {
            remarks.push(format!("STUN: {trouble}; correct stunaddr in rtp.conf"));
        }
        if self.media().is_some_and(|media| media.certificate == Some(Certificate::OutOfDate)) {
            remarks.push(format!(
                "{}; renew {} in {}",
                Certificate::OutOfDate,
                self.names().certificate,
                self.section()
            ));
        }
        let origin = self.signalling.as_ref().and_then(|signalling| insecure(signalling.origin.as_deref()?));
        if let Some(origin) = origin.filter(|_| key != "tlsenable") {
            remarks.push(insecure_page(origin));
        }
        remarks
    }
}

/// Returns the origin if browsers give its page no microphone: it is neither encrypted nor on the browser's own machine (Secure Contexts
/// §3.1).
pub fn insecure(origin: &str) -> Option<&str> {
    let host = origin.strip_prefix("http://")?;
    let name = host
        .strip_prefix('[')
        .map_or_else(|| host.split(':').next().unwrap_or_default(), |rest| rest.split(']').next().unwrap_or_default());
    let is_own = name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    (!is_own).then_some(origin)
}

fn insecure_page(origin: &str) -> String {
    format!(
        "the page is on {origin}, and browsers give no microphone to a page on http of another host; serve it by https: tlsenable and tlscertfile in http.conf"
    )
}

/// Returns the setting to change for this trouble with TURN servers.
pub fn turn_advice(trouble: &str) -> &'static str {
    if is_about_password(trouble) {
        "correct turnusername and turnpassword (or turnsecret) in rtp.conf"
    } else {
        "correct turnaddr in rtp.conf"
    }
}

fn is_about_password(trouble: &str) -> bool {
    let trouble = trouble.to_ascii_lowercase();
    ["password", "credential", "401", "441", "unauthori"].iter().any(|word| trouble.contains(word))
}

fn range(media: &Media) -> String {
    format!("{} to {}", media.ports.0, media.ports.1)
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local() || address.is_loopback(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.segments()[0] & 0xfe00 == 0xfc00 || address.is_unicast_link_local()
        }
    }
}

/// Time without a packet after which a direction counts as silent.
const SILENCE: Duration = Duration::from_secs(5);

/// A loss that nobody understands speech with.
const MUCH_LOSS: f64 = 0.5;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_pjsip;
