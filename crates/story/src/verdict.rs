//! The likely cause of a call without audio, and the setting to change.
//!
//! The rules are in the order in which a call is set up: the first obstacle is the answer. What is wrong and did not stop the call is a
//! remark. A rule that the facts of the call leave open looks at the account's settings, if they are known.

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::time::Duration;

use crate::event::{By, Certificate, Handshake, Lacks};

mod facts;

use facts::is_yes;

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
        let (key, advice) = self.no_socket?.advice();
        because(key, format!("the call got no sockets: {advice}"))
    }

    fn bad_certificate(&self) -> Option<Verdict> {
        let problem = self.media()?.certificate.filter(|problem| *problem != Certificate::OutOfDate)?;
        let key = match problem {
            Certificate::NoKey | Certificate::OtherKey => "dtlsprivatekey",
            Certificate::Other => "dtlscipher",
            _ => "dtlscertfile",
        };
        let others = if key == "dtlscipher" { " or dtlscafile" } else { "" };
        because(key, format!("DTLS cannot be set up: {problem}; correct {key}{others} in {}", self.account.section()))
    }

    fn wrong_credentials(&self) -> Option<Verdict> {
        let signalling = self.signalling.as_ref()?;
        let is_forbidden = matches!(signalling.refusal, Some((By::Host, 403)));
        let is_challenged = matches!(signalling.refusal, Some((By::Host, 401 | 407)));
        if !(is_forbidden || is_challenged && signalling.wrong_credentials > 0) {
            return None;
        }
        let of = self.account.section();
        if let Some(transport) = self.account.get("transport").filter(|transport| !transport.contains("ws")) {
            return because(
                "transport",
                format!("Asterisk refuses the client: transport = {transport} lacks ws or wss; add it in {of}"),
            );
        }
        because("secret", format!("Asterisk refuses the client's name or password; compare secret in {of}"))
    }

    fn refused_by_host(&self) -> Option<Verdict> {
        let signalling = self.signalling.as_ref()?;
        let (By::Host, status) = signalling.refusal? else { return None };
        let (account, of) = (&self.account, self.account.section());
        let offer = signalling.offer.unwrap_or_default();
        let has_dtls = self.media().is_some_and(|media| media.dtls.is_some());
        let is_secure = signalling.offer.is_some() && !offer.any(Lacks::SECURITY);
        let wants_dtls = is_secure && !offer.any(Lacks::FINGERPRINT);
        match status {
            486 | 480 | 600 | 603 | 487 => {
                because("", format!("the called party did not answer or is busy ({status})"))
            }
            404 | 484 => because(
                "context",
                format!("Asterisk knows no such extension ({status}); see extensions.conf and context in {of}"),
            ),
            _ if status >= 500 && self.media.is_none() => because(
                "",
                format!("Asterisk refused the call with {status} before there was a session of RTP; see its log"),
            ),
            488 | 606 | 415 | 500 => {
                if wants_dtls && !has_dtls {
                    return because(
                        "dtlsenable",
                        format!(
                            "Asterisk refused the call with {status}: the browser offers DTLS-SRTP and the account has none; set dtlsenable = yes (and dtlscertfile) in {of}"
                        ),
                    );
                }
                if is_secure && account.lacks("encryption") {
                    return because(
                        "encryption",
                        format!(
                            "Asterisk refused the call with {status}: the client encrypts media and the account does not; set encryption = yes in {of}"
                        ),
                    );
                }
                if !is_secure && account.get("encryption").is_some_and(is_yes) {
                    return because(
                        "encryption",
                        format!(
                            "Asterisk refused the call with {status}: the client offers media without encryption; it has to encrypt, or set encryption = no in {of}"
                        ),
                    );
                }
                if !offer.any(Lacks::FEEDBACK) && account.lacks("avpf") {
                    return because(
                        "avpf",
                        format!(
                            "Asterisk refused the call with {status}: the browser offers SAVPF and the account does not; set avpf = yes in {of}"
                        ),
                    );
                }
                because(
                    "allow",
                    format!(
                        "Asterisk refused the call with {status}: no codec in common, the client offers {}; set allow in {of}, for example allow = ulaw",
                        signalling.formats
                    ),
                )
            }
            status => because("", format!("Asterisk refused the call with {status}; see its log")),
        }
    }

    /// An offer of ours to a browser that lacks what browsers need. It need not have been answered.
    fn bad_offer(&self) -> Option<Verdict> {
        let signalling = self.signalling.as_ref()?;
        let offer = signalling.offer.filter(|_| signalling.offered_by == Some(By::Host))?;
        let answer = signalling.answer;
        let failed = signalling.refusal.is_some() || self.ended_at_once(signalling);
        let answered_with = |lack| answer.is_some_and(|answer| !answer.any(lack));
        let of = self.account.section();
        if !failed {
            return None;
        }
        if offer.any(Lacks::FINGERPRINT) {
            let why = "our offer has no a=fingerprint, which browsers need";
            return because("dtlsenable", format!("{why}; set dtlsenable = yes (and dtlscertfile) in {of}"));
        }
        if offer.any(Lacks::FEEDBACK) && (answered_with(Lacks::FEEDBACK) || self.account.lacks("avpf")) {
            let why = "our offer is without feedback (SAVP) and browsers answer SAVPF, so the answer is not taken";
            return because("avpf", format!("{why}; set avpf = yes in {of}"));
        }
        if offer.any(Lacks::ICE) {
            return self.no_ice("our offer");
        }
        if offer.any(Lacks::SECURITY) {
            return because("encryption", format!("our offer is not encrypted; set encryption = yes in {of}"));
        }
        None
    }

    /// An answer that lacks what was offered.
    fn bad_answer(&self) -> Option<Verdict> {
        let signalling = self.signalling.as_ref()?;
        let (offer, answer) = (signalling.offer?, signalling.answer?);
        if signalling.offered_by != Some(By::Client) {
            return None;
        }
        let lost = |lack| answer.any(lack) && !offer.any(lack);
        let of = self.account.section();
        if lost(Lacks::ICE) {
            return self.no_ice("our answer");
        }
        if lost(Lacks::FINGERPRINT) {
            let why = "our answer has no a=fingerprint, though the browser offered DTLS";
            return because("dtlsenable", format!("{why}; set dtlsenable = yes (and dtlscertfile) in {of}"));
        }
        if lost(Lacks::FEEDBACK) && self.ended_at_once(signalling) {
            return because("avpf", format!("our answer is without feedback (AVPF); set avpf = yes in {of}"));
        }
        if lost(Lacks::PORT) {
            return because("allow", format!("our answer refuses the audio; set allow in {of}"));
        }
        None
    }

    fn no_ice(&self, which: &str) -> Option<Verdict> {
        let is_off_everywhere = self.media().is_some_and(|media| !media.ice_wanted);
        let place = if is_off_everywhere { "rtp.conf".to_owned() } else { self.account.section() };
        because(
            "icesupport",
            format!(
                "{which} has no ICE (a=ice-ufrag), without which browsers set up no media; set icesupport = yes in {place}"
            ),
        )
    }

    fn ended_at_once(&self, signalling: &Signalling) -> bool {
        let heard = self.media().is_some_and(|media| media.received.0 > 0);
        !heard && signalling.bye.is_some_and(|(_, after)| after < AT_ONCE)
    }

    fn refused_by_client(&self) -> Option<Verdict> {
        let signalling = self.signalling.as_ref()?;
        let (By::Client, status) = signalling.refusal? else { return None };
        Some(match status {
            486 | 480 | 600 | 603 => Verdict {
                sentence: format!("the client is busy or does not take the call ({status})"),
                ..Verdict::default()
            },
            status => Verdict {
                sentence: format!(
                    "the browser refused our offer with {status}: it has no codec in common or cannot read the description; offered were {}; see allow in {}",
                    signalling.formats,
                    self.account.section()
                ),
                key: "allow",
                remarks: Vec::new(),
            },
        })
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
                "ICE: we have no candidate; see ice_interfaces, ice_permit and ice_deny in rtp.conf, and bindaddr in sip.conf".to_owned(),
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
            return because(
                "bindaddr",
                format!("ICE: {why}; correct bindaddr in sip.conf or ice_interfaces in rtp.conf"),
            );
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
        let of = self.account.section();
        let Some(dtls) = media.dtls else {
            return because(
                "encryption",
                format!("media is to be encrypted and there are no keys; see encryption and dtlsenable in {of}"),
            );
        };
        match dtls.failure {
            Some(Handshake::Fingerprint) => because(
                "dtlsverify",
                "DTLS: the peer's certificate is not the one that its description names: somebody is in between, or has changed the SDP".to_owned(),
            ),
            Some(Handshake::NotTrusted) => because(
                "dtlsverify",
                format!("DTLS: the peer's certificate is not trusted; browsers sign theirs themselves: set dtlsverify = fingerprint in {of}"),
            ),
            Some(failure @ Handshake::Alert(70 | 71 | 40)) => because(
                "dtlsminversion",
                format!("DTLS: handshake failed: {failure}; see dtlsminversion in rtp.conf and dtlscipher in {of}"),
            ),
            Some(failure @ Handshake::Alert(_)) => because(
                "dtlscertfile",
                format!("DTLS: handshake failed: {failure}: the peer does not take our certificate; see dtlscertfile in {of}"),
            ),
            Some(Handshake::TimedOut) if dtls.has_heard => because(
                "dtls_mtu",
                "DTLS: the handshake begins and does not end: large datagrams are lost on the way; set dtls_mtu = 600 in rtp.conf".to_owned(),
            ),
            Some(failure) => because("dtlscertfile", format!("DTLS: handshake failed: {failure}; see dtlscertfile and dtlscipher in {of}")),
            None if dtls.has_heard => because(
                "dtls_mtu",
                "DTLS: the handshake began and has not ended: datagrams are lost on the way, or are too large; set dtls_mtu = 600 in rtp.conf".to_owned(),
            ),
            None => because(
                "dtlssetup",
                format!("DTLS: no datagram of the peer's handshake has arrived; see dtlssetup in {of} (actpass is right for browsers)"),
            ),
        }
    }

    fn no_media(&self) -> Option<Verdict> {
        let media = self.media()?;
        let of = self.account.section();
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
                "encryption",
                format!("received packets are not encrypted, though that was agreed; see encryption in {of}"),
            );
        }
        if !heard && media.refused_source > 0 {
            let from = media.heard_from.map_or_else(|| "another address".to_owned(), |from| from.to_string());
            return because(
                "strictrtp",
                format!(
                    "media arrives from {from}, not from the address that was signalled, and strict RTP refuses it; see strictrtp in rtp.conf and nat in {of}"
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
            return because("nat", format!("{why}; set nat = force_rport,comedia in {of}"));
        }
        if media.is_stopped {
            return None;
        }
        let is_silent = media.received.1.is_none_or(|silence| silence >= SILENCE);
        if is_silent && self.account.get("directmedia").is_some_and(|value| !value.eq_ignore_ascii_case("no")) && heard
        {
            return because(
                "directmedia",
                format!("the phones send media to each other, not to Asterisk; set directmedia = no in {of}"),
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
            remarks.push(format!("{}; renew dtlscertfile in {}", Certificate::OutOfDate, self.account.section()));
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

/// A call that ends this soon after its answer has failed.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Time without a packet after which a direction counts as silent.
const SILENCE: Duration = Duration::from_secs(5);

/// A loss that nobody understands speech with.
const MUCH_LOSS: f64 = 0.5;

#[cfg(test)]
mod tests;
