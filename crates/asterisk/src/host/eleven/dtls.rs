//! The DTLS interface of Asterisk 11. It has two layouts: that of 11.11 and later, which later hosts have kept, and an
//! older one, which this file translates.

use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::rtp::dtls::{active, get_connection, get_setup, owned, reset, set_setup, stop, table, take_fingerprint};
use crate::rtp::held::{Held, with};
use crate::rtp::{DtlsConfig, Engine, Hash, Setup};
use crate::{answer, sys, warning};

/// The functions of an engine in both layouts.
pub struct Tables {
    since_11_11: sys::ast_rtp_engine_dtls,
    before_11_11: sys::ast_rtp_engine_dtls_before_11_11,
}

impl Tables {
    /// The functions of engine `E`.
    pub fn of<E: Engine>() -> Self {
        Self { since_11_11: table::<E>(), before_11_11: table_before_11_11::<E>() }
    }

    /// The table in the layout of this host. Null if the layout is unknown; the host then has no DTLS.
    pub fn for_host(&mut self) -> *mut sys::ast_rtp_engine_dtls {
        match layout() {
            Layout::Since11_11 => &raw mut self.since_11_11,
            Layout::Before11_11 => (&raw mut self.before_11_11).cast(),
            Layout::Unknown => {
                warning!(
                    "the DTLS interface of this Asterisk is unknown: calls with DTLS are declined; please report its version"
                );
                ptr::null_mut()
            }
        }
    }
}

/// Whether a certificate is generated even if a file is configured: never, because this host has no such option.
pub fn is_ephemeral(_configuration: &sys::ast_rtp_dtls_cfg) -> bool {
    false
}

pub(crate) fn table_before_11_11<E: Engine>() -> sys::ast_rtp_engine_dtls_before_11_11 {
    sys::ast_rtp_engine_dtls_before_11_11 {
        set_configuration: Some(set_configuration_old::<E>),
        active: Some(active::<E>),
        stop: Some(stop::<E>),
        reset: Some(reset::<E>),
        get_connection: Some(get_connection::<E>),
        get_setup: Some(get_setup::<E>),
        set_setup: Some(set_setup::<E>),
        set_fingerprint: Some(set_fingerprint_old::<E>),
        get_fingerprint: Some(get_fingerprint_old::<E>),
    }
}

/// # Safety
/// The strings of `host` live during the call.
unsafe fn from_old(host: &sys::ast_rtp_dtls_cfg_before_11_11) -> DtlsConfig {
    // SAFETY: guaranteed by our caller for each string.
    let [certificate, private_key, cipher, ca_file, ca_path] =
        [host.certfile, host.pvtfile, host.cipher, host.cafile, host.capath].map(|text| unsafe { owned(text) });
    let verify = host.verify() != 0;
    DtlsConfig {
        enabled: host.enabled() != 0,
        // One option controls both: the fingerprint is verified, and the certificate too if authorities are configured.
        verify_fingerprint: verify,
        verify_certificate: verify && (ca_file.is_some() || ca_path.is_some()),
        rekey_seconds: host.rekey,
        setup: Setup::from_host(host.default_setup),
        suite: host.suite,
        hash: Hash::Sha1,
        certificate,
        private_key,
        cipher,
        ca_file,
        ca_path,
    }
}

unsafe extern "C" fn set_configuration_old<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    configuration: *const sys::ast_rtp_dtls_cfg_before_11_11,
) -> c_int {
    // SAFETY: the host lends its instance and the configuration for the call.
    unsafe {
        with("dtls set_configuration", -1, instance, |held: &Held<E>, instance| {
            let Some(configuration) = configuration.as_ref() else { return -1 };
            answer(held.session.set_configuration(instance, &from_old(configuration)))
        })
    }
}

/// Sets the peer's fingerprint. A host of this age only passes SHA-1, which it numbers 0.
unsafe extern "C" fn set_fingerprint_old<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    _hash: sys::ast_rtp_dtls_hash,
    fingerprint: *const c_char,
) {
    // SAFETY: the host lends its instance and the string for the call.
    unsafe { take_fingerprint::<E>(instance, Hash::Sha1, fingerprint) }
}

/// Returns our SHA-1 fingerprint: this host prints "SHA-1" before it, no matter which hash it is.
unsafe extern "C" fn get_fingerprint_old<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    _hash: sys::ast_rtp_dtls_hash,
) -> *const c_char {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("dtls get_fingerprint", ptr::null(), instance, |held: &Held<E>, instance| {
            held.fingerprint.show(held.session.fingerprint(instance, Hash::Sha1))
        })
    }
}

/// The layout of `ast_rtp_dtls_cfg` and of the DTLS functions in this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// 11.0.0 to 11.10.2, certified up to 11.6-cert4: SHA-1 only, no role for ICE.
    Before11_11,
    /// 11.11.0 and later, certified from 11.6-cert5.
    Since11_11,
    /// Neither of the two; DTLS is not offered.
    Unknown,
}

/// The layout of this host, determined once by letting the host parse an option: the version number of a certified
/// release does not tell the layout.
fn layout() -> Layout {
    const NOT_ASKED: u8 = 0;
    static KNOWN: AtomicU8 = AtomicU8::new(NOT_ASKED);
    if KNOWN.load(Ordering::Relaxed) == NOT_ASKED {
        let found = match probe_layout() {
            Layout::Before11_11 => 1,
            Layout::Since11_11 => 2,
            Layout::Unknown => 3,
        };
        KNOWN.store(found, Ordering::Relaxed);
    }
    match KNOWN.load(Ordering::Relaxed) {
        1 => Layout::Before11_11,
        2 => Layout::Since11_11,
        _ => Layout::Unknown,
    }
}

/// Parses `dtlsverify=yes`, which sets bit 1 of the first byte in the old layout, and the word at offset 20 to 3 in the
/// new one.
fn probe_layout() -> Layout {
    let mut probe = Probe([0; 128]);
    // SAFETY: either layout fits in 128 bytes aligned to 8, all zero is a valid state, and this option
    // allocates nothing.
    let parsed =
        unsafe { sys::ast_rtp_dtls_cfg_parse((&raw mut probe).cast(), c"dtlsverify".as_ptr(), c"yes".as_ptr()) };
    if parsed != 0 {
        return Layout::Unknown;
    }
    layout_of(&probe.0)
}

#[repr(C, align(8))]
struct Probe([u8; 128]);

fn layout_of(written: &[u8; 128]) -> Layout {
    let (mut old, mut new) = ([0; 128], [0; 128]);
    old[0] = 2;
    new[20..24].copy_from_slice(&3_u32.to_ne_bytes());
    match written {
        written if *written == old => Layout::Before11_11,
        written if *written == new => Layout::Since11_11,
        _ => Layout::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_follows_from_the_parsers_output() {
        let mut written = [0; 128];
        assert_eq!(layout_of(&written), Layout::Unknown);
        written[0] = 2;
        assert_eq!(layout_of(&written), Layout::Before11_11);
        written[20] = 3;
        assert_eq!(layout_of(&written), Layout::Unknown);
        written[0] = 0;
        assert_eq!(layout_of(&written), Layout::Since11_11);
    }
}
