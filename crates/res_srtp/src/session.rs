//! C's `ast_srtp`: the cryptographic contexts of one call in both directions, with a lock.

use std::ffi::{c_int, c_ulong, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use asterisk::limit::RateLimit;
use asterisk::module::UseCount;
use asterisk::{Failed, error, sys, warning};
use media_srtp::{Contexts, Error, MAX_TRAILER_LEN, Policy, Streams, rtcp_ssrc, rtp_ssrc};

use crate::metrics;

/// RTP or RTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Rtp,
    Rtcp,
}

impl Which {
    /// Decodes the lowest bit of the flags. In the next bit, the engine of later Asterisk versions asks for a new
    /// session after a replay, which we never create.
    pub fn from_host(flags: c_int) -> Self {
        if flags & 1 == 0 { Self::Rtp } else { Self::Rtcp }
    }
}

pub struct Session {
    /// After a panic the lock is poisoned: every packet is refused until the host destroys the session.
    state: Mutex<State>,
    /// Used only for the host's callback: any other function of it might wait for a lock whose owner waits for us.
    instance: Instance,
    _use: UseCount,
}

struct State {
    contexts: Contexts,
    /// The buffers of the last protected packet, as long as the longest so far. There are two, as RTP and RTCP are protected
    /// independently.
    rtp: Vec<u8>,
    rtcp: Vec<u8>,
    callback: Callback,
}

/// The instance that the packets belong to. The host owns the session through it, so it outlives the session's use.
#[derive(Clone, Copy)]
struct Instance(*mut sys::ast_rtp_instance);

// SAFETY: only functions of the host dereference the pointer, and they accept any thread.
unsafe impl Send for Instance {}
// SAFETY: as for `Send`.
unsafe impl Sync for Instance {}

/// The host's callback for packets without a policy, which may add one.
#[derive(Clone, Copy)]
pub struct Callback {
    pub no_context: Option<unsafe extern "C" fn(*mut sys::ast_rtp_instance, c_ulong, *mut c_void) -> c_int>,
    pub data: *mut c_void,
}

// SAFETY: `data` is only passed back to the host.
unsafe impl Send for Callback {}

/// The greatest length of a packet in bytes, five times that of a datagram on Ethernet.
const PACKET_LEN: usize = 8192;

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Limits the log lines about refused packets: a peer with wrong keys sends fifty of them per second. The RTP engine logs the
/// address that they come from.
static REFUSALS: RateLimit = RateLimit::new(Duration::from_secs(10), 2);

impl Session {
    /// The number of sessions.
    pub fn count() -> usize {
        COUNT.load(Ordering::Acquire)
    }

    pub fn new(instance: *mut sys::ast_rtp_instance, policy: Policy) -> Result<Self, Failed> {
        let state = State {
            contexts: Contexts::new(policy).map_err(no_session)?,
            rtp: Vec::new(),
            rtcp: Vec::new(),
            callback: Callback { no_context: None, data: std::ptr::null_mut() },
        };
        COUNT.fetch_add(1, Ordering::AcqRel);
        Ok(Self { state: Mutex::new(state), instance: Instance(instance), _use: UseCount::take() })
    }

    /// Sets new keys in place: threads that hold the pointer to the session use them from then on.
    pub fn replace(&self, policy: Policy) -> Result<(), Failed> {
        self.state()?.contexts.replace(policy).map_err(no_session)
    }

    /// Adds a stream, or sets new keys for a known one. A wildcard is not replaced.
    pub fn add_stream(&self, policy: Policy) -> Result<(), Failed> {
        let streams = policy.streams();
        self.state()?.contexts.add_stream(policy).map_err(|error| no_stream(streams, error))
    }

    /// Moves a stream to another SSRC; it keeps its key.
    pub fn change_source(&self, from: u32, to: u32) -> Result<(), Failed> {
        self.state()?.contexts.change_source(from, to).map_err(|error| no_stream(Streams::Ssrc(to), error))
    }

    pub fn set_callback(&self, callback: Callback) {
        if let Ok(mut state) = self.state() {
            state.callback = callback;
        }
    }

    /// Decrypts a packet in place and returns its new length in bytes.
    pub fn unprotect(&self, packet: &mut [u8], which: Which) -> Result<usize, Failed> {
        let first = self.state()?.unprotect(packet, which);
        let answer = match first {
            // Nothing was decrypted, so the packet is unchanged.
            Err(Error::NoStream) if self.ask_for_policy()? => self.state()?.unprotect(packet, which),
            answer => answer,
        };
        answer.map_err(|error| {
            metrics::count_refused(error);
            let source = Source::of(packet, which);
            if error.is_peers_fault() {
                refuse(source, error);
            } else {
                error!("SRTP: a packet from {source} could not be decrypted: {error}");
            }
            Failed
        })
    }

    /// Encrypts a copy of a packet and returns its address and length. It is valid until the next packet of that kind.
    pub fn protect(&self, packet: &[u8], which: Which) -> Result<(*mut u8, usize), Failed> {
        let protected = self.state()?.protect(packet, which);
        protected.map_err(|error| {
            metrics::count_not_encrypted();
            if let Some(more) = REFUSALS.allow() {
                let ours = Source::of(packet, which);
                warning!("SRTP: a packet from {ours} could not be encrypted and was not sent: {error} ({more} similar lines suppressed)");
            }
            Failed
        })
    }

    /// Calls the host's callback for missing policies; true if it found one. It may call us back, so no lock is held.
    fn ask_for_policy(&self) -> Result<bool, Failed> {
        let Callback { no_context, data } = self.state()?.callback;
        let Some(no_context) = no_context else { return Ok(false) };
        let mut stats = sys::ast_rtp_instance_stats::default();
        let wanted = sys::AST_RTP_INSTANCE_STAT_REMOTE_SSRC;
        // SAFETY: the code that set the callback keeps the instance as long as packets are passed to this session.
        unsafe {
            let known = sys::ast_rtp_instance_get_stats(self.instance.0, &raw mut stats, wanted) == 0;
            Ok(known && no_context(self.instance.0, stats.remote_ssrc.into(), data) >= 0)
        }
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, Failed> {
        self.state.lock().map_err(|_| Failed)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::AcqRel);
    }
}

impl State {
    fn protect(&mut self, packet: &[u8], which: Which) -> Result<(*mut u8, usize), Error> {
        let Self { contexts, rtp, rtcp, .. } = self;
        let (buffer, protect): (_, fn(&mut _, &mut [u8], usize) -> _) = match which {
            Which::Rtp => (rtp, Contexts::protect_rtp),
            Which::Rtcp => (rtcp, Contexts::protect_rtcp),
        };
        let needed = packet.len() + MAX_TRAILER_LEN;
        if packet.len() > PACKET_LEN {
            return Err(Error::BufferTooSmall { needed });
        }
        // At its full length at once: the host sends from it after our lock is given back, so it may not move.
        if buffer.is_empty() {
            buffer.resize(PACKET_LEN + MAX_TRAILER_LEN, 0);
        }
        buffer.get_mut(..packet.len()).ok_or(Error::Malformed)?.copy_from_slice(packet);
        let len = protect(contexts, buffer, packet.len())?;
        Ok((buffer.as_mut_ptr(), len))
    }

    fn unprotect(&mut self, packet: &mut [u8], which: Which) -> Result<usize, Error> {
        match which {
            Which::Rtp => self.contexts.unprotect_rtp(packet),
            Which::Rtcp => self.contexts.unprotect_rtcp(packet),
        }
    }
}

/// Logs a refused packet: replays at a debug level, as networks repeat packets, and failed authentication as a warning.
fn refuse(source: Source, error: Error) {
    if matches!(error, Error::Replayed | Error::TooOld) {
        asterisk::debug!(3, "SRTP: refused a packet from {source}: {error}");
    } else if let Some(more) = REFUSALS.allow() {
        warning!("SRTP: refused a packet from {source}: {error} ({more} similar lines suppressed)");
    }
}

fn no_session(error: Error) -> Failed {
    error!("SRTP: the session could not be created, the call is not encrypted: {error}");
    Failed
}

fn no_stream(streams: Streams, error: Error) -> Failed {
    warning!("SRTP: the key for {streams:?} could not be set: {error}");
    Failed
}

/// The SSRC of a packet's sender; `None` if the packet is too short.
#[derive(Clone, Copy)]
struct Source(Option<u32>);

impl Source {
    fn of(packet: &[u8], which: Which) -> Self {
        Self(match which {
            Which::Rtp => rtp_ssrc(packet),
            Which::Rtcp => rtcp_ssrc(packet),
        })
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(ssrc) => write!(f, "SSRC {ssrc}"),
            None => f.write_str("an unknown source"),
        }
    }
}
