//! Names for the numbers of the interface: functions that only Asterisk 22 asks for.

use std::ffi::{CStr, c_char};

use asterisk::sys;

/// Provided in addition to the functions in [`super::optional_api`].
pub const FUNCTIONS: &[(&CStr, *const ())] = &[
    (c"ast_websocket_result_to_str", result_to_str as *const ()),
    (c"ast_websocket_status_to_str", status_to_str as *const ()),
];

unsafe extern "C" fn result_to_str(result: sys::ast_websocket_result) -> *const c_char {
    let word = match result {
        sys::WS_OK => c"ok",
        sys::WS_NOT_SUPPORTED => c"not supported",
        _ => c"failed",
    };
    word.as_ptr()
}

/// Names a close code of RFC 6455 §7.4.1 or of its registry (§11.7).
unsafe extern "C" fn status_to_str(code: sys::ast_websocket_status_code) -> *const c_char {
    let word = match code {
        sys::AST_WEBSOCKET_STATUS_NORMAL => c"normal closure",
        sys::AST_WEBSOCKET_STATUS_GOING_AWAY => c"going away",
        sys::AST_WEBSOCKET_STATUS_PROTOCOL_ERROR => c"protocol error",
        sys::AST_WEBSOCKET_STATUS_UNSUPPORTED_DATA => c"unsupported data",
        sys::AST_WEBSOCKET_STATUS_INVALID_FRAME => c"invalid payload data",
        sys::AST_WEBSOCKET_STATUS_POLICY_VIOLATION => c"policy violation",
        sys::AST_WEBSOCKET_STATUS_TOO_BIG => c"message too big",
        sys::AST_WEBSOCKET_STATUS_MANDATORY_EXT => c"mandatory extension",
        sys::AST_WEBSOCKET_STATUS_INTERNAL_ERROR => c"internal error",
        sys::AST_WEBSOCKET_STATUS_BAD_GATEWAY => c"bad gateway",
        _ => c"unknown",
    };
    word.as_ptr()
}

/// Names a type of connection. Other modules link to this function by its name, not through the optional API.
#[unsafe(no_mangle)]
unsafe extern "C" fn ast_websocket_type_to_str(kind: sys::ast_websocket_type) -> *const c_char {
    let word = match kind {
        sys::AST_WS_TYPE_CLIENT_PERSISTENT => c"persistent",
        sys::AST_WS_TYPE_CLIENT_PER_CALL_CONFIG => c"per_call_config",
        sys::AST_WS_TYPE_CLIENT_PER_CALL => c"per_call",
        sys::AST_WS_TYPE_CLIENT => c"client",
        sys::AST_WS_TYPE_INBOUND => c"inbound",
        sys::AST_WS_TYPE_SERVER => c"server",
        sys::AST_WS_TYPE_ANY => c"any",
        _ => c"unknown",
    };
    word.as_ptr()
}
