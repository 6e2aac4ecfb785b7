//! The DTLS roles: `a=setup` in the offer, the answer and every later offer (RFC 4145 §4, RFC 5763 §5).
//!
//! ```text
//!   a=setup of the offer     a=setup of the answer     sends the ClientHello
//!   --------------------     ---------------------     ---------------------
//!   actpass                  active (recommended)      the answerer
//!   actpass                  passive                   the offerer
//!   active                   passive                   the offerer
//!   passive                  active                    the answerer
//!   holdconn                 holdconn                  nobody, for now
//! ```
//!
//! A later offer usually says `actpass` again. The roles stay then: another role would need a new association, and
//! every call on hold would lose its media for the length of a handshake.

/// The end of a DTLS handshake that an association is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends the ClientHello: `a=setup:active`.
    Client,
    /// Waits for the ClientHello: `a=setup:passive`.
    Server,
}

/// The value of `a=setup` in a session description (RFC 4145 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// This end sends the ClientHello.
    Active,
    /// This end waits for the ClientHello.
    Passive,
    /// This end does either, as the other end decides. Only an offer says so.
    ActPass,
    /// No association is set up for now.
    HoldConn,
}

impl Setup {
    /// Returns our value after the peer's description said `theirs`, where `self` was our value before.
    ///
    /// `actpass` leaves a role that is settled as it is. Where none is settled, we become active, as RFC 5763 §5
    /// recommends to an answerer: it has the offerer's fingerprint already. `holdconn` settles nothing: the next value
    /// decides as if there had been none before (RFC 4145 §7.3).
    #[must_use]
    pub fn settle(self, theirs: Self) -> Self {
        match theirs {
            Self::Active => Self::Passive,
            Self::Passive => Self::Active,
            Self::ActPass if !self.is_settled() => Self::Active,
            Self::ActPass => self,
            Self::HoldConn => Self::HoldConn,
        }
    }

    /// Whether the value says who sends the ClientHello.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Active | Self::Passive)
    }

    /// Describes the value in words, for a console.
    pub fn description(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "active or passive, as the peer decides",
            Self::HoldConn => "holding",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Setup::{ActPass, Active, HoldConn, Passive};

    #[test]
    fn rfc4145_section_7_3_holdconn_does_not_outlast_the_next_description() {
        for (theirs, ours) in [(ActPass, Active), (Passive, Active), (Active, Passive)] {
            for before in [ActPass, Active, Passive] {
                assert_eq!(before.settle(HoldConn).settle(theirs), ours);
            }
        }
    }
}
