//! Parsing and writing Binding messages (RFC 8489) with the attributes of RFC 8445 §16.1.
//!
//! This file makes no decisions; the other files decide what a message means and what to send.

use std::net::SocketAddr;

use stun_types::attribute::{
    AttributeStaticType, AttributeType, AttributeWrite, ErrorCode, Fingerprint, MessageIntegrity,
    MessageIntegritySha256, RawAttribute, UnknownAttributes, Username, XorMappedAddress,
};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, IntegrityKey, Message, MessageClass, MessageHeader, MessageType, MessageWrite,
    MessageWriteExt, MessageWriteMutSlice, StunWriteError,
};

use crate::{Error, Role};

/// The maximum length in bytes of a datagram that the agent writes.
pub const MAX_DATAGRAM: usize = 1200;

/// Parses a datagram that consists of exactly one Binding message.
pub(crate) fn parse(datagram: &[u8]) -> Result<Message<'_>, Error> {
    let header = MessageHeader::from_bytes(datagram).map_err(|_| Error::Malformed)?;
    // The library would parse attributes beyond the length stated in the header.
    let whole = usize::from(header.data_length()) + MessageHeader::LENGTH == datagram.len();
    if !whole || !datagram.len().is_multiple_of(4) {
        return Err(Error::Malformed);
    }
    if header.get_type().method() != BINDING {
        return Err(Error::NotBinding(header.get_type().method().value()));
    }
    // This also verifies FINGERPRINT if present.
    Message::from_bytes(datagram).map_err(|_| Error::Malformed)
}

/// Verifies MESSAGE-INTEGRITY in constant time; returns the algorithm that it uses (RFC 8489 §9.1.3).
pub(crate) fn authenticate(message: &Message<'_>, key: &IntegrityKey) -> Result<IntegrityAlgorithm, Error> {
    message.validate_integrity_with_key(key).map_err(|_| Error::BadIntegrity)
}

/// Splits the USERNAME of a request into the receiver's and the sender's username fragment (RFC 8445 §7.2.2).
pub(crate) fn username(message: &Message<'_>) -> Result<(String, String), Error> {
    let username = message.attribute::<Username>().map_err(|_| Error::UnknownUsername)?;
    let (to, from) = username.username().split_once(':').ok_or(Error::UnknownUsername)?;
    Ok((to.to_owned(), from.to_owned()))
}

/// The attributes of RFC 8445 §7.1 in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CheckAttributes {
    pub priority: Option<u32>,
    pub role: Option<(Role, u64)>,
    pub use_candidate: bool,
    pub nomination: Option<u32>,
}

impl CheckAttributes {
    pub fn of(message: &Message<'_>) -> Self {
        let tie_breaker = |kind| number::<8>(message, kind).map(u64::from_be_bytes);
        let controlling = tie_breaker(ICE_CONTROLLING).map(|value| (Role::Controlling, value));
        let controlled = tie_breaker(ICE_CONTROLLED).map(|value| (Role::Controlled, value));
        Self {
            priority: number::<4>(message, PRIORITY).map(u32::from_be_bytes),
            role: controlling.or(controlled),
            use_candidate: message.has_attribute(USE_CANDIDATE),
            nomination: number::<4>(message, NOMINATION).map(u32::from_be_bytes),
        }
    }
}

/// The first comprehension-required attribute that we do not know (RFC 8489 §6.3.1).
pub(crate) fn unknown_attribute(message: &Message<'_>) -> Option<u16> {
    unknown_attribute_but(message, &KNOWN)
}

/// The first comprehension-required attribute that is none of `known`.
pub(crate) fn unknown_attribute_but(message: &Message<'_>, known: &[AttributeType]) -> Option<u16> {
    message
        .iter_attributes()
        .map(|(_, attribute)| attribute.header.get_type())
        .find(|kind| kind.comprehension_required() && !known.contains(kind))
        .map(|kind| kind.value())
}

/// Our address as the peer saw it (XOR-MAPPED-ADDRESS).
pub(crate) fn mapped_address(response: &Message<'_>) -> Result<SocketAddr, Error> {
    let attribute = response.attribute::<XorMappedAddress>().map_err(|_| Error::Malformed)?;
    Ok(attribute.addr(response.transaction_id()))
}

/// The code of an error response (ERROR-CODE).
pub(crate) fn error_code(response: &Message<'_>) -> Result<u16, Error> {
    response.attribute::<ErrorCode>().map(|error| error.code()).map_err(|_| Error::Malformed)
}

/// A connectivity check or consent check to be written (RFC 8445 §7.2.4).
pub(crate) struct Request<'a> {
    pub transaction_id: u128,
    pub local_ufrag: &'a str,
    pub remote_ufrag: &'a str,
    pub priority: u32,
    pub role: Role,
    pub tie_breaker: u64,
    pub use_candidate: bool,
}

impl Request<'_> {
    pub fn write(&self, buf: &mut [u8], key: &IntegrityKey) -> Option<usize> {
        let username = [self.remote_ufrag, ":", self.local_ufrag].concat();
        let role = match self.role {
            Role::Controlling => ICE_CONTROLLING,
            Role::Controlled => ICE_CONTROLLED,
        };
        write(buf, MessageClass::Request, self.transaction_id, (key, IntegrityAlgorithm::Sha1), |message| {
            message.add_attribute(&RawAttribute::new(Username::TYPE, username.as_bytes()))?;
            message.add_attribute(&RawAttribute::new(PRIORITY, &self.priority.to_be_bytes()))?;
            message.add_attribute(&RawAttribute::new(role, &self.tie_breaker.to_be_bytes()))?;
            if self.use_candidate {
                message.add_attribute(&RawAttribute::new(USE_CANDIDATE, &[]))?;
            }
            Ok(())
        })
    }
}

/// The response to a request (RFC 8445 §7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Success, with the source address of the request.
    Success(SocketAddr),
    /// Error 487: both sides have the same role, and the sender of the request must change its own (§7.3.1.1).
    RoleConflict,
    /// Error 420, naming the unknown attribute.
    UnknownAttribute(u16),
}

impl Answer {
    pub fn write(&self, buf: &mut [u8], id: u128, key: (&IntegrityKey, IntegrityAlgorithm)) -> Option<usize> {
        match *self {
            Self::Success(source) => {
                let mapped = XorMappedAddress::new(source, id.into());
                write(buf, MessageClass::Success, id, key, |message| message.add_attribute(&mapped))
            }
            Self::RoleConflict => write(buf, MessageClass::Error, id, key, |message| {
                message.add_attribute(&ErrorCode::new(ROLE_CONFLICT, "Role Conflict")?)
            }),
            Self::UnknownAttribute(kind) => write(buf, MessageClass::Error, id, key, |message| {
                message.add_attribute(&ErrorCode::new(420, "Unknown Attribute")?)?;
                message.add_attribute(&UnknownAttributes::new(&[kind.into()]) as &dyn AttributeWrite)
            }),
        }
    }
}

/// Writes header, attributes, MESSAGE-INTEGRITY and FINGERPRINT. Returns the length, or `None` if `buf` is too short.
pub(crate) fn write(
    buf: &mut [u8],
    class: MessageClass,
    transaction_id: u128,
    (key, algorithm): (&IntegrityKey, IntegrityAlgorithm),
    attributes: impl FnOnce(&mut MessageWriteMutSlice<'_>) -> Result<(), StunWriteError>,
) -> Option<usize> {
    if buf.len() < MessageHeader::LENGTH {
        return None; // the library does not check this for the header
    }
    let kind = MessageType::from_class_method(class, BINDING);
    let mut message = Message::builder(kind, transaction_id.into(), MessageWriteMutSlice::new(buf));
    attributes(&mut message).ok()?;
    message.add_message_integrity_with_key(key, algorithm).ok()?;
    message.add_fingerprint().ok()?;
    Some(message.finish())
}

fn number<const N: usize>(message: &Message<'_>, kind: AttributeType) -> Option<[u8; N]> {
    message.raw_attribute(kind).and_then(|attribute| (*attribute.value).try_into().ok())
}

/// The error code of a role conflict (RFC 8445 §7.2.5.1).
pub(crate) const ROLE_CONFLICT: u16 = 487;

// The attributes of RFC 8445 §16.1.
const PRIORITY: AttributeType = AttributeType::new(0x0024);
const USE_CANDIDATE: AttributeType = AttributeType::new(0x0025);
const ICE_CONTROLLED: AttributeType = AttributeType::new(0x8029);
const ICE_CONTROLLING: AttributeType = AttributeType::new(0x802a);
/// draft-thatcher-ice-renomination; libwebrtc chose the number.
const NOMINATION: AttributeType = AttributeType::new(0xc001);

const KNOWN: [AttributeType; 6] =
    [Username::TYPE, MessageIntegrity::TYPE, MessageIntegritySha256::TYPE, Fingerprint::TYPE, PRIORITY, USE_CANDIDATE];

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
