//! `a=crypto` lines (RFC 4568) between the host's SDP and [`media_srtp::sdes`].
//!
//! For each media section a channel driver keeps an `ast_sdp_srtp`, and in it an `ast_sdp_crypto` of ours. It asks for our
//! line when it writes SDP ([`get_attr`]), whether that is an offer or an answer, and shows us the peer's lines one by one,
//! until one is taken ([`parse_offer`]).
//!
//! We offer one line, as the original does unless it is compiled otherwise: AES-128 with the tag that the endpoint is
//! configured for. A host would take a list of more, and print all of it in answers too, where one is allowed (§5.1.2).
//! Whatever [`media_srtp::sdes`] can do is taken when the peer offers it.
//!
//! The driver serialises its calls for one media section: chan_sip by the lock of the dialog, chan_pjsip by the serializer
//! of the session.

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

/// The table, as long as the core has it.
pub struct Registration(());

/// Wraps `ast_sdp_crypto_register`. The core keeps the pointer.
pub fn register() -> Result<Registration, Failed> {
    // SAFETY: static, and the core only reads it.
    let registered = unsafe { sys::ast_sdp_crypto_register((&raw const API).cast_mut()) };
    if registered == 0 { Ok(Registration(())) } else { Err(Failed) }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: ours since `register`; the core forgets it.
        unsafe { sys::ast_sdp_crypto_unregister((&raw const API).cast_mut()) };
    }
}

/// How many media sections have an object of ours.
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

/// C's `ast_sdp_crypto`. Only we can free it, so each is a use of the module.
struct Crypto {
    negotiation: Negotiation,
    /// What the host has of `get_attr`, until it asks again.
    line: CString,
    _use: UseCount,
}

impl Crypto {
    fn new() -> Self {
        COUNT.fetch_add(1, Ordering::AcqRel);
        Self { negotiation: Negotiation::new(), line: CString::default(), _use: UseCount::take() }
    }

    /// Our line, which is an offer unless something was agreed or offered before.
    fn line(&mut self, suite: Suite) -> Option<&CStr> {
        self.negotiation.offer(&[suite], random::fill);
        let line = self.negotiation.lines().next()?;
        self.line = CString::new(line).ok()?;
        Some(&self.line)
    }

    /// One of the peer's, for media of this instance.
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn hear(&mut self, instance: *mut sys::ast_rtp_instance, line: &str) -> Result<(), Failed> {
        let accepted = self.negotiation.consider(line, random::fill).map_err(|refusal| refused(&refusal))?;
        if let Some(keys) = accepted.keys() {
            // SAFETY: the caller's word.
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
/// Null, or from `alloc` and not yet given to `dtor`; nobody else uses it during `'a`.
unsafe fn crypto<'a>(crypto: *mut sys::ast_sdp_crypto) -> Result<&'a mut Crypto, Failed> {
    // SAFETY: the caller's word.
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
        // SAFETY: from `alloc`, and the host calls this once, with the media section.
        drop(unsafe { Box::from_raw(old.cast::<Crypto>()) });
    });
}

/// Neither chan_sip nor chan_pjsip calls it; they leave the suite to `get_attr`.
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
    // With DTLS the keys are not for SDP.
    if section.is_null() || dtls_enabled != 0 {
        return ptr::null();
    }
    let suite = if default_tag_len_32 == 0 { Suite::AesCm128HmacSha1_80 } else { Suite::AesCm128HmacSha1_32 };
    fence("sdp crypto get_attr", ptr::null(), || {
        // SAFETY: the host lends the media section for the call, and frees with it the object that we put in. The line stays
        // with that object until the host, which has copied it by then, asks again.
        unsafe {
            if (*section).crypto.is_null() {
                (*section).crypto = alloc();
            }
            crypto((*section).crypto).ok().and_then(|crypto| crypto.line(suite)).map_or(ptr::null(), CStr::as_ptr)
        }
    })
}

/// Gives the keys to the core, which comes back with them to our own table.
///
/// # Safety
/// The instance is live.
unsafe fn install(instance: *mut sys::ast_rtp_instance, keys: &Keys) -> Result<(), Failed> {
    // SAFETY: the caller's word.
    let ssrc = unsafe { sys::ast_rtp_instance_get_ssrc(instance) };
    let mut remote = Policy::with_key(keys.suite, &keys.remote, Streams::AnyInbound);
    let mut local = Policy::with_key(keys.suite, &keys.local, Streams::Ssrc(ssrc));
    let (remote, local) = ((&raw mut remote).cast(), (&raw mut local).cast());
    // SAFETY: the caller's word; a pointer to such a policy is what our table takes for an `ast_srtp_policy`, and copies.
    let added = unsafe { sys::ast_rtp_instance_add_srtp_policy(instance, remote, local, BOTH) };
    if added == 0 {
        Ok(())
    } else {
        error!("SRTP: the keys of a=crypto were not taken");
        Err(Failed)
    }
}

/// The host tries the next line, if there is one, and says in the end that none was good enough, but not why.
fn refused(refusal: &Refusal) -> Failed {
    if let Refusal::UnknownSuite(_) = refusal {
        // Most offers have a line for each suite that their sender knows.
        debug!(2, "SRTP: a=crypto not taken: {refusal}");
    } else if let Some(more) = REFUSALS.allow() {
        notice!("SRTP: a=crypto not taken: {refusal}, {more} more since the last such line");
    }
    Failed
}

/// Whoever may send an INVITE can send refused lines.
static REFUSALS: RateLimit = RateLimit::new(Duration::from_secs(10), 5);

/// The session is for RTP and RTCP: with SDES they have the same keys. What the header calls 1 is a session for RTCP alone.
const BOTH: c_int = 0;

/// The media section has its keys.
const OFFER_OK: u32 = sys::AST_SRTP_CRYPTO_OFFER_OK as u32;
