//! Our side of a call, as a caller of this crate holds it: shared by the unit tests of endpoint and association.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::{
    Admission, Association, Associations, Certificate, Context, ContextConfig, Endpoint, Fingerprint, HashFunction,
    MAX_DATAGRAM_LEN, MinVersion, Path, PeerAddress, Phase, Profile, Setup, Verify,
};

/// An endpoint with one association.
pub(crate) struct Side {
    pub(crate) endpoint: Endpoint,
    pub(crate) association: Association,
}

impl Side {
    /// Our side before anything is known of the peer.
    pub(crate) fn new(setup: Setup) -> Self {
        Self { endpoint: Endpoint::new(context(true), setup), association: Association::default() }
    }

    /// Whether the description started the association over.
    pub(crate) fn set_setup(&mut self, theirs: Setup) -> bool {
        let associations = self.endpoint.set_setup(theirs);
        self.follow(associations)
    }

    /// Takes in a description with one fingerprint. Whether it started the association over.
    pub(crate) fn set_fingerprint(&mut self, function: HashFunction, text: &str) -> bool {
        self.add_fingerprint(function, text);
        self.end_description()
    }

    /// Takes in a fingerprint that more may follow.
    pub(crate) fn add_fingerprint(&mut self, function: HashFunction, text: &str) {
        self.endpoint.set_fingerprint(Fingerprint::parse(function, text).expect("a fingerprint"));
        self.association.handle_description(&self.endpoint);
    }

    /// Whether the description started the association over.
    pub(crate) fn end_description(&mut self) -> bool {
        let associations = self.endpoint.end_description();
        let starts_over = self.follow(associations);
        self.association.handle_description(&self.endpoint);
        starts_over
    }

    pub(crate) fn begin_if_active(&mut self, now: Instant) {
        self.association.begin_if_active(now, &self.endpoint);
    }

    pub(crate) fn take_checked(&mut self, now: Instant, datagram: &[u8]) -> Admission {
        let path = Path { from: ([192, 0, 2, 1], 4000).into(), to: ([192, 0, 2, 100], 5000).into() };
        self.association.handle_datagram(now, &mut self.endpoint, PeerAddress::CheckedByIce, path, datagram)
    }

    pub(crate) fn admit(
        &mut self,
        now: Instant,
        signalled: Option<SocketAddr>,
        path: Path,
        datagram: &[u8],
    ) -> Admission {
        self.association.handle_datagram(now, &mut self.endpoint, PeerAddress::Signalled(signalled), path, datagram)
    }

    pub(crate) fn has_association(&self) -> bool {
        self.association.phase() != Phase::Idle
    }

    fn follow(&mut self, associations: Associations) -> bool {
        let starts_over = associations == Associations::StartOver;
        if starts_over {
            self.association.start_over();
        }
        starts_over
    }
}

/// A context with a certificate of its own.
pub(crate) fn context(fingerprint: bool) -> Arc<Context> {
    context_of(fingerprint, vec![Profile::Aes128CmSha1_80], None)
}

/// A context with these SRTP profiles, in order of preference.
pub(crate) fn context_with(srtp_profiles: Vec<Profile>) -> Arc<Context> {
    context_of(true, srtp_profiles, None)
}

/// A context with these cipher suites.
pub(crate) fn context_with_ciphers(list: &str) -> Arc<Context> {
    context_of(false, vec![Profile::Aes128CmSha1_80], Some(list.to_owned()))
}

fn context_of(fingerprint: bool, srtp_profiles: Vec<Profile>, cipher_list: Option<String>) -> Arc<Context> {
    Context::new(ContextConfig {
        certificate: Certificate::self_signed().expect("a certificate"),
        verify: Verify { fingerprint, certificate: false },
        cipher_list,
        ca_file: None,
        ca_path: None,
        srtp_profiles,
        min_version: MinVersion::default(),
        mtu: MAX_DATAGRAM_LEN as u32,
    })
    .expect("a context")
}
