//! The limit to what is sent before anything but an address is known of the peer (compare RFC 9000 §8.1).
//!
//! A ClientHello may arrive before the description that says whose it is, when Asterisk calls a browser. ICE has
//! authenticated a check from its address by then: the sender knows our offer. It need not be at that address, so we send
//! no more than three times what came from there.

/// The octets that may be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Credit {
    /// The peer is known.
    #[default]
    Unlimited,
    /// The peer is not known.
    Limited {
        /// This many octets may be sent.
        left: usize,
        /// A datagram was not sent, because it was longer.
        has_lost: bool,
    },
}

impl Credit {
    /// Nothing has been received.
    pub(super) const EARLY: Self = Self::Limited { left: 0, has_lost: false };

    /// Notes a datagram that was received.
    pub(super) fn earn(&mut self, len: usize) {
        if let Self::Limited { left, .. } = self {
            *left = left.saturating_add(FACTOR * len).min(MOST);
        }
    }

    /// Notes a datagram that is about to be sent. `false`: it must not be.
    pub(super) fn spend(&mut self, len: usize) -> bool {
        let Self::Limited { left, has_lost } = self else { return true };
        let rest = left.checked_sub(len);
        *left = rest.unwrap_or(*left);
        *has_lost |= rest.is_none();
        rest.is_some()
    }

    /// The peer is known. Returns whether the flight has to be sent again, because a part of it was not sent.
    pub(super) fn lift(&mut self) -> bool {
        matches!(std::mem::take(self), Self::Limited { has_lost: true, .. })
    }
}

const FACTOR: usize = 3;
/// The most that is saved up, in octets. A flight with a long certificate chain is shorter.
const MOST: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_octets_are_sent_for_one_until_the_peer_is_known() {
        let mut credit = Credit::EARLY;
        assert!(!credit.spend(1));
        credit.earn(100);
        assert!(credit.spend(200) && !credit.spend(101) && credit.spend(100) && !credit.spend(1));
        assert!(credit.lift() && !credit.lift());
        assert!(credit.spend(usize::MAX));
    }
}
