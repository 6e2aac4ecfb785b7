//! Counts of events that happen a few times in a call.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use asterisk::lock;
use dtls_srtp::{Failure, Profile};
use exposition::Histogram;
use ice::{Agent, CandidateKind, Path};

/// Seconds from the start of checks to the selected pair.
pub static ICE: Histogram<10> = Histogram::new(STEPS);
/// Seconds from the selected pair, or without ICE from the answer, to the keys.
pub static DTLS: Histogram<10> = Histogram::new(STEPS);
/// Seconds from the last of these to the first packet of media.
pub static FIRST_PACKET: Histogram<10> = Histogram::new(STEPS);

/// Jitter in seconds of the stream that we receive, at each report that we send.
pub static OUR_JITTER: Histogram<9> = Histogram::new(JITTERS);
/// Jitter in seconds of the stream that the peer receives, at each of its reports.
pub static THEIR_JITTER: Histogram<9> = Histogram::new(JITTERS);
/// Round trips in seconds, as reports of the peer show them.
pub static ROUND_TRIP: Histogram<10> = Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0]);
/// Fraction of packets that we lacked between two reports of ours.
pub static OUR_LOSS: Histogram<8> = Histogram::new(LOSSES);
/// Fraction of packets that the peer lacked between two of its reports.
pub static THEIR_LOSS: Histogram<8> = Histogram::new(LOSSES);

/// Calls in which a peer that had consented to receive stopped answering.
pub static CONSENTS_LOST: AtomicU64 = AtomicU64::new(0);
/// Sessions in which every check failed.
pub static ICE_FAILURES: AtomicU64 = AtomicU64::new(0);

const STEPS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
const JITTERS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25];
const LOSSES: [f64; 8] = [0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

/// The kinds of candidates, in the order of [`PAIRS`].
pub const KINDS: [CandidateKind; 4] =
    [CandidateKind::Host, CandidateKind::ServerReflexive, CandidateKind::PeerReflexive, CandidateKind::Relayed];

/// Pairs that ICE has selected for media, by the kind of our candidate and of the peer's.
static PAIRS: [[AtomicU64; KINDS.len()]; KINDS.len()] =
    [const { [const { AtomicU64::new(0) }; KINDS.len()] }; KINDS.len()];

/// Handshakes by version and profile.
static HANDSHAKES: Mutex<BTreeMap<(&str, &str), u64>> = Mutex::new(BTreeMap::new());

/// Handshakes that failed, by reason.
static FAILED_HANDSHAKES: Mutex<BTreeMap<&str, u64>> = Mutex::new(BTreeMap::new());

/// Counts a pair that `agent` has selected for media.
pub fn count_pair(agent: &Agent, path: &Path) {
    let local = agent.local_candidates().iter().find(|candidate| candidate.addr == path.local);
    let remote = agent.remote_candidates().iter().find(|candidate| candidate.addr == path.remote);
    let local = local.map_or(CandidateKind::Host, |candidate| candidate.kind);
    let remote = remote.map_or(CandidateKind::PeerReflexive, |candidate| candidate.kind);
    if let Some(count) = PAIRS.get(place(local)).and_then(|row| row.get(place(remote))) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn place(kind: CandidateKind) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap_or_default()
}

/// Returns the selected pairs: the kind of our candidate, of the peer's, and how many.
pub fn pairs() -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    let rows = KINDS.iter().zip(&PAIRS);
    rows.flat_map(|(local, row)| {
        KINDS
            .iter()
            .zip(row)
            .map(|(remote, count)| (local.signalled(), remote.signalled(), count.load(Ordering::Relaxed)))
    })
}

/// Counts a handshake that has given keys for media.
pub fn count_handshake(version: Option<&'static str>, profile: Profile) {
    let version = version.map_or("unknown", |version| version.strip_prefix("DTLSv").unwrap_or(version));
    *lock(&HANDSHAKES).entry((version, name(profile))).or_default() += 1;
}

/// Returns the handshakes by version and profile.
pub fn handshakes() -> BTreeMap<(&'static str, &'static str), u64> {
    lock(&HANDSHAKES).clone()
}

/// Frees the counts that take memory, because the module is about to be unloaded.
pub fn forget() {
    lock(&HANDSHAKES).clear();
    lock(&FAILED_HANDSHAKES).clear();
}

/// Counts a handshake for media that has failed.
pub fn count_failed_handshake(failure: &Failure) {
    *lock(&FAILED_HANDSHAKES).entry(reason(failure)).or_default() += 1;
}

/// Returns the failed handshakes by reason, all reasons included.
pub fn failed_handshakes() -> BTreeMap<&'static str, u64> {
    let mut all: BTreeMap<_, _> = REASONS.iter().map(|reason| (*reason, 0)).collect();
    all.extend(lock(&FAILED_HANDSHAKES).iter());
    all
}

/// The names of RFC 5764 §4.1.2 and RFC 7714 §14.2, as IANA has them.
fn name(profile: Profile) -> &'static str {
    match profile {
        Profile::Aes128CmSha1_80 => "SRTP_AES128_CM_HMAC_SHA1_80",
        Profile::Aes128CmSha1_32 => "SRTP_AES128_CM_HMAC_SHA1_32",
        Profile::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
        Profile::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
    }
}

fn reason(failure: &Failure) -> &'static str {
    match failure {
        Failure::FingerprintMismatch { .. } => "fingerprint",
        Failure::CertificateNotTrusted(_) => "not_trusted",
        Failure::NoCertificate => "no_certificate",
        Failure::NoProfile => "no_profile",
        Failure::Handshake(_) => "handshake",
        Failure::TimedOut { .. } => "timeout",
        _ => "other",
    }
}

const REASONS: [&str; 7] =
    ["fingerprint", "not_trusted", "no_certificate", "no_profile", "handshake", "timeout", "other"];
