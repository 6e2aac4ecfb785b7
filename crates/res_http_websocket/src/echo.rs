//! The subprotocol `echo`: sends each message back, to try a connection out.

use std::ptr::NonNull;

use asterisk::epoll::wait_readable;
use asterisk::fence::fence;
use asterisk::sys;
use websocket::Opcode;

use crate::exports::Handle;
use crate::session::{Read, Session};

/// Serves one session until it ends. The caller hands over one reference to it.
pub unsafe extern "C" fn callback(
    session: *mut sys::ast_websocket,
    _parameters: *mut sys::ast_variable,
    _headers: *mut sys::ast_variable,
) {
    fence("echo", (), || {
        let Some(session) = NonNull::new(session) else { return };
        // SAFETY: whoever calls a protocol hands it one reference to a live session.
        let handle = unsafe { Handle::adopt(session) };
        echo(handle.session());
    });
}

fn echo(session: &Session) {
    while wait_readable(session.descriptor()) {
        match session.read() {
            Read::Frame { opcode: opcode @ (Opcode::Text | Opcode::Binary), payload, len, .. } => {
                // SAFETY: lent by `read` until the next one, which is ours.
                let payload = unsafe { std::slice::from_raw_parts(payload, len) };
                if session.write(opcode, payload).is_err() {
                    return;
                }
            }
            Read::Frame { opcode: Opcode::Close, .. } | Read::Ended => return,
            Read::Frame { .. } | Read::NothingYet => {}
        }
    }
}
