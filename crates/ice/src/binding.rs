//! Answers Binding requests outside of ICE (RFC 8489 §6.3.1): some phones ask the address that they send media to, to keep their NAT
//! open or to learn their own address.
//!
//! Anybody can send such a request. The caller decides whom it answers, and how often.

use std::net::SocketAddr;

use stun_types::attribute::{
    AttributeStaticType, AttributeWrite, ErrorCode, Fingerprint, MessageIntegrity, MessageIntegritySha256,
    UnknownAttributes, Username, XorMappedAddress,
};
use stun_types::message::{
    Message, MessageClass, MessageHeader, MessageType, MessageWrite, MessageWriteExt, MessageWriteMutSlice,
    StunWriteError,
};

use crate::message::{parse, unknown_attribute_but};

/// Writes the answer to a Binding request without credentials that came from `source` into `buf`. Returns its length; `None` for
/// anything else, and if `buf` is too short.
///
/// ```
/// let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
/// let mut buf = [0; ice::MAX_DATAGRAM];
/// let len = ice::answer_binding("192.0.2.1:4000".parse().unwrap(), &request, &mut buf).unwrap();
/// assert_eq!((len, &buf[..2], &buf[8..20]), (32, &[1, 1][..], &[7; 12][..]));
/// ```
pub fn answer_binding(source: SocketAddr, datagram: &[u8], buf: &mut [u8]) -> Option<usize> {
    let is_plain = |message: &Message<'_>| {
        let credentials = [Username::TYPE, MessageIntegrity::TYPE, MessageIntegritySha256::TYPE];
        message.class() == MessageClass::Request && !credentials.iter().any(|kind| message.has_attribute(*kind))
    };
    let request = parse(datagram).ok().filter(is_plain)?;
    if buf.len() < MessageHeader::LENGTH {
        return None; // the library does not check this for the header
    }
    let unknown = unknown_attribute_but(&request, &[Fingerprint::TYPE]);
    let class = if unknown.is_some() { MessageClass::Error } else { MessageClass::Success };
    let kind = MessageType::from_class_method(class, stun_types::message::BINDING);
    let mut answer = Message::builder(kind, request.transaction_id(), MessageWriteMutSlice::new(buf));
    match unknown {
        Some(unknown) => refuse(&mut answer, unknown).ok()?,
        None => answer.add_attribute(&XorMappedAddress::new(source, request.transaction_id())).ok()?,
    }
    if request.has_attribute(Fingerprint::TYPE) {
        answer.add_fingerprint().ok()?;
    }
    Some(answer.finish())
}

/// RFC 8489 §6.3.1: an attribute that has to be understood and is not is named in error 420.
fn refuse(answer: &mut MessageWriteMutSlice<'_>, unknown: u16) -> Result<(), StunWriteError> {
    answer.add_attribute(&ErrorCode::new(420, "Unknown Attribute")?)?;
    answer.add_attribute(&UnknownAttributes::new(&[unknown.into()]) as &dyn AttributeWrite)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "192.0.2.1:4000";

    fn request(attributes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
        [&[0, 1][..], &length, &[0x21, 0x12, 0xa4, 0x42], &[7; 12], attributes].concat()
    }

    fn answer(datagram: &[u8]) -> Option<Vec<u8>> {
        let mut buf = [0; crate::MAX_DATAGRAM];
        let len = answer_binding(SOURCE.parse().unwrap(), datagram, &mut buf)?;
        Some(buf[..len].to_vec())
    }

    #[test]
    fn rfc8489_section_6_3_1_1_the_answer_names_the_source() {
        let answer = answer(&request(&[])).unwrap();
        let message = Message::from_bytes(&answer).unwrap();
        assert_eq!(message.class(), MessageClass::Success);
        let mapped = message.attribute::<XorMappedAddress>().unwrap();
        assert_eq!(mapped.addr(message.transaction_id()), SOURCE.parse().unwrap());
        assert!(!message.has_attribute(Fingerprint::TYPE));
    }

    #[test]
    fn rfc8489_section_6_3_1_an_attribute_that_has_to_be_understood_is_named() {
        // CHANGE-REQUEST of RFC 5780, which would have us answer from another address.
        let answer = answer(&request(&[0, 3, 0, 4, 0, 0, 0, 6])).unwrap();
        let message = Message::from_bytes(&answer).unwrap();
        assert_eq!(message.class(), MessageClass::Error);
        assert!(message.attribute::<UnknownAttributes>().unwrap().has_attribute(3.into()));
    }

    #[test]
    fn nothing_but_a_binding_request_is_answered() {
        let check = request(&[0, 6, 0, 4, b'a', b':', b'b', b'c']);
        let mut others = vec![vec![], vec![0; 20], request(&[0, 3]), request(&[])[..19].to_vec(), check];
        for (at, kind) in [(1, 0x11), (0, 0x01), (1, 0x03)] {
            let mut other = request(&[]);
            other[at] = kind;
            others.push(other);
        }
        for other in others {
            assert_eq!(answer(&other), None, "{other:02x?}");
        }
        assert_eq!(answer_binding(SOURCE.parse().unwrap(), &request(&[]), &mut [0; 30]), None);
        assert_eq!(answer_binding(SOURCE.parse().unwrap(), &request(&[]), &mut [0; 8]), None);
    }
}
