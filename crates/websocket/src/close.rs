//! Status codes of Close frames (RFC 6455 §7.4).

use crate::error::FrameError;

/// A status code that may appear in a Close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The connection has fulfilled its purpose.
    pub const NORMAL: Self = Self(1000);
    /// The server shuts down, or the browser has left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// The payload does not fit the opcode, as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// The peer broke a policy, such as a limit on its messages.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// The message is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// The server met a condition it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The peer may try again later. We also send it to a peer that does not read what is sent to it.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// Returns the status code with this number; `None` if it must not appear in a Close frame. That is so for 1004 to
    /// 1006 and 1015, and for undefined numbers up to 2999 (RFC 6455 §7.4.2). 1012 to 1014 were registered after the
    /// RFC.
    pub fn new(code: u16) -> Option<Self> {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999).then_some(Self(code))
    }

    /// The status code as it is on the wire.
    pub fn get(self) -> u16 {
        self.0
    }
}

/// The body of a Close frame: nothing, or a code and a reason (RFC 6455 §5.5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// The status code.
    pub code: CloseCode,
    /// The reason, for people who debug; may be empty.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// Reads the payload of a Close frame; `None` if it is empty.
    pub fn parse(payload: &'a [u8]) -> Result<Option<Self>, FrameError> {
        let (code, reason) = match payload {
            [] => return Ok(None),
            [_] => return Err(FrameError::CloseTooShort),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        };
        let code = CloseCode::new(code).ok_or(FrameError::CloseCode(code))?;
        let reason = std::str::from_utf8(reason).map_err(|_| FrameError::NotUtf8)?;
        Ok(Some(Self { code, reason }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_7_4_1_and_7_4_2_codes_that_may_be_sent() {
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
            assert!(CloseCode::new(code).is_some(), "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            assert!(CloseCode::new(code).is_none(), "{code}");
        }
    }

    #[test]
    fn section_5_5_1_body_of_a_close_frame() {
        assert_eq!(CloseFrame::parse(b""), Ok(None));
        assert_eq!(CloseFrame::parse(b"\x03"), Err(FrameError::CloseTooShort));
        assert_eq!(CloseFrame::parse(b"\x03\xe8bye"), Ok(Some(CloseFrame { code: CloseCode::NORMAL, reason: "bye" })));
        assert_eq!(CloseFrame::parse(b"\x03\xe8\xce"), Err(FrameError::NotUtf8));
        assert_eq!(CloseFrame::parse(b"\x03\xed"), Err(FrameError::CloseCode(1005)));
    }
}
