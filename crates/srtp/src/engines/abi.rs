//! The tables of functions by which libsrtp 2.3.0 knows an algorithm (`crypto/include/cipher.h`, `crypto/include/auth.h`).

use std::ffi::{c_char, c_int, c_uint, c_void};

use libsrtp2_sys::srtp_err_status_t as Status;

/// `srtp_cipher_type_t`.
#[repr(C)]
pub struct CipherType {
    pub alloc: unsafe extern "C" fn(*mut *mut Cipher, c_int, c_int) -> Status,
    pub dealloc: unsafe extern "C" fn(*mut Cipher) -> Status,
    pub init: unsafe extern "C" fn(*mut c_void, *const u8) -> Status,
    pub set_aad: unsafe extern "C" fn(*mut c_void, *const u8, u32) -> Status,
    pub encrypt: unsafe extern "C" fn(*mut c_void, *mut u8, *mut c_uint) -> Status,
    pub decrypt: unsafe extern "C" fn(*mut c_void, *mut u8, *mut c_uint) -> Status,
    pub set_iv: unsafe extern "C" fn(*mut c_void, *mut u8, c_int) -> Status,
    pub get_tag: unsafe extern "C" fn(*mut c_void, *mut u8, *mut u32) -> Status,
    pub description: *const c_char,
    pub test: *const CipherTest,
    pub id: u32,
}

// SAFETY: constants, and pointers to constants.
unsafe impl Sync for CipherType {}

/// `srtp_cipher_t`: one key of one stream.
#[repr(C)]
pub struct Cipher {
    pub kind: *const CipherType,
    pub state: *mut c_void,
    pub key_len: c_int,
    pub algorithm: c_int,
}

/// `srtp_cipher_test_case_t`. The key is followed by the salt, the ciphertext by the tag.
#[repr(C)]
pub struct CipherTest {
    pub key_len: c_int,
    pub key: *const u8,
    pub iv: *const u8,
    pub plaintext_len: c_uint,
    pub plaintext: *const u8,
    pub ciphertext_len: c_uint,
    pub ciphertext: *const u8,
    pub aad_len: c_int,
    pub aad: *const u8,
    pub tag_len: c_int,
    pub next: *const CipherTest,
}

// SAFETY: as for `CipherType`.
unsafe impl Sync for CipherTest {}

/// `srtp_auth_type_t`.
#[repr(C)]
pub struct AuthType {
    pub alloc: unsafe extern "C" fn(*mut *mut Auth, c_int, c_int) -> Status,
    pub dealloc: unsafe extern "C" fn(*mut Auth) -> Status,
    pub init: unsafe extern "C" fn(*mut c_void, *const u8, c_int) -> Status,
    pub compute: unsafe extern "C" fn(*mut c_void, *const u8, c_int, c_int, *mut u8) -> Status,
    pub update: unsafe extern "C" fn(*mut c_void, *const u8, c_int) -> Status,
    pub start: unsafe extern "C" fn(*mut c_void) -> Status,
    pub description: *const c_char,
    pub test: *const AuthTest,
    pub id: u32,
}

// SAFETY: as for `CipherType`.
unsafe impl Sync for AuthType {}

/// `srtp_auth_t`: one key of one stream.
#[repr(C)]
pub struct Auth {
    pub kind: *const AuthType,
    pub state: *mut c_void,
    pub tag_len: c_int,
    pub key_len: c_int,
    pub prefix_len: c_int,
}

/// `srtp_auth_test_case_t`.
#[repr(C)]
pub struct AuthTest {
    pub key_len: c_int,
    pub key: *const u8,
    pub data_len: c_int,
    pub data: *const u8,
    pub tag_len: c_int,
    pub tag: *const u8,
    pub next: *const AuthTest,
}

// SAFETY: as for `CipherType`.
unsafe impl Sync for AuthTest {}

unsafe extern "C" {
    pub fn srtp_replace_cipher_type(kind: *const CipherType, id: u32) -> Status;
    pub fn srtp_replace_auth_type(kind: *const AuthType, id: u32) -> Status;
}

/// `SRTP_AES_ICM_128`.
pub const AES_ICM_128: u32 = 1;
/// `SRTP_AES_ICM_256`.
pub const AES_ICM_256: u32 = 5;
/// `SRTP_AES_GCM_128`.
pub const AES_GCM_128: u32 = 6;
/// `SRTP_AES_GCM_256`.
pub const AES_GCM_256: u32 = 7;
/// `SRTP_HMAC_SHA1`.
pub const HMAC_SHA1: u32 = 3;
