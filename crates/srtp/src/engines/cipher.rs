//! The functions of a [`CipherType`], for any [`Engine`].

use std::ffi::{c_int, c_uint, c_void};
use std::slice;

use libsrtp2_sys as sys;
use sys::srtp_err_status_t as Status;

use super::abi::{Cipher, CipherTest, CipherType};
use super::wipe;

/// A cipher with its key. In one packet come, in this order: the IV, additional data if the cipher takes any, and the text.
pub trait Engine: Default + 'static {
    /// The length of key and salt in bytes.
    const KEY_LEN: usize;
    /// The length of the IV in bytes.
    const IV_LEN: usize;

    /// The table that libsrtp knows the cipher by.
    fn kind() -> &'static CipherType;

    /// Sets the length of the tag in bytes. Returns whether there is one of that length.
    fn set_tag_len(&mut self, len: usize) -> bool;

    /// Sets the key; `key` has [`Self::KEY_LEN`] bytes.
    fn set_key(&mut self, key: &[u8]) -> Result<(), Refused>;

    /// Begins a packet; `iv` has [`Self::IV_LEN`] bytes.
    fn set_iv(&mut self, iv: &[u8]) -> Result<(), Refused>;

    /// Adds data that is authenticated and not encrypted.
    fn add_data(&mut self, data: &[u8]) -> Result<(), Refused>;

    /// Encrypts in place.
    fn encrypt(&mut self, text: &mut [u8]) -> Result<(), Refused>;

    /// Decrypts in place, and returns the length of what is left: without the tag, which it verifies.
    fn decrypt(&mut self, text: &mut [u8]) -> Result<usize, Refused>;

    /// The tag of what [`Self::encrypt`] has encrypted.
    fn tag(&self) -> &[u8];
}

/// The reason why an engine does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no key yet, or the cipher has no such function.
    State,
    /// The tag is another.
    Tag,
}

/// The table of `E`, which libsrtp calls `id`.
pub const fn table<E: Engine>(id: u32, description: &'static std::ffi::CStr, test: &'static CipherTest) -> CipherType {
    CipherType {
        alloc: alloc::<E>,
        dealloc: dealloc::<E>,
        init: init::<E>,
        set_aad: set_aad::<E>,
        encrypt: encrypt::<E>,
        decrypt: decrypt::<E>,
        set_iv: set_iv::<E>,
        get_tag: get_tag::<E>,
        description: description.as_ptr(),
        test,
        id,
    }
}

/// An engine as libsrtp has it. `raw` comes first: libsrtp gives its address back.
#[repr(C)]
struct Held<E> {
    raw: Cipher,
    engine: E,
}

unsafe extern "C" fn alloc<E: Engine>(to: *mut *mut Cipher, key_len: c_int, tag_len: c_int) -> Status {
    let mut engine = E::default();
    let has_tag = usize::try_from(tag_len).is_ok_and(|len| engine.set_tag_len(len));
    if usize::try_from(key_len) != Ok(E::KEY_LEN) || !has_tag {
        return sys::srtp_err_status_t_srtp_err_status_bad_param;
    }
    let kind = E::kind();
    let raw = Cipher { kind, state: std::ptr::null_mut(), key_len, algorithm: kind.id as c_int };
    let held = Box::into_raw(Box::new(Held { raw, engine }));
    // SAFETY: the box is ours, and libsrtp lends the place of the result.
    unsafe {
        (*held).raw.state = (&raw mut (*held).engine).cast();
        *to = held.cast();
    }
    OK
}

unsafe extern "C" fn dealloc<E: Engine>(cipher: *mut Cipher) -> Status {
    // SAFETY: from `alloc`, and libsrtp frees it once.
    unsafe { wipe(cipher.cast::<Held<E>>()) };
    OK
}

/// # Safety
/// `state` is from [`alloc`] of the same engine, and nobody else uses it for `'a`.
unsafe fn engine<'a, E: Engine>(state: *mut c_void) -> &'a mut E {
    // SAFETY: guaranteed by our caller.
    unsafe { &mut *state.cast::<E>() }
}

unsafe extern "C" fn init<E: Engine>(state: *mut c_void, key: *const u8) -> Status {
    // SAFETY: libsrtp passes a key of the length that `alloc` has accepted, and calls for one packet of a session at a time.
    unsafe { status(engine::<E>(state).set_key(slice::from_raw_parts(key, E::KEY_LEN))) }
}

unsafe extern "C" fn set_iv<E: Engine>(state: *mut c_void, iv: *mut u8, _direction: c_int) -> Status {
    // SAFETY: as in `init`; the IV has the cipher's length.
    unsafe { status(engine::<E>(state).set_iv(slice::from_raw_parts(iv, E::IV_LEN))) }
}

unsafe extern "C" fn set_aad<E: Engine>(state: *mut c_void, data: *const u8, len: u32) -> Status {
    if len == 0 {
        return OK;
    }
    // SAFETY: as in `init`; libsrtp lends `len` bytes.
    unsafe { status(engine::<E>(state).add_data(slice::from_raw_parts(data, len as usize))) }
}

unsafe extern "C" fn encrypt<E: Engine>(state: *mut c_void, text: *mut u8, len: *mut c_uint) -> Status {
    // SAFETY: as in `init`; libsrtp lends `*len` bytes.
    unsafe { status(engine::<E>(state).encrypt(lent(text, *len))) }
}

unsafe extern "C" fn decrypt<E: Engine>(state: *mut c_void, text: *mut u8, len: *mut c_uint) -> Status {
    // SAFETY: as in `encrypt`; the length of what is left is at most the one before.
    unsafe {
        let left = engine::<E>(state).decrypt(lent(text, *len));
        status(left.map(|left| *len = left as c_uint))
    }
}

unsafe extern "C" fn get_tag<E: Engine>(state: *mut c_void, to: *mut u8, len: *mut u32) -> Status {
    // SAFETY: as in `init`; libsrtp lends room for the tag.
    unsafe {
        let tag = engine::<E>(state).tag();
        to.copy_from_nonoverlapping(tag.as_ptr(), tag.len());
        *len = tag.len() as u32;
    }
    OK
}

/// # Safety
/// `len` bytes at `text` are lent for `'a`. No bytes may be at null, as of a packet that is authenticated only.
unsafe fn lent<'a>(text: *mut u8, len: c_uint) -> &'a mut [u8] {
    if len == 0 {
        return &mut [];
    }
    // SAFETY: guaranteed by our caller.
    unsafe { slice::from_raw_parts_mut(text, len as usize) }
}

fn status(result: Result<(), Refused>) -> Status {
    match result {
        Ok(()) => OK,
        Err(Refused::State) => sys::srtp_err_status_t_srtp_err_status_cipher_fail,
        Err(Refused::Tag) => sys::srtp_err_status_t_srtp_err_status_auth_fail,
    }
}

pub const OK: Status = sys::srtp_err_status_t_srtp_err_status_ok;
