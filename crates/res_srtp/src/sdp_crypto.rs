//! `a=crypto` lines (RFC 4568) between the host's SDP and [`media_srtp::sdes`].
//!
//! For each media section a channel driver keeps an `ast_sdp_srtp`, which contains an `ast_sdp_crypto` of ours. The
//! driver asks for our line when it writes SDP, offer or answer ([`get_attr`]), and passes us the peer's lines one by
//! one until one is accepted ([`parse_offer`]).
//!
//! We offer one line, as the original does by default: AES-128 with the tag that is configured for the endpoint. A host
//! would accept several lines, but print all of them in answers too, where only one is allowed (§5.1.2). If the peer
//! offers, we accept everything that [`media_srtp::sdes`] supports.
//!
//! The driver serialises its calls for one media section: chan_sip by the lock of the dialog, chan_pjsip by the
//! serializer of the session.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use asterisk::fence::fence;
use asterisk::limit::RateLimit;
use asterisk::module::UseCount;
use asterisk::{Failed, debug, error, notice, random, sys};
use media_srtp::sdes::{Keys, Negotiation, Refusal};
use media_srtp::{Streams, Suite};

use crate::policy::Policy;

/// The registration of our table; dropping it unregisters the table.
pub struct Registration(());

/// Registers our table. The core keeps the pointer. Wraps `ast_sdp_crypto_register`.
pub fn register() -> Result<Registration, Failed> {
    // SAFETY: static, and the core only reads it.
    let registered = unsafe { sys::ast_sdp_crypto_register((&raw const API).cast_mut()) };
    if registered == 0 { Ok(Registration(())) } else { Err(Failed) }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: registered by `register`; the core removes the pointer.
        unsafe { sys::ast_sdp_crypto_unregister((&raw const API).cast_mut()) };
    }
}

/// The number of media sections with an object of ours.
pub fn in_use() -> usize {
    COUNT.load(Ordering::Acquire)
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

static API: sys::ast_sdp_crypto_api = sys::ast_sdp_crypto_api {
    dtor: Some(dtor),
    alloc: Some(alloc),
    build_offer: Some(build_offer),
    parse_offer: Some(parse_offer),
    get_attr: Some(get_attr),
};

/// C's `ast_sdp_crypto`. Only our code can free it, so each counts as a use of the module.
struct Crypto {
    negotiation: Negotiation,
    /// The line returned by `get_attr`, which the host uses until it asks again.
    line: CString,
    _use: UseCount,
}

impl Crypto {
    fn new() -> Self {
        COUNT.fetch_add(1, Ordering::AcqRel);
        Self { negotiation: Negotiation::new(), line: CString::default(), _use: UseCount::take() }
    }

    /// Our line: an offer, unless something was agreed or offered before.
    fn line(&mut self, suite: Suite) -> Option<&CStr> {
        self.negotiation.offer(&[suite], random::fill);
        let line = self.negotiation.lines().next()?;
        self.line = CString::new(line).ok()?;
        Some(&self.line)
    }

    /// Handles a line of the peer, for media of this instance.
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn hear(&mut self, instance: *mut sys::ast_rtp_instance, line: &str) -> Result<(), Failed> {
        let accepted = self.negotiation.consider(line, random::fill).map_err(|refusal| refused(&refusal))?;
        if let Some(keys) = accepted.keys() {
            // SAFETY: guaranteed by our caller.
            unsafe { install(instance, &keys)? };
        }
        self.negotiation.conclude(accepted);
        Ok(())
    }
}

impl Drop for Crypto {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::AcqRel);
    }
}

/// # Safety
/// `crypto` is null, or from `alloc` and not yet passed to `dtor`; nobody else uses it during `'a`.
unsafe fn crypto<'a>(crypto: *mut sys::ast_sdp_crypto) -> Result<&'a mut Crypto, Failed> {
    // SAFETY: guaranteed by our caller.
    unsafe { crypto.cast::<Crypto>().as_mut() }.ok_or(Failed)
}

unsafe extern "C" fn alloc() -> *mut sys::ast_sdp_crypto {
    fence("sdp crypto alloc", ptr::null_mut(), || Box::into_raw(Box::new(Crypto::new())).cast())
}

unsafe extern "C" fn dtor(old: *mut sys::ast_sdp_crypto) {
    if old.is_null() {
        return;
    }
    fence("sdp crypto dtor", (), || {
        // SAFETY: from `alloc`; the host calls this once, together with freeing the media section.
        drop(unsafe { Box::from_raw(old.cast::<Crypto>()) });
    });
}

/// Makes our line for an offer. Neither chan_sip nor chan_pjsip calls it; they pass the suite to `get_attr`.
unsafe extern "C" fn build_offer(of: *mut sys::ast_sdp_crypto, tag_len: c_int) -> c_int {
    let built = fence("sdp crypto build_offer", Err(Failed), || {
        let suite = match tag_len {
            80 => Suite::AesCm128HmacSha1_80,
            32 => Suite::AesCm128HmacSha1_32,
            _ => return Err(Failed),
        };
        // SAFETY: the host lends its object for the call.
        unsafe { crypto(of)? }.line(suite).map(drop).ok_or(Failed)
    });
    if built.is_ok() { 0 } else { -1 }
}

unsafe extern "C" fn parse_offer(
    instance: *mut sys::ast_rtp_instance,
    section: *mut sys::ast_sdp_srtp,
    line: *const c_char,
) -> c_int {
    let taken = fence("sdp crypto parse_offer", Err(Failed), || {
        // SAFETY: the host lends the media section with our object in it, its instance, and the line, for the call.
        unsafe {
            let section = section.as_mut().ok_or(Failed)?;
            let line = CStr::from_ptr(line).to_str().map_err(|_| Failed)?;
            crypto(section.crypto)?.hear(instance, line)?;
            section.flags |= OFFER_OK;
        }
        Ok(())
    });
    if taken.is_ok() { 0 } else { -1 }
}

unsafe extern "C" fn get_attr(
    section: *mut sys::ast_sdp_srtp,
    dtls_enabled: c_int,
    default_tag_len_32: c_int,
) -> *const c_char {
    // With DTLS, the keys do not come from SDP.
    if section.is_null() || dtls_enabled != 0 {
        return ptr::null();
    }
    let suite = if default_tag_len_32 == 0 { Suite::AesCm128HmacSha1_80 } else { Suite::AesCm128HmacSha1_32 };
    fence("sdp crypto get_attr", ptr::null(), || {
        // SAFETY: the host lends the media section for the call, and frees our object together with it. The line lives
        // in that object until the host asks again; it has copied the line by then.
        unsafe {
            if (*section).crypto.is_null() {
                (*section).crypto = alloc();
            }
            crypto((*section).crypto).ok().and_then(|crypto| crypto.line(suite)).map_or(ptr::null(), CStr::as_ptr)
        }
    })
}

/// Passes the keys to the core, which passes them to our own table.
///
/// # Safety
/// The instance is live.
unsafe fn install(instance: *mut sys::ast_rtp_instance, keys: &Keys) -> Result<(), Failed> {
    // SAFETY: guaranteed by our caller.
    let ssrc = unsafe { sys::ast_rtp_instance_get_ssrc(instance) };
    let mut remote = Policy::with_key(keys.suite, &keys.remote, Streams::AnyInbound);
    let mut local = Policy::with_key(keys.suite, &keys.local, Streams::Ssrc(ssrc));
    let (remote, local) = ((&raw mut remote).cast(), (&raw mut local).cast());
    // SAFETY: guaranteed by our caller. Our table takes such a policy for an `ast_srtp_policy` and copies it.
    let added = unsafe { sys::ast_rtp_instance_add_srtp_policy(instance, remote, local, BOTH) };
    if added == 0 {
        Ok(())
    } else {
        error!("SRTP: the keys from a=crypto in SDP could not be installed, the call is not encrypted");
        Err(Failed)
    }
}

/// Logs why a line was refused. The host then tries the next line, and reports at the end only that none was accepted.
fn refused(refusal: &Refusal) -> Failed {
    if let Refusal::UnknownSuite(_) = refusal {
        // Most offers have one line for each suite that their sender supports.
        debug!(2, "SRTP: refused a line a=crypto in SDP: {refusal}");
    } else if let Some(more) = REFUSALS.allow() {
        notice!("SRTP: refused a line a=crypto in SDP: {refusal} ({more} similar lines suppressed)");
    }
    Failed
}

/// Limits the log lines about refused lines: anyone who may send an INVITE can cause them.
static REFUSALS: RateLimit = RateLimit::new(Duration::from_secs(10), 5);

/// Installs the keys for RTP and RTCP, which share their keys with SDES. The header's 1 is a session for RTCP alone.
const BOTH: c_int = 0;

/// The media section has its keys.
const OFFER_OK: u32 = sys::AST_SRTP_CRYPTO_OFFER_OK as u32;
