//! The other end of a call of the self-test: ICE, DTLS and RTP of the protocol crates on a socket of its own, SRTP by the host's module.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use asterisk::rtp::{Instance, OwnedSrtp, Which};
use dtls_srtp::{Certificate, Context, ContextConfig, HashFunction, Keys, MinVersion, Profile, Role, Verify};
use ice::{Agent, Candidate, Component, Config, Credentials, Path};
use rtp::Header;
use rtp::demux::{Class, classify};
use rtp::rtcp::{Report, ReportBlock};

use crate::gathering;
use crate::transport::keys;

/// A peer that calls: it offers one candidate, multiplexes RTCP, nominates, and is the client of DTLS.
pub struct Peer {
    socket: UdpSocket,
    address: SocketAddr,
    agent: Agent,
    dtls: dtls_srtp::Session,
    context: Arc<Context>,
    srtp: Option<OwnedSrtp>,
    ssrc: u32,
    sent: u16,
    /// Packets of audio and of RTCP that have been received and deciphered.
    pub heard: (u32, u32),
    /// The reason why it failed, as a sentence without a key.
    pub trouble: Option<String>,
}

/// The description of the session that the peer calls.
pub struct Described {
    /// The session's ICE credentials.
    pub credentials: Credentials,
    /// Its candidates.
    pub candidates: Vec<Candidate>,
    /// Its fingerprint by SHA-256.
    pub fingerprint: String,
}

impl Peer {
    /// Opens a socket on `ip`.
    pub fn new(ip: IpAddr) -> Result<Self, String> {
        let opened = UdpSocket::bind((ip, 0)).and_then(|socket| {
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok((socket, address))
        });
        let (socket, address) = opened.map_err(|error| format!("no socket can be bound to {ip}: {error}"))?;
        let local = Credentials::from_random(&gathering::random());
        let mut config = Config::new(ice::Role::Controlling, asterisk::random::u64(), local, gathering::random());
        config.components = 1;
        let mut agent = Agent::new(config);
        agent.add_local_candidate(Component::Rtp, address);
        let context = context().map_err(|error| format!("OpenSSL: {error}"))?;
        let dtls = dtls_srtp::Session::new(&context, Role::Client).map_err(|error| format!("OpenSSL: {error}"))?;
        let (ssrc, heard) = (asterisk::random::u32(), (0, 0));
        Ok(Self { socket, address, agent, dtls, context, srtp: None, ssrc, sent: 0, heard, trouble: None })
    }

    /// Returns our credentials, candidates and fingerprint, for the session that is called.
    pub fn described(&self) -> Described {
        Described {
            credentials: self.agent.local_credentials().clone(),
            candidates: self.agent.local_candidates().to_vec(),
            fingerprint: self.context.certificate().fingerprint(HashFunction::Sha256).to_owned(),
        }
    }

    /// Takes in the answer of the session, and begins to check.
    pub fn call(&mut self, now: Instant, answer: Described) {
        self.agent.set_remote_credentials(now, answer.credentials);
        answer.candidates.into_iter().for_each(|candidate| self.agent.add_remote_candidate(now, candidate));
        self.agent.start(now);
        if let Err(error) = self.dtls.set_remote_fingerprint(HashFunction::Sha256, &answer.fingerprint) {
            self.trouble = Some(format!("the fingerprint of our certificate cannot be used: {error}"));
        }
    }

    /// Whether a pair has been selected.
    pub fn has_path(&self) -> bool {
        self.path().is_some()
    }

    /// Whether the handshake has given keys.
    pub fn has_keys(&self) -> bool {
        self.srtp.is_some()
    }

    /// Receives what has come, and sends what is due.
    pub fn drive(&mut self, now: Instant, instance: Instance<'_>) {
        let mut datagram = [0; 2048];
        for _ in 0..MOST_AT_ONCE {
            match self.socket.recv_from(&mut datagram) {
                Ok((len, from)) => self.receive(now, from, datagram.get_mut(..len).unwrap_or_default()),
                // By ICMP: the session may have closed its socket.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => break,
            }
        }
        self.agent.handle_timeout(now);
        while let Some(transmit) = self.agent.poll_transmit(&mut datagram) {
            self.send(datagram.get(..transmit.len).unwrap_or_default(), transmit.path.remote);
        }
        while self.agent.poll_event().is_some() {}
        self.drive_dtls(now, instance);
    }

    fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) {
        match classify(datagram) {
            Class::Stun => {
                let path = Path { component: Component::Rtp, local: self.address, remote: from };
                // A refused datagram is not of our session.
                let _ = self.agent.handle_stun(now, path, datagram);
            }
            Class::Dtls => self.dtls.handle_datagram(now, datagram),
            Class::Rtp => self.heard.0 += u32::from(self.decipher(datagram, Which::Rtp)),
            Class::Rtcp => self.heard.1 += u32::from(self.decipher(datagram, Which::Rtcp)),
            Class::TurnChannel | Class::Unknown => {}
        }
    }

    fn decipher(&mut self, datagram: &mut [u8], which: Which) -> bool {
        let Some(srtp) = &self.srtp else { return false };
        let is_ours = srtp.borrow().unprotect(datagram, which).is_ok();
        if !is_ours {
            self.trouble = Some("the SRTP module refuses packets that it has protected itself".to_owned());
        }
        is_ours
    }

    fn drive_dtls(&mut self, now: Instant, instance: Instance<'_>) {
        let Some(path) = self.path() else { return };
        self.dtls.start(now);
        self.dtls.handle_timeout(now);
        let mut datagram = [0; dtls_srtp::MAX_DATAGRAM_LEN];
        while let Some(len) = self.dtls.poll_transmit(&mut datagram) {
            self.send(datagram.get(..len).unwrap_or_default(), path.remote);
        }
        while let Some(event) = self.dtls.poll_event() {
            match event {
                dtls_srtp::Event::Connected(keys) => self.install(&keys, instance),
                dtls_srtp::Event::Refused(failure) | dtls_srtp::Event::Failed(failure) => {
                    self.trouble = Some(format!("DTLS: {failure}"));
                }
                dtls_srtp::Event::Closed => {}
            }
        }
    }

    fn install(&mut self, keys: &Keys, instance: Instance<'_>) {
        let srtp = keys::policies(keys, self.ssrc).and_then(|(remote, local)| {
            // SAFETY: the call drops its peer, and this with it, before its instance, and lends the peer to nobody.
            let own = unsafe { OwnedSrtp::create(instance, &local) }.ok()?;
            own.add_stream(&remote).ok().map(|()| own)
        });
        if srtp.is_none() {
            self.trouble = Some(format!("the SRTP module does not take keys for {}", keys.profile.name()));
        }
        self.srtp = srtp;
    }

    /// Sends 20 ms of silence, as µ-law.
    pub fn say(&mut self) {
        let mut packet = [0xFF; HEADER_LEN + 160];
        let header = Header {
            marker: self.sent == 0,
            payload_type: 0,
            sequence_number: self.sent,
            timestamp: u32::from(self.sent) * 160,
            ssrc: self.ssrc,
        };
        header.write(&mut packet);
        self.sent = self.sent.wrapping_add(1);
        self.protect(&mut packet, Which::Rtp);
    }

    /// Sends a report about the stream `about`, of which nothing is lost.
    pub fn report(&mut self, about: u32) {
        let mut packet = [0; 128];
        let block = ReportBlock {
            ssrc: about,
            fraction_lost: 0,
            cumulative_lost: 0,
            extended_highest_sequence_number: 0,
            jitter_in_timestamp_units: 0,
            last_sr: 0,
            delay_since_last_sr_in_65536ths: 0,
        };
        let report = Report { ssrc: self.ssrc, sender: None, blocks: &[block], cname: "selftest", bye: false };
        // The buffer has room for such a report.
        let Ok(len) = report.write(&mut packet) else { return };
        self.protect(packet.get_mut(..len).unwrap_or_default(), Which::Rtcp);
    }

    fn protect(&mut self, packet: &mut [u8], which: Which) {
        let (Some(srtp), Some(path)) = (&self.srtp, self.path()) else { return };
        let sent = srtp.borrow().protect(packet, which, |protected| self.socket.send_to(protected, path.remote));
        if sent.is_err() {
            self.trouble = Some("the SRTP module does not protect packets".to_owned());
        }
    }

    fn path(&self) -> Option<Path> {
        self.agent.selected(Component::Rtp)
    }

    fn send(&self, datagram: &[u8], to: SocketAddr) {
        // A lost datagram is repeated.
        let _ = self.socket.send_to(datagram, to);
    }
}

fn context() -> Result<Arc<Context>, Box<dyn std::error::Error>> {
    Ok(Context::new(ContextConfig {
        certificate: Certificate::self_signed()?,
        verify: Verify { fingerprint: true, certificate: false },
        cipher_list: None,
        ca_file: None,
        ca_path: None,
        srtp_profiles: vec![Profile::Aes128CmSha1_80],
        min_version: MinVersion::Dtls12,
        mtu: 1200,
    })?)
}

/// The length of the fixed header (RFC 3550 §5.1).
const HEADER_LEN: usize = 12;

/// Datagrams received in one turn.
const MOST_AT_ONCE: usize = 64;
