//! The functions of [`crate::exports`] under names without the leading underscores.
//!
//! An Asterisk 11 whose `configure` found no support for weak references links to these names. Compilers from about 2018 on
//! fail the check for it in releases before 11.19.

use std::ffi::{c_char, c_int};

use asterisk::sys;

use crate::exports;
use crate::protocols::Callback;

macro_rules! unprefixed {
    ($(fn $name:ident = $prefixed:ident($($argument:ident: $type:ty),*) $(-> $answer:ty)?;)*) => {
        $(
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($($argument: $type),*) $(-> $answer)? {
                // SAFETY: the caller's word, which is the same for both names.
                unsafe { exports::$prefixed($($argument),*) }
            }
        )*
    };
}

type Session = *mut sys::ast_websocket;
type Opcode = sys::ast_websocket_opcode;

unprefixed! {
    fn ast_websocket_add_protocol = __ast_websocket_add_protocol(name: *const c_char, callback: Option<Callback>) -> c_int;
    fn ast_websocket_remove_protocol =
        __ast_websocket_remove_protocol(name: *const c_char, callback: Option<Callback>) -> c_int;
    fn ast_websocket_read = __ast_websocket_read(
        session: Session, payload: *mut *mut c_char, payload_len: *mut u64, opcode: *mut Opcode, fragmented: *mut c_int
    ) -> c_int;
    fn ast_websocket_write =
        __ast_websocket_write(session: Session, opcode: Opcode, payload: *mut c_char, payload_size: u64) -> c_int;
    fn ast_websocket_close = __ast_websocket_close(session: Session, reason: u16) -> c_int;
    fn ast_websocket_reconstruct_enable = __ast_websocket_reconstruct_enable(session: Session, bytes: usize);
    fn ast_websocket_reconstruct_disable = __ast_websocket_reconstruct_disable(session: Session);
    fn ast_websocket_ref = __ast_websocket_ref(session: Session);
    fn ast_websocket_unref = __ast_websocket_unref(session: Session);
    fn ast_websocket_fd = __ast_websocket_fd(session: Session) -> c_int;
    fn ast_websocket_remote_address = __ast_websocket_remote_address(session: Session) -> *mut sys::ast_sockaddr;
    fn ast_websocket_is_secure = __ast_websocket_is_secure(session: Session) -> c_int;
    fn ast_websocket_set_nonblock = __ast_websocket_set_nonblock(session: Session) -> c_int;
    fn ast_websocket_set_timeout = __ast_websocket_set_timeout(session: Session, timeout: c_int) -> c_int;
}
