//! The browser's end of a call, by an independent implementation: str0m with its own ICE and SRTP, and DTLS on the
//! tests' OpenSSL.

use super::channel::Channel;
pub use super::identity::Identity;
use super::rtp::{FRAME_LEN, Frame, Instance, RTCP, RTP, to_host};
use asterisk_sys as sys;
use host_tests::{Kind, raw};
use openssl::hash::MessageDigest;
use std::{
    ffi::{CStr, CString, c_char},
    net::{SocketAddr, UdpSocket},
    path::Path,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use str0m::{
    Candidate, Event, Input, Output, Rtc, RtcConfig,
    config::{DtlsVersion, Fingerprint},
    ice::IceCreds,
    media::{MediaKind, Mid},
    net::{Protocol, Receive},
    rtp::{RtpWrite, Ssrc},
};

const SSRC: u32 = 0x5eed_0001;
const ULAW: u8 = 0;

/// The side that makes the offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    Browser,
    Asterisk,
}

/// How Asterisk learns the browser's candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Candidates {
    /// By the description.
    Described,
    /// Not by the description: the test tells it.
    Later,
}

/// A call between chan_sip's instance and a browser.
pub struct Call {
    pub instance: Instance,
    kind: Kind,
    candidates: Candidates,
    rtc: Rtc,
    socket: UdpSocket,
    /// The address that the browser believes it has.
    address: SocketAddr,
    /// The ICE credentials of the browser's description.
    credentials: [CString; 2],
    identity: Rc<Identity>,
    /// ICE user fragment and DTLS role in our last description.
    told: Option<(String, sys::ast_rtp_dtls_setup)>,
    mid: Mid,
    /// The next extended RTP sequence number.
    next: u64,
    pub connected: bool,
    /// The payloads that the browser received, by packet.
    pub heard: Vec<Vec<u8>>,
    /// The frames that Asterisk received.
    pub frames: Vec<Frame>,
    /// The number of datagrams that the browser sent.
    pub sent: u64,
}

/// The tables of functions, in the layout of the host.
pub(super) fn ice(instance: &Instance) -> &sys::ast_rtp_engine_ice {
    // SAFETY: the table of the engine, which is registered as long as an instance lives.
    unsafe { sys::ast_rtp_instance_get_ice(instance.as_ptr()).as_ref() }.expect("the engine does ICE")
}

pub(super) fn dtls(instance: &Instance) -> &sys::ast_rtp_engine_dtls {
    // SAFETY: as above. The old table has the same functions before the fingerprint.
    unsafe { sys::ast_rtp_instance_get_dtls(instance.as_ptr()).as_ref() }.expect("the engine does DTLS")
}

fn string(text: *const c_char) -> String {
    assert!(!text.is_null());
    // SAFETY: the returned string lives as long as the instance.
    unsafe { CStr::from_ptr(text) }.to_str().expect("plain text").to_owned()
}

/// Configures `dtlsenable=yes`, `dtlsverify=fingerprint` (or yes), `dtlssetup=actpass`, and optionally `dtlscertfile`.
pub fn configure_dtls(instance: &Instance, kind: Kind, certificate: Option<&Path>) -> i32 {
    let file = certificate.map(|file| CString::new(file.to_str().expect("plain text")).expect("no NUL"));
    let file = file.as_deref().map_or(std::ptr::null_mut(), |file| file.as_ptr().cast_mut());
    let set = dtls(instance).set_configuration.expect("there");
    // SAFETY: the configuration has the layout of this host and lives during the call.
    unsafe {
        if kind == Kind::Oldest {
            let mut configuration = sys::ast_rtp_dtls_cfg_before_11_11::default();
            configuration.set_enabled(1);
            configuration.set_verify(1);
            configuration.default_setup = sys::AST_RTP_DTLS_SETUP_ACTPASS;
            configuration.suite = sys::AST_AES_CM_128_HMAC_SHA1_80;
            configuration.certfile = file;
            return set(instance.as_ptr(), (&raw const configuration).cast());
        }
        let mut configuration = sys::ast_rtp_dtls_cfg::default();
        configuration.set_enabled(1);
        configuration.verify = sys::AST_RTP_DTLS_VERIFY_FINGERPRINT;
        configuration.default_setup = sys::AST_RTP_DTLS_SETUP_ACTPASS;
        configuration.suite = sys::AST_AES_CM_128_HMAC_SHA1_80;
        configuration.hash = sys::AST_RTP_DTLS_HASH_SHA256;
        configuration.certfile = file;
        set(instance.as_ptr(), &raw const configuration)
    }
}

/// The fingerprint that chan_sip prints in SDP.
pub fn fingerprint(instance: &Instance) -> String {
    // SAFETY: the instance is ours.
    string(unsafe { raw::host_dtls_fingerprint(instance.as_ptr()) })
}

/// A candidate as chan_sip gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OurCandidate {
    pub component: u32,
    pub kind: sys::ast_rtp_ice_candidate_type,
    pub priority: u32,
    pub address: SocketAddr,
    pub related: Option<SocketAddr>,
}

/// The candidates that the engine names; `None` without ICE, when chan_sip prints neither ufrag nor password.
pub fn candidates(instance: &Instance) -> Option<Vec<OurCandidate>> {
    let mut list = raw::host_ao2_list { count: 0, objects: [std::ptr::null_mut(); 64] };
    // SAFETY: the instance is ours; the references to the container and its objects are dropped here.
    unsafe {
        let container = ice(instance).get_local_candidates.expect("there")(instance.as_ptr());
        if container.is_null() {
            return None;
        }
        raw::host_ao2_objects(container, &raw mut list);
        sys::__ao2_ref(container.cast(), -1);
        let objects = &list.objects[..list.count];
        let candidates = objects.iter().map(|object| &*object.cast::<sys::ast_rtp_engine_ice_candidate>());
        let candidates = candidates.map(|candidate| OurCandidate {
            component: candidate.id,
            kind: candidate.type_,
            priority: candidate.priority.cast_unsigned(),
            address: super::rtp::from_host(&candidate.address),
            related: (candidate.relay_address.len > 0).then(|| super::rtp::from_host(&candidate.relay_address)),
        });
        let candidates = candidates.collect();
        for object in objects {
            sys::__ao2_ref(*object, -1);
        }
        Some(candidates)
    }
}

/// The password with the lines behind it, as chan_sip prints it; `None` without ICE.
pub fn ufrag(instance: &Instance) -> String {
    // SAFETY: the instance is ours.
    string(unsafe { ice(instance).get_ufrag.expect("there")(instance.as_ptr()) })
}

pub fn password(instance: &Instance) -> Option<String> {
    // SAFETY: the instance is ours.
    let text = unsafe { ice(instance).get_password.expect("there")(instance.as_ptr()) };
    (!text.is_null()).then(|| string(text))
}

impl Call {
    /// Exchanges the descriptions in the order of chan_sip's calls.
    pub fn new(kind: Kind, offer: Offer, directory: &Path) -> Self {
        Self::with_fingerprint(kind, offer, directory, |fingerprint| fingerprint)
    }

    /// The browser's offer names no candidate: they follow by themselves (RFC 8838).
    pub fn without_candidates(directory: &Path) -> Self {
        Self::describe(Kind::Newest, Offer::Browser, directory, |fingerprint| fingerprint, Candidates::Later)
    }

    /// As above, but `change` modifies the fingerprint in the browser's SDP on its way.
    pub fn with_fingerprint(kind: Kind, offer: Offer, directory: &Path, on_the_way: fn(String) -> String) -> Self {
        Self::describe(kind, offer, directory, on_the_way, Candidates::Described)
    }

    fn describe(
        kind: Kind,
        offer: Offer,
        directory: &Path,
        on_the_way: fn(String) -> String,
        candidates: Candidates,
    ) -> Self {
        let instance = Instance::new();
        let (ours, theirs) = (Identity::new(), Identity::new());
        let file = directory.join("asterisk.pem");
        ours.write(&file);
        assert_eq!(configure_dtls(&instance, kind, Some(&file)), 0);

        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let local = socket.local_addr().expect("bound");
        let mut rtc = browser(&theirs, kind);
        rtc.add_local_candidate(Candidate::host(local, "udp").expect("a candidate"));
        let mut call = Self {
            instance,
            kind,
            candidates,
            rtc,
            socket,
            address: local,
            credentials: Default::default(),
            identity: Rc::new(theirs),
            told: None,
            mid: "aud".into(),
            next: 47_000,
            connected: false,
            heard: Vec::new(),
            frames: Vec::new(),
            sent: 0,
        };
        call.declare_media();
        match offer {
            Offer::Browser => {
                call.tell_asterisk(sys::AST_RTP_DTLS_SETUP_ACTPASS, on_the_way);
                call.start(sys::AST_RTP_ICE_ROLE_CONTROLLED);
                call.tell_browser(offer);
            }
            Offer::Asterisk => {
                call.tell_browser(offer);
                call.tell_asterisk(sys::AST_RTP_DTLS_SETUP_ACTIVE, on_the_way);
                call.start(sys::AST_RTP_ICE_ROLE_CONTROLLING);
            }
        }
        call.instance.activate();
        call
    }

    fn declare_media(&mut self) {
        let theirs = self.instance.stats().local_ssrc;
        let mut api = self.rtc.direct_api();
        api.declare_media(self.mid, MediaKind::Audio);
        api.declare_stream_tx(Ssrc::from(SSRC), None, self.mid, None);
        api.expect_stream_rx(Ssrc::from(theirs), None, self.mid, None);
    }

    /// Passes Asterisk's SDP to the browser.
    fn tell_browser(&mut self, offer: Offer) {
        let password = self.password();
        let (password, rest) = password.split_once("\r\n").expect("the next lines ride behind the password");
        let (mux, ssrc) = rest.split_once("\r\n").expect("two lines");
        let (ssrc, cname) = ssrc.split_once(" cname:").expect("RFC 5576 §4.1");
        assert_eq!((mux, ssrc), ("a=rtcp-mux", &*format!("a=ssrc:{}", self.instance.stats().local_ssrc)));
        assert!(!cname.is_empty() && cname.bytes().all(|c| c.is_ascii_alphanumeric()), "{cname}");
        let pass = password.to_owned();
        for candidate in self.candidates() {
            self.rtc.add_remote_candidate(Candidate::host(candidate, "udp").expect("a candidate"));
        }
        let ufrag = self.ufrag();
        let fingerprint = self.fingerprint();
        let setup = self.setup();
        let browser_is_client = match offer {
            // The answerer chooses, and should be the client (RFC 5763 §5).
            Offer::Asterisk => {
                assert_eq!(setup, sys::AST_RTP_DTLS_SETUP_ACTPASS);
                true
            }
            Offer::Browser => setup == sys::AST_RTP_DTLS_SETUP_PASSIVE,
        };
        self.told = Some((ufrag.clone(), setup));
        let mut api = self.rtc.direct_api();
        api.set_ice_controlling(offer == Offer::Browser);
        api.set_remote_ice_credentials(IceCreds { ufrag, pass });
        api.set_remote_fingerprint(fingerprint);
        api.start_dtls(browser_is_client).expect("DTLS starts");
    }

    /// Passes the browser's SDP to Asterisk.
    fn tell_asterisk(&mut self, setup: sys::ast_rtp_dtls_setup, on_the_way: fn(String) -> String) {
        let (address, identity) = (self.address, Rc::clone(&self.identity));
        let credentials = self.rtc.direct_api().local_ice_credentials();
        self.credentials = [c_string(&credentials.ufrag), c_string(&credentials.pass)];
        let [ufrag, password] = &self.credentials;
        let (hash, digest) = match self.kind {
            Kind::Oldest => (sys::AST_RTP_DTLS_HASH_SHA1_BEFORE_11_11 as sys::ast_rtp_dtls_hash, MessageDigest::sha1()),
            _ => (sys::AST_RTP_DTLS_HASH_SHA256, MessageDigest::sha256()),
        };
        let fingerprint = c_string(&on_the_way(identity.fingerprint(digest)));
        let mut candidate = sys::ast_rtp_engine_ice_candidate {
            foundation: c"1".as_ptr().cast_mut(),
            id: sys::AST_RTP_ICE_COMPONENT_RTP,
            transport: c"UDP".as_ptr().cast_mut(),
            priority: 2_130_706_431,
            ..Default::default()
        };
        candidate.address = to_host(address);
        candidate.type_ = sys::AST_RTP_ICE_CANDIDATE_TYPE_HOST;
        let (ice, dtls, instance) = (ice(&self.instance), dtls(&self.instance), self.instance.as_ptr());
        // SAFETY: the instance is ours; strings and candidate live during the calls.
        unsafe {
            // chan_sip sets them one at a time, before or after the candidates.
            ice.set_authentication.expect("there")(instance, ufrag.as_ptr(), std::ptr::null());
            if self.candidates == Candidates::Described {
                ice.add_remote_candidate.expect("there")(instance, &raw const candidate);
            }
            ice.set_authentication.expect("there")(instance, std::ptr::null(), password.as_ptr());
            dtls.set_setup.expect("there")(instance, setup);
            dtls.set_fingerprint.expect("there")(instance, hash, fingerprint.as_ptr());
        }
        if self.kind == Kind::Oldest {
            self.start(sys::AST_RTP_ICE_ROLE_CONTROLLED);
        }
        // The dummy address of RFC 7600 stands where candidates follow.
        let later = SocketAddr::from(([192, 0, 0, 8], 9));
        self.instance.set_remote(if self.candidates == Candidates::Described { address } else { later });
    }

    /// The browser's address.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    /// Whether a datagram is at the browser's socket within this time. It stays there.
    pub fn hears_within(&self, time: Duration) -> bool {
        self.socket.set_read_timeout(Some(time)).expect("a timeout");
        self.socket.peek(&mut [0; 16]).is_ok()
    }

    /// Passes a later SDP of the browser with another certificate.
    pub fn announce_another_certificate(&self) {
        let fingerprint = c_string(&Identity::new().fingerprint(MessageDigest::sha256()));
        let told = dtls(&self.instance).set_fingerprint.expect("there");
        // SAFETY: the instance is ours; the string lives during the call.
        unsafe { told(self.instance.as_ptr(), sys::AST_RTP_DTLS_HASH_SHA256, fingerprint.as_ptr()) };
        // The calls after the last fingerprint show that the description has no more of them.
        self.describe_again();
    }

    fn start(&self, role: sys::ast_rtp_ice_role) {
        let (ice, instance) = (ice(&self.instance), self.instance.as_ptr());
        // SAFETY: the instance is ours.
        unsafe {
            // Hosts before 11.11 do not set the role.
            if self.kind != Kind::Oldest {
                ice.set_role.expect("there")(instance, role);
            }
            ice.start.expect("there")(instance);
        }
    }

    /// Passes the browser's SDP to Asterisk once more, as it arrives with a hold or its end.
    fn describe_again(&self) {
        let [ufrag, password] = &self.credentials;
        let authenticate = ice(&self.instance).set_authentication.expect("there");
        // SAFETY: the instance is ours; the strings live during the calls.
        unsafe {
            authenticate(self.instance.as_ptr(), ufrag.as_ptr(), std::ptr::null());
            authenticate(self.instance.as_ptr(), std::ptr::null(), password.as_ptr());
        }
        self.start(sys::AST_RTP_ICE_ROLE_CONTROLLED);
        self.instance.set_remote(self.socket.local_addr().expect("bound"));
    }

    /// The page opens its connection anew in the same dialog, with the same certificate.
    pub fn reconnect(&mut self) {
        self.replace_browser(Rc::clone(&self.identity));
        self.tell_asterisk(sys::AST_RTP_DTLS_SETUP_ACTPASS, |fingerprint| fingerprint);
        self.instance.activate();
        self.tell_browser(Offer::Browser);
        self.start(sys::AST_RTP_ICE_ROLE_CONTROLLED);
    }

    /// An INVITE without a description gets an offer, which another browser answers in the ACK (third-party call control).
    pub fn is_answered_by_another(&mut self) {
        self.replace_browser(Rc::new(Identity::new()));
        self.instance.activate();
        self.tell_browser(Offer::Browser);
        self.start(sys::AST_RTP_ICE_ROLE_CONTROLLED);
        let setup = match self.setup() {
            sys::AST_RTP_DTLS_SETUP_PASSIVE => sys::AST_RTP_DTLS_SETUP_ACTIVE,
            _ => sys::AST_RTP_DTLS_SETUP_PASSIVE,
        };
        self.tell_asterisk(setup, |fingerprint| fingerprint);
    }

    /// An INVITE that repeats the last description, which chan_sip does not read. Returns whether our answer is as before.
    pub fn refresh(&self) -> bool {
        self.instance.activate();
        let ours = (self.ufrag(), self.setup());
        self.start(sys::AST_RTP_ICE_ROLE_CONTROLLED);
        Some(ours) == self.told
    }

    fn replace_browser(&mut self, identity: Rc<Identity>) {
        self.socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        self.address = self.socket.local_addr().expect("bound");
        self.rtc = browser(&identity, self.kind);
        self.rtc.add_local_candidate(Candidate::host(self.address, "udp").expect("a candidate"));
        (self.identity, self.connected) = (identity, false);
        self.declare_media();
    }

    fn setup(&self) -> sys::ast_rtp_dtls_setup {
        // SAFETY: the instance is ours.
        unsafe { dtls(&self.instance).get_setup.expect("there")(self.instance.as_ptr()) }
    }

    /// The call goes on at another address, by a description without ICE. Returns what still arrives at the old one.
    pub fn move_without_ice(&mut self) -> UdpSocket {
        let new = UdpSocket::bind("127.0.0.4:0").expect("loopback");
        let old = std::mem::replace(&mut self.socket, new);
        self.instance.set_remote(self.socket.local_addr().expect("bound"));
        self.instance.activate();
        old
    }

    /// The browser holds: chan_sip stops the instance within the description, and then activates it.
    pub fn hold(&self) {
        self.describe_again();
        self.instance.stop();
        self.instance.activate();
    }

    /// The browser ends the hold.
    pub fn resume(&self) {
        self.describe_again();
        self.instance.activate();
    }

    /// The browser refuses the stream: chan_sip stops the instance, and starts ICE when it prints its answer.
    pub fn refuse(&self) {
        self.instance.stop();
        self.instance.activate();
        self.start(sys::AST_RTP_ICE_ROLE_CONTROLLED);
    }

    /// The datagrams that arrive at the browser's socket in this time, while nobody is behind it.
    pub fn arriving_within(&self, time: Duration) -> Vec<Vec<u8>> {
        let end = Instant::now() + time;
        let mut arrived = Vec::new();
        let mut buffer = [0; 2048];
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.socket.set_read_timeout(Some(left)).expect("a timeout");
            if let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
                arrived.push(buffer[..length].to_vec());
            }
        }
        arrived
    }

    /// The channel of the call. Nobody reads it.
    pub fn channel(&self) -> Channel {
        // SAFETY: the instance is ours; the channel takes a reference of its own.
        unsafe { Channel::of(raw::host_channel_new(self.instance.as_ptr())) }
    }

    pub fn ufrag(&self) -> String {
        ufrag(&self.instance)
    }

    fn password(&self) -> String {
        password(&self.instance).expect("the engine does ICE")
    }

    fn fingerprint(&self) -> Fingerprint {
        let text = fingerprint(&self.instance);
        let hash = if self.kind == Kind::Oldest { "sha-1" } else { "sha-256" };
        format!("{hash} {text}").parse().expect("a fingerprint")
    }

    /// Our candidates of component 1. chan_sip prints those of both; the browser multiplexes and ignores component 2.
    fn candidates(&self) -> Vec<SocketAddr> {
        let ours = candidates(&self.instance).expect("the engine does ICE");
        ours.iter().filter(|ours| ours.component == RTP as u32 + 1).map(|ours| ours.address).collect()
    }

    /// Lets both sides send media until `done` is true; returns `false` after ten seconds.
    pub fn talk_until(&mut self, mut done: impl FnMut(&Self) -> bool) -> bool {
        let give_up = Instant::now() + Duration::from_secs(10);
        let mut next_frame = Instant::now();
        while Instant::now() < give_up {
            if done(self) {
                return true;
            }
            if Instant::now() >= next_frame {
                next_frame += Duration::from_millis(20);
                self.instance.write(0x11);
                if self.connected {
                    self.say(0x22);
                }
            }
            self.drive_browser();
            for which in [RTP, RTCP] {
                if self.instance.is_readable(which, Duration::ZERO) {
                    self.frames.extend(self.instance.read(which));
                }
            }
        }
        false
    }

    /// Runs the browser for this time; nobody reads the instance.
    pub fn browser_alone_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.drive_browser();
        }
    }

    /// The browser sends `count` packets full of `value`, one every 10 ms, while nobody reads the instance.
    pub fn browser_talks_alone(&mut self, count: usize, value: u8) {
        for _ in 0..count {
            self.say(value);
            self.browser_alone_for(Duration::from_millis(10));
        }
        // The browser's library sends a packet at its next turn, which comes late on a busy machine.
        self.browser_alone_for(Duration::from_millis(300));
    }

    /// Runs the browser only; nobody reads the instance, as while a dialplan waits.
    pub fn browser_alone_until(&mut self, mut done: impl FnMut(&Self) -> bool) -> bool {
        let give_up = Instant::now() + Duration::from_secs(10);
        while Instant::now() < give_up {
            if done(self) {
                return true;
            }
            self.drive_browser();
        }
        false
    }

    fn say(&mut self, value: u8) {
        let time = u32::try_from(self.next).expect("short call").wrapping_mul(FRAME_LEN as u32);
        let packet = RtpWrite::new(ULAW.into(), self.next.into(), time, Instant::now(), [value; FRAME_LEN]);
        self.next += 1;
        let mut api = self.rtc.direct_api();
        api.stream_tx(&Ssrc::from(SSRC)).expect("declared").write_rtp(packet);
    }

    fn drive_browser(&mut self) {
        let wait = loop {
            match self.rtc.poll_output().expect("the browser runs") {
                Output::Timeout(at) => break at.saturating_duration_since(Instant::now()),
                Output::Transmit(transmit) => {
                    self.sent += 1;
                    self.socket.send_to(&transmit.contents, transmit.destination).expect("loopback");
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::RtpPacket(packet)) => self.heard.push(packet.payload.to_vec()),
                Output::Event(_) => {}
            }
        };
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(5));
        self.socket.set_read_timeout(Some(wait)).expect("a timeout");
        let mut buffer = [0; 2048];
        let now = Instant::now();
        match self.socket.recv_from(&mut buffer) {
            Ok((length, source)) => {
                let destination = self.address;
                let contents = buffer[..length].try_into().expect("a datagram of a known kind");
                let received = Receive { proto: Protocol::Udp, source, destination, contents };
                self.rtc.handle_input(Input::Receive(now, received)).expect("the browser takes it");
            }
            Err(_) => self.rtc.handle_input(Input::Timeout(now)).expect("time passes"),
        }
    }
}

pub(super) fn c_string(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

fn browser(identity: &Identity, kind: Kind) -> Rtc {
    RtcConfig::new()
        .set_crypto_provider(Arc::new(str0m::crypto::from_feature_flags()))
        .set_dtls_cert(identity.for_str0m())
        // OpenSSL has no DTLS 1.3.
        .set_dtls_version(DtlsVersion::Dtls12)
        // It supports SHA-256 fingerprints only.
        .set_fingerprint_verification(kind != Kind::Oldest)
        .clear_codecs()
        .enable_pcmu(true, false)
        .set_rtp_mode(true)
        .build(Instant::now())
}
