//! C's `ast_srtp`: the sessions of one call, both directions, under a lock of their own.

use std::ffi::{c_int, c_ulong, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use asterisk::limit::RateLimit;
use asterisk::module::UseCount;
use asterisk::{Failed, error, sys, warning};
use media_srtp::{Contexts, Error, MAX_TRAILER_LEN, Policy, Streams, rtcp_ssrc, rtp_ssrc};

/// RTP or RTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Rtp,
    Rtcp,
}

impl Which {
    /// The lowest bit. In the next, the engine of a later Asterisk says whether a session is to be made anew after a replay,
    /// which ours never is.
    pub fn from_host(flags: c_int) -> Self {
        if flags & 1 == 0 { Self::Rtp } else { Self::Rtcp }
    }
}

pub struct Session {
    /// Poisoned by a panic: from then on every packet is refused, until the host destroys the session.
    state: Mutex<State>,
    /// For the host's callback alone: whatever else we asked it might wait for a lock whose owner waits for us.
    instance: Instance,
    _use: UseCount,
}

struct State {
    contexts: Contexts,
    /// Where a protected packet lies until the next one; one each, as the two are protected independently.
    rtp: Box<[u8]>,
    rtcp: Box<[u8]>,
    callback: Callback,
}

/// Whose packets these are; the host owns the session with it, so it outlives the session's use.
#[derive(Clone, Copy)]
struct Instance(*mut sys::ast_rtp_instance);

// SAFETY: the pointer is followed by functions of the host alone, which take it on any thread.
unsafe impl Send for Instance {}
// SAFETY: likewise.
unsafe impl Sync for Instance {}

/// Whom the host wants asked for a policy when a packet has none.
#[derive(Clone, Copy)]
pub struct Callback {
    pub no_context: Option<unsafe extern "C" fn(*mut sys::ast_rtp_instance, c_ulong, *mut c_void) -> c_int>,
    pub data: *mut c_void,
}

// SAFETY: `data` is only ever handed back to the host.
unsafe impl Send for Callback {}

/// The longest packet; a datagram that leaves through an Ethernet is a fifth of it.
const PACKET_LEN: usize = 8192;

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A peer with the wrong keys sends fifty packets a second that we refuse.
static REFUSALS: RateLimit = RateLimit::new(Duration::from_secs(10), 5);

impl Session {
    /// How many there are.
    pub fn count() -> usize {
        COUNT.load(Ordering::Acquire)
    }

    pub fn new(instance: *mut sys::ast_rtp_instance, policy: Policy) -> Result<Self, Failed> {
        let buffer = || vec![0; PACKET_LEN + MAX_TRAILER_LEN].into_boxed_slice();
        let state = State {
            contexts: Contexts::new(policy).map_err(no_session)?,
            rtp: buffer(),
            rtcp: buffer(),
            callback: Callback { no_context: None, data: std::ptr::null_mut() },
        };
        COUNT.fetch_add(1, Ordering::AcqRel);
        Ok(Self { state: Mutex::new(state), instance: Instance(instance), _use: UseCount::take() })
    }

    /// New keys, in the same place: whoever holds the pointer goes on with them.
    pub fn replace(&self, policy: Policy) -> Result<(), Failed> {
        self.state()?.contexts.replace(policy).map_err(no_session)
    }

    /// A stream more, or new keys for one that is there. Wildcards stay as they are.
    pub fn add_stream(&self, policy: Policy) -> Result<(), Failed> {
        let streams = policy.streams();
        self.state()?.contexts.add_stream(policy).map_err(|error| no_stream(streams, error))
    }

    /// The stream goes on under another SSRC, with the same key.
    pub fn change_source(&self, from: u32, to: u32) -> Result<(), Failed> {
        self.state()?.contexts.change_source(from, to).map_err(|error| no_stream(Streams::Ssrc(to), error))
    }

    pub fn set_callback(&self, callback: Callback) {
        if let Ok(mut state) = self.state() {
            state.callback = callback;
        }
    }

    /// Decrypts in place; the new length.
    pub fn unprotect(&self, packet: &mut [u8], which: Which) -> Result<usize, Failed> {
        let first = self.state()?.unprotect(packet, which);
        let answer = match first {
            // Nothing was decrypted, so the packet is as it was.
            Err(Error::NoStream) if self.ask_for_policy()? => self.state()?.unprotect(packet, which),
            answer => answer,
        };
        answer.map_err(|error| {
            let source = Source::of(packet, which);
            if error.is_peers_fault() {
                refuse(source, error);
            } else {
                error!("SRTP: a packet of {source} was not decrypted: {error}");
            }
            Failed
        })
    }

    /// Encrypts a copy; where it lies and how long it is. It stays until the next packet of the same kind.
    pub fn protect(&self, packet: &[u8], which: Which) -> Result<(*mut u8, usize), Failed> {
        let protected = self.state()?.protect(packet, which);
        protected.map_err(|error| {
            if let Some(more) = REFUSALS.allow() {
                let ours = Source::of(packet, which);
                warning!("SRTP: a packet of {ours} was not encrypted: {error}, {more} more since the last such line");
            }
            Failed
        })
    }

    /// Whether the host set a callback that found a policy. It may come back to us, so the lock is open.
    fn ask_for_policy(&self) -> Result<bool, Failed> {
        let Callback { no_context, data } = self.state()?.callback;
        let Some(no_context) = no_context else { return Ok(false) };
        let mut stats = sys::ast_rtp_instance_stats::default();
        let wanted = sys::AST_RTP_INSTANCE_STAT_REMOTE_SSRC;
        // SAFETY: whoever set the callback keeps the instance for as long as packets are given to this session.
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
        buffer.get_mut(..packet.len()).ok_or(Error::BufferTooSmall { needed })?.copy_from_slice(packet);
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

/// Replays are an everyday thing on a network that repeats packets; what does not authenticate is worth a line.
fn refuse(source: Source, error: Error) {
    if matches!(error, Error::Replayed | Error::TooOld) {
        asterisk::debug!(3, "SRTP: a packet of {source}: {error}");
    } else if let Some(more) = REFUSALS.allow() {
        warning!("SRTP: a packet of {source} was refused: {error}, {more} more since the last such line");
    }
}

fn no_session(error: Error) -> Failed {
    error!("SRTP: no session: {error}");
    Failed
}

fn no_stream(streams: Streams, error: Error) -> Failed {
    warning!("SRTP: no stream for {streams:?}: {error}");
    Failed
}

/// Who sent a packet; `None` when it is too short to say.
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
