//! The role of an agent: the controlling one nominates (RFC 8445 §6.1.1).

/// Our role in the session (RFC 8445 §6.1.1): the controlling agent nominates the pairs to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// We nominate: we sent the offer, or the peer is lite.
    Controlling,
    /// The peer nominates.
    Controlled,
}

impl Role {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Controlling => Self::Controlled,
            Self::Controlled => Self::Controlling,
        }
    }
}
