//! The rules about what SIP tells: calls and registrations that are refused, and descriptions that lack what browsers need.

use std::time::Duration;

use super::{Facts, Signalling, Verdict, because};
use crate::driver::{Driver, Setting};
use crate::event::{By, Lacks};

impl Facts {
    pub(super) fn wrong_credentials(&self) -> Option<Verdict> {
        let signalling = self.signalling.as_ref()?;
        let is_forbidden = matches!(signalling.refusal, Some((By::Host, 403)));
        let is_challenged = matches!(signalling.refusal, Some((By::Host, 401 | 407)));
        if !(is_forbidden || is_challenged && signalling.wrong_credentials > 0) {
            return None;
        }
        match self.driver {
            Driver::ChanSip => self.not_admitted(signalling),
            Driver::ChanPjsip if is_challenged => self.wrong_password(),
            Driver::ChanPjsip if signalling.is_registration => self.no_registration(),
            Driver::ChanPjsip => because(
                "permit",
                "Asterisk forbids the call (403); see permit and deny in pjsip.conf (type = acl), and the dialplan"
                    .to_owned(),
            ),
        }
    }

    /// chan_sip answers the same to a wrong password, to a client that it does not know, and to one that it may not know
    /// (`alwaysauthreject`), so the account's settings tell which.
    fn not_admitted(&self, signalling: &Signalling) -> Option<Verdict> {
        let (account, of) = (&self.account, self.section());
        if let Some(transport) = account.get("transport").filter(|transport| !transport.contains("ws")) {
            let why = format!("Asterisk refuses the client: transport = {transport} lacks ws or wss");
            return because("transport", format!("{why}; add it in {of}"));
        }
        let of_registration = |key| account.get(key).filter(|_| signalling.is_registration);
        if of_registration("type").is_some_and(|kind| kind.eq_ignore_ascii_case("user")) {
            let why = "Asterisk takes no registration of this account, which has type = user";
            return because("type", format!("{why}; set type = friend in {of}"));
        }
        if let Some(host) = of_registration("host").filter(|host| !host.eq_ignore_ascii_case("dynamic")) {
            let why = format!("Asterisk takes no registration of this account, which has host = {host}");
            return because("host", format!("{why}; set host = dynamic in {of}"));
        }
        let lists: Vec<_> = ["deny", "permit", "acl"].into_iter().filter(|key| account.get(key).is_some()).collect();
        if !lists.is_empty() {
            let why = "Asterisk refuses the client's address, name or password";
            return because("permit", format!("{why}; see {}, and compare secret, in {of}", lists.join(", ")));
        }
        if account.name.is_none() {
            let why = "Asterisk refuses the client's name or password, or has no such account";
            return because("secret", format!("{why}; compare the section's name and secret in sip.conf"));
        }
        because("secret", format!("Asterisk refuses the client's name or password; compare secret in {of}"))
    }

    /// chan_pjsip answers the same to a client of no endpoint, and has no endpoint if its section has an error.
    fn wrong_password(&self) -> Option<Verdict> {
        let why = "Asterisk refuses the client's name or password, or has no such endpoint";
        let section = match self.account.get("auth") {
            Some(auth) => format!("[{auth}]"),
            None => "the section that auth of the endpoint names".to_owned(),
        };
        because("password", format!("{why}; compare username and password in {section} of pjsip.conf (type = auth)"))
    }

    /// chan_pjsip forbids registrations to endpoints without an address of record, and those that may have no contact.
    fn no_registration(&self) -> Option<Verdict> {
        match self.account.get("aors") {
            None if self.account.name.is_some() => because(
                "aors",
                format!("Asterisk forbids the registration (403); set aors in {} (type = endpoint)", self.section()),
            ),
            aors => {
                let section = aors.map_or_else(|| "the client's section".to_owned(), |aors| format!("[{aors}]"));
                because(
                    "max_contacts",
                    format!(
                        "Asterisk forbids the registration (403): its address of record takes no contact, or no further one; set max_contacts = 1 (or more) and remove_existing = yes in {section} of pjsip.conf (type = aor)"
                    ),
                )
            }
        }
    }

    pub(super) fn refused_by_host(&self) -> Option<Verdict> {
        let signalling = self.signalling.as_ref()?;
        let (By::Host, status) = signalling.refusal? else { return None };
        match status {
            486 | 480 | 600 | 603 | 487 => {
                let limit = self.account.get("call-limit").filter(|_| status == 480);
                let limit = limit.map_or_else(String::new, |limit| {
                    format!(", or the account has as many calls as call-limit = {limit} in {} allows", self.section())
                });
                because("", format!("the called party did not answer or is busy ({status}){limit}"))
            }
            404 if signalling.is_registration && self.driver == Driver::ChanPjsip => because(
                "aors",
                format!(
                    "Asterisk has no such address of record (404); set aors in {}, and make the section that it names (type = aor)",
                    self.section()
                ),
            ),
            404 | 484 => because(
                "context",
                format!(
                    "Asterisk knows no such extension ({status}); see extensions.conf and context in {}",
                    self.section()
                ),
            ),
            _ if status >= 500 && self.media.is_none() => because(
                "",
                format!("Asterisk refused the call with {status} before there was a session of RTP; see its log"),
            ),
            488 | 606 | 415 | 500 => self.not_acceptable(signalling, status),
            status => because("", format!("Asterisk refused the call with {status}; see its log")),
        }
    }

    /// Tells what of an offer the host does not accept (RFC 3261 §21.4.26).
    fn not_acceptable(&self, signalling: &Signalling, status: u16) -> Option<Verdict> {
        let (names, of) = (self.names(), self.section());
        let account = names.account;
        let offer = signalling.offer.unwrap_or_default();
        let is_secure = signalling.offer.is_some() && !offer.any(Lacks::SECURITY);
        let wants_dtls = is_secure && !offer.any(Lacks::FINGERPRINT);
        let set = |setting: Setting, why: String| {
            because(
                setting.key,
                format!("Asterisk refused the call with {status}: {why}; set {} in {of}", setting.line),
            )
        };
        if wants_dtls && !self.has_dtls() {
            return set(names.dtls, format!("the browser offers DTLS-SRTP and the {account} has none"));
        }
        if is_secure && self.lacks_encryption() {
            return set(names.srtp, format!("the client encrypts media and the {account} does not"));
        }
        if !is_secure && self.has_encryption() {
            let clear = names.clear;
            return because(
                clear.key,
                format!(
                    "Asterisk refused the call with {status}: the client offers media without encryption; it has to encrypt, or set {} in {of}",
                    clear.line
                ),
            );
        }
        if !offer.any(Lacks::FEEDBACK) && self.lacks_feedback() {
            return set(names.feedback, format!("the browser offers SAVPF and the {account} does not"));
        }
        if offer.any(Lacks::FEEDBACK) && self.wants_feedback() {
            let key = names.feedback.key;
            let why = "the client offers media without feedback (AVPF)";
            return because(key, format!("Asterisk refused the call with {status}: {why}; set {key} = no in {of}"));
        }
        because(
            "allow",
            format!(
                "Asterisk refused the call with {status}: no codec in common, the client offers {}; set allow in {of}, for example allow = ulaw",
                signalling.formats
            ),
        )
    }

    /// An offer of ours to a browser that lacks what browsers need. It need not have been answered.
    pub(super) fn bad_offer(&self) -> Option<Verdict> {
        let signalling = self.signalling.as_ref()?;
        let offer = signalling.offer.filter(|_| signalling.offered_by == Some(By::Host))?;
        let answer = signalling.answer;
        let failed = signalling.refusal.is_some() || self.ended_at_once(signalling);
        let answered_with = |lack| answer.is_some_and(|answer| !answer.any(lack));
        if !failed {
            return None;
        }
        if offer.any(Lacks::FINGERPRINT) {
            return self.set(self.names().dtls, "our offer has no a=fingerprint, which browsers need");
        }
        if offer.any(Lacks::FEEDBACK) && (answered_with(Lacks::FEEDBACK) || self.lacks_feedback()) {
            let why = "our offer is without feedback (SAVP) and browsers answer SAVPF, so the answer is not taken";
            return self.set(self.names().feedback, why);
        }
        if offer.any(Lacks::ICE) {
            return self.no_ice("our offer");
        }
        if offer.any(Lacks::SECURITY) {
            return self.set(self.names().srtp, "our offer is not encrypted");
        }
        None
    }

    /// An answer that lacks what was offered.
    pub(super) fn bad_answer(&self) -> Option<Verdict> {
        let signalling = self.signalling.as_ref()?;
        let (offer, answer) = (signalling.offer?, signalling.answer?);
        if signalling.offered_by != Some(By::Client) {
            return None;
        }
        let lost = |lack| answer.any(lack) && !offer.any(lack);
        if lost(Lacks::ICE) {
            return self.no_ice("our answer");
        }
        if lost(Lacks::FINGERPRINT) {
            return self.set(self.names().dtls, "our answer has no a=fingerprint, though the browser offered DTLS");
        }
        if lost(Lacks::FEEDBACK) && self.ended_at_once(signalling) {
            return self.set(self.names().feedback, "our answer is without feedback (AVPF)");
        }
        if lost(Lacks::PORT) {
            return because("allow", format!("our answer refuses the audio; set allow in {}", self.section()));
        }
        None
    }

    /// Names a setting of the account.
    fn set(&self, setting: Setting, why: &str) -> Option<Verdict> {
        because(setting.key, format!("{why}; set {} in {}", setting.line, self.section()))
    }

    fn no_ice(&self, which: &str) -> Option<Verdict> {
        let is_off_everywhere = self.media().is_some_and(|media| !media.ice_wanted);
        let (ice, place) = if is_off_everywhere {
            (ICE_OF_RTP_CONF, "rtp.conf".to_owned())
        } else {
            (self.names().ice, self.section())
        };
        because(
            ice.key,
            format!(
                "{which} has no ICE (a=ice-ufrag), without which browsers set up no media; set {} in {place}",
                ice.line
            ),
        )
    }

    fn ended_at_once(&self, signalling: &Signalling) -> bool {
        let heard = self.media().is_some_and(|media| media.received.0 > 0);
        !heard && signalling.bye.is_some_and(|(_, after)| after < AT_ONCE)
    }

    pub(super) fn refused_by_client(&self) -> Option<Verdict> {
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
                    self.section()
                ),
                key: "allow",
                remarks: Vec::new(),
            },
        })
    }
}

const ICE_OF_RTP_CONF: Setting = Setting { key: "icesupport", line: "icesupport = yes" };

/// A call that ends this soon after its answer has failed.
const AT_ONCE: Duration = Duration::from_secs(3);
