//! A call of this host with itself over one of its addresses: a session of this engine, as a channel driver makes it, and a peer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::story::event::Unbound;
use ::story::verdict::NoSocket;
use asterisk::Format;
use asterisk::format::Codec;
use asterisk::rtp::{
    self as host, Component, Dtls as _, DtlsConfig, Engine as _, HOST_NEGOTIATES_MUX, Hash, Ice as _, OwnInstance,
    Property, RTCP_ON_ONE_PORT, Setup,
};
use ice::Credentials;
use rtp::rtcp::mux::Policy;
use story::Driver;

use super::peer::{Described, Peer};
use super::step::Step;
use crate::clock;
use crate::config::Settings;
use crate::diagnosis::drivers;
use crate::globals::Globals;
use crate::host::ice::to_host;
use crate::session::Session;
use crate::transport::sockets::Pair;
use crate::transport::{certificates, ports};

/// Calls over each address at once, and tells a step for each.
pub fn steps(globals: &Globals, addresses: &[IpAddr], mut tell: impl FnMut(Step)) {
    let settings = globals.settings();
    if !host::srtp_registered() {
        return tell(Step::failed(
            "SRTP",
            "no SRTP module is loaded, so browsers cannot call; load res_srtp.so (modules.conf)",
        ));
    }
    if !settings.ice {
        return tell(Step::failed(
            "ICE",
            "icesupport is off, so browsers cannot call; set icesupport = yes in rtp.conf",
        ));
    }
    let mut calls: Vec<_> = addresses.iter().map(|ip| (*ip, Call::begin(*ip, &settings))).collect();
    let end = Instant::now() + PATIENCE;
    let mut waits = true;
    while waits && Instant::now() < end {
        waits = false;
        for (_, call) in &mut calls {
            if let Ok(call) = call {
                call.drive(clock::now());
                waits |= !call.is_over();
            }
        }
        std::thread::sleep(BETWEEN_TURNS);
    }
    for (ip, call) in calls {
        tell(Step::of(format!("Call over {ip}"), call.and_then(|call| call.verdict(&settings))));
    }
}

/// One call. The peer goes before the instance, which its SRTP depends on.
struct Call {
    ip: IpAddr,
    peer: Peer,
    session: Arc<Session>,
    instance: OwnInstance<Session>,
    audio: Format,
    began: Instant,
    next: Instant,
    has_reported: bool,
    says_rtcp: bool,
    took: Option<Duration>,
}

/// How far a call has come, as far as the verdict is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Progress {
    has_path: bool,
    has_keys: bool,
    /// The session has keys.
    is_keyed: bool,
    /// Packets that the peer has heard, and the session.
    heard: (u32, u64),
    /// Whether the peer has got RTCP, and the session.
    has_rtcp: (bool, bool),
    trouble: Option<String>,
}

impl Call {
    fn begin(ip: IpAddr, settings: &Settings) -> Result<Self, String> {
        let instance =
            OwnInstance::<Session>::new(SocketAddr::new(ip, 0)).map_err(|_| no_instance(ip, settings.ports))?;
        let session = instance
            .session()
            .ok_or("the core has another engine of this name; load one RTP engine only (modules.conf)")?;
        let audio = Format::of(Codec::Ulaw).ok_or("the host does not know µ-law")?;
        let (peer, now) = (Peer::new(ip)?, clock::now());
        let says_rtcp = settings.rtcp_mux != Policy::No;
        let (has_reported, took) = (false, None);
        let mut call =
            Self { ip, peer, session, instance, audio, began: now, next: now, has_reported, says_rtcp, took };
        call.describe(now)?;
        Ok(call)
    }

    /// Exchanges descriptions, as a channel driver does between two peers.
    fn describe(&mut self, now: Instant) -> Result<(), String> {
        let (instance, session) = (self.instance.borrow(), &self.session);
        let offer = self.peer.described();
        instance.set_property(Property::Rtcp, if HOST_NEGOTIATES_MUX { RTCP_ON_ONE_PORT } else { 1 });
        session.set_configuration(instance, &configuration()).map_err(|_| NO_DTLS)?;
        session.set_setup(instance, Setup::Active);
        session.set_fingerprint(instance, Hash::Sha256, &offer.fingerprint);
        session.set_authentication(instance, Some(&offer.credentials.ufrag), Some(&offer.credentials.password));
        session.set_role(instance, host::Role::Controlled);
        offer.candidates.iter().for_each(|candidate| session.add_remote_candidate(instance, &to_host(candidate)));
        let answer = self.answer().ok_or("the session offers no ICE; see icesupport in rtp.conf")?;
        host::Ice::start(&**session, instance);
        session.activate(instance).map_err(|_| "the session cannot be activated; the log has the reason")?;
        self.peer.call(now, answer);
        Ok(())
    }

    fn answer(&self) -> Option<Described> {
        let (instance, session) = (self.instance.borrow(), &self.session);
        let (ufrag, password) = (session.ufrag(instance)?, session.password(instance)?);
        // Behind the password ride further lines of the description.
        let password = password.lines().next()?.trim_end().to_owned();
        let offered = session.peek(|state| state.transport().offered_candidates())?;
        let candidates = offered.into_iter().filter(|candidate| candidate.addr.ip() == self.ip).collect();
        let fingerprint = session.fingerprint(instance, Hash::Sha256)?;
        Some(Described { credentials: Credentials { ufrag, password }, candidates, fingerprint })
    }

    fn drive(&mut self, now: Instant) {
        self.peer.drive(now, self.instance.borrow());
        if !self.peer.has_keys() || !self.progress().is_keyed {
            return;
        }
        self.instance.read(Component::Rtp);
        if now >= self.next && !self.is_over() {
            self.next = now + FRAME;
            // A frame that cannot be sent is missed by the peer.
            let _ = self.instance.write(&self.audio, &[0xFF; 160]);
            self.peer.say();
            let progress = self.progress();
            if !self.has_reported && progress.heard.0 >= ENOUGH && progress.heard.1 >= u64::from(ENOUGH) {
                self.has_reported = true;
                self.peer.report(self.session.ssrc(self.instance.borrow()));
                self.session.with_at(now, |state| state.say_goodbye(now));
            }
        }
        if self.took.is_none() && self.progress().is_enough(self.says_rtcp) {
            self.took = Some(now.saturating_duration_since(self.began));
        }
    }

    fn is_over(&self) -> bool {
        self.took.is_some()
    }

    fn progress(&self) -> Progress {
        let seen = self.session.peek(|state| {
            let has_report = state.source().statistics().remote().last.is_some();
            (state.transport().has_agreed_keys(), state.shown(clock::now()).received.packets, has_report)
        });
        let (is_keyed, heard, has_report) = seen.unwrap_or_default();
        Progress {
            has_path: self.peer.has_path(),
            has_keys: self.peer.has_keys(),
            is_keyed,
            heard: (self.peer.heard.0, heard),
            has_rtcp: (self.peer.heard.1 > 0, has_report),
            trouble: self.peer.trouble.clone(),
        }
    }

    fn verdict(&self, settings: &Settings) -> Result<String, String> {
        match self.took {
            Some(took) => Ok(format!("ICE, DTLS, SRTP and RTCP both ways in {} ms", took.as_millis())),
            None => Err(self.progress().sentence(self.ip, settings, drivers::of_browsers())),
        }
    }
}

impl Progress {
    fn is_enough(&self, with_rtcp: bool) -> bool {
        self.heard.0 >= ENOUGH && self.heard.1 >= u64::from(ENOUGH) && (self.has_rtcp == (true, true) || !with_rtcp)
    }

    /// Says where the call got stuck, and what to change.
    fn sentence(&self, ip: IpAddr, settings: &Settings, driver: Driver) -> String {
        let (first, last) = settings.ports;
        let range = format!("rtpstart = {first} to rtpend = {last} of rtp.conf");
        let trouble = self.trouble.as_ref().map(|trouble| format!(": {trouble}")).unwrap_or_default();
        match self {
            Self { has_path: false, .. } => format!(
                "ICE: no check gets from {ip} to {ip}; let UDP from and to the ports {range} through the firewall of this machine"
            ),
            Self { has_keys: false, .. } | Self { is_keyed: false, .. } => format!(
                "ICE works, and DTLS gives no keys{trouble}; see dtlsminversion and dtls_mtu in rtp.conf, {} and {} in {}",
                driver.names().certificate,
                driver.names().cipher,
                driver.file()
            ),
            Self { heard: (0, 0), .. } => {
                format!(
                    "DTLS works, and SRTP does not{trouble}; load the res_srtp.so that belongs to these modules (modules.conf)"
                )
            }
            Self { heard: (heard, sent), .. } if *heard < ENOUGH || *sent < u64::from(ENOUGH) => format!(
                "of the packets {heard} and {sent} arrived, each way{trouble}; a machine with too much to do loses them, and so does a firewall \
                 that limits UDP on the ports {range}"
            ),
            _ => format!("audio flows, and no RTCP comes{trouble}; see rtcpmux in rtp.conf"),
        }
    }
}

/// Says why there is no session. The host does not pass on why the engine made none, so its sockets are tried again.
fn no_instance(ip: IpAddr, ports: (u16, u16)) -> String {
    let (first, last) = ports;
    match Pair::bind(ip, ports, asterisk::random::u32(), true).map_err(|error| ports::why(&error)) {
        Ok(_) => "the host makes no session; the log has the reason".to_owned(),
        Err(Unbound::PortsInUse) => format!(
            "no pair of ports from rtpstart = {first} to rtpend = {last} in rtp.conf is free on {ip}; widen the range"
        ),
        Err(why) => NoSocket { why, ip, ports }.advice(drivers::of_browsers()).1,
    }
}

/// Returns the DTLS settings of a browser's account, with the first certificate that can be used.
fn configuration() -> DtlsConfig {
    let usable = certificates::judge_all().into_iter().find(|judged| judged.verdict.is_ok());
    let (certificate, private_key) = usable.map(|judged| (judged.certificate, judged.private_key)).unzip();
    DtlsConfig {
        enabled: true,
        verify_fingerprint: true,
        verify_certificate: false,
        rekey_seconds: 0,
        setup: Setup::ActPass,
        suite: 1,
        hash: Hash::Sha256,
        certificate,
        private_key: private_key.flatten(),
        cipher: None,
        ca_file: None,
        ca_path: None,
    }
}

const NO_DTLS: &str = "DTLS cannot be configured; the log has the reason";

/// Time for all calls together. Their handshakes take less, even on a machine that is busy.
const PATIENCE: Duration = Duration::from_millis(2500);

const BETWEEN_TURNS: Duration = Duration::from_millis(2);

const FRAME: Duration = Duration::from_millis(20);

/// Packets that have to arrive each way.
const ENOUGH: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(progress: Progress) -> String {
        progress.sentence([192, 0, 2, 1].into(), &Settings::default(), Driver::ChanSip)
    }

    #[test]
    fn a_call_that_got_stuck_is_told_with_what_to_change() {
        let nothing = Progress::default();
        assert!(sentence(nothing.clone()).starts_with("ICE: no check gets from 192.0.2.1 to 192.0.2.1; let UDP "));
        let path = Progress { has_path: true, trouble: Some("DTLS: no cipher".to_owned()), ..nothing };
        assert!(
            sentence(path.clone())
                .starts_with("ICE works, and DTLS gives no keys: DTLS: no cipher; see dtlsminversion")
        );
        let told = |driver| path.sentence([192, 0, 2, 1].into(), &Settings::default(), driver);
        assert!(told(Driver::ChanSip).ends_with("dtlscertfile and dtlscipher in sip.conf"));
        assert!(told(Driver::ChanPjsip).ends_with("dtls_cert_file and dtls_cipher in pjsip.conf"));
        let keyed = Progress { has_keys: true, is_keyed: true, trouble: None, ..path };
        assert!(sentence(keyed.clone()).starts_with("DTLS works, and SRTP does not; load the res_srtp.so"));
        let one_way = Progress { heard: (9, 0), ..keyed.clone() };
        assert!(sentence(one_way).starts_with("of the packets 9 and 0 arrived, each way; "));
        let silent = Progress { heard: (9, 9), ..keyed };
        assert!(!silent.is_enough(true) && silent.is_enough(false));
        assert!(sentence(silent).ends_with("see rtcpmux in rtp.conf"));
    }
}
