use super::*;
use crate::Credentials;
use crate::credentials::Keyed;

fn key() -> IntegrityKey {
    Keyed::from(Credentials { ufrag: "evtj".into(), password: "VOkJxbRl1RmTxUk/WvJxBt".into() }).key
}

#[test]
fn rfc5769_2_1_sample_request() {
    let message = parse(&REQUEST).unwrap();
    assert_eq!(username(&message).unwrap(), ("evtj".to_owned(), "h6vY".to_owned()));
    let expected = CheckAttributes {
        priority: Some(0x6e00_01ff),
        role: Some((Role::Controlled, 0x932f_f9b1_5126_3b36)),
        use_candidate: false,
        nomination: None,
    };
    assert_eq!(CheckAttributes::of(&message), expected);
    assert_eq!(authenticate(&message, &key()), Ok(IntegrityAlgorithm::Sha1));
    assert_eq!(unknown_attribute(&message), None);
}

#[test]
fn rfc5769_2_2_sample_ipv4_response() {
    let message = parse(&IPV4_RESPONSE).unwrap();
    assert_eq!(authenticate(&message, &key()), Ok(IntegrityAlgorithm::Sha1));
    assert_eq!(mapped_address(&message).unwrap(), "192.0.2.1:32853".parse().unwrap());
}

#[test]
fn rfc5769_2_3_sample_ipv6_response() {
    let message = parse(&IPV6_RESPONSE).unwrap();
    assert_eq!(authenticate(&message, &key()), Ok(IntegrityAlgorithm::Sha1));
    let expected = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
    assert_eq!(mapped_address(&message).unwrap(), expected);
}

#[test]
fn every_changed_bit_of_the_sample_request_is_noticed() {
    // MESSAGE-INTEGRITY does not cover FINGERPRINT, so the message is authentic without it.
    for at in 0..(REQUEST.len() - 8) * 8 {
        let mut changed = REQUEST;
        changed[at / 8] ^= 1 << (at % 8);
        assert!(parse(&changed).and_then(|message| authenticate(&message, &key())).is_err(), "bit {at}");
    }
}

#[test]
fn every_truncation_of_the_sample_request_is_malformed() {
    for len in 0..REQUEST.len() {
        assert_eq!(parse(&REQUEST[..len]).err(), Some(Error::Malformed), "{len} bytes");
    }
}

#[test]
fn bytes_after_the_message_are_no_attributes() {
    let mut longer = REQUEST.to_vec();
    longer.extend([0x00, 0x25, 0x00, 0x00]);
    assert_eq!(parse(&longer).err(), Some(Error::Malformed));
}

#[test]
fn rfc8489_14_5_attributes_after_message_integrity_are_ignored() {
    // Somebody without the password has appended USE-CANDIDATE; there is no FINGERPRINT.
    let mut forged = REQUEST[..REQUEST.len() - 8].to_vec();
    forged.extend([0x00, 0x25, 0x00, 0x00]);
    forged[3] -= 4;
    let message = parse(&forged).unwrap();
    assert_eq!(authenticate(&message, &key()), Ok(IntegrityAlgorithm::Sha1));
    assert!(!CheckAttributes::of(&message).use_candidate);
}

#[test]
fn a_request_without_fingerprint_is_accepted() {
    let mut bare = REQUEST[..REQUEST.len() - 8].to_vec();
    bare[3] -= 8;
    assert_eq!(parse(&bare).and_then(|message| authenticate(&message, &key())), Ok(IntegrityAlgorithm::Sha1));
}

#[test]
fn a_request_without_message_integrity_is_not_authentic() {
    let bare = &mut REQUEST[..REQUEST.len() - 32].to_vec();
    bare[3] -= 32;
    assert_eq!(parse(bare).and_then(|message| authenticate(&message, &key())), Err(Error::BadIntegrity));
}

#[test]
fn a_written_message_parses_back() {
    for (role, use_candidate) in [(Role::Controlling, true), (Role::Controlled, false)] {
        let request = Request {
            transaction_id: 0x0102_0304_0506_0708_090a_0b0c,
            local_ufrag: "evtj",
            remote_ufrag: "h6vY",
            priority: 0x6e00_01ff,
            role,
            tie_breaker: u64::MAX,
            use_candidate,
        };
        let mut buf = [0; MAX_DATAGRAM];
        let len = request.write(&mut buf, &key()).unwrap();
        let message = parse(&buf[..len]).unwrap();
        assert_eq!(username(&message).unwrap(), ("h6vY".to_owned(), "evtj".to_owned()));
        assert_eq!(u128::from(message.transaction_id()), request.transaction_id);
        let expected = CheckAttributes {
            priority: Some(0x6e00_01ff),
            role: Some((role, u64::MAX)),
            use_candidate,
            nomination: None,
        };
        assert_eq!(CheckAttributes::of(&message), expected);
        assert!(authenticate(&message, &key()).is_ok());
    }
}

#[test]
fn the_longest_credentials_fit_and_a_short_buffer_is_no_panic() {
    let long = "a".repeat(256);
    let request = Request {
        transaction_id: 1,
        local_ufrag: &long,
        remote_ufrag: &long,
        priority: 1,
        role: Role::Controlling,
        tie_breaker: 1,
        use_candidate: true,
    };
    let needed = request.write(&mut [0; MAX_DATAGRAM], &key()).unwrap();
    for len in 0..needed {
        assert_eq!(request.write(&mut vec![0; len], &key()), None);
    }
}

const REQUEST: [u8; 108] = [
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, // header
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73, // SOFTWARE
    0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, // PRIORITY
    0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00,
    0x09, // ICE-CONTROLLED
    0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14, // USERNAME
    0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2,
    0x49, // MESSAGE-INTEGRITY
    0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf, // FINGERPRINT
];

const IPV4_RESPONSE: [u8; 80] = [
    0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, // header
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63, // SOFTWARE
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6,
    0x43, // XOR-MAPPED-ADDRESS
    0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89,
    0xf9, // MESSAGE-INTEGRITY
    0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96, // FINGERPRINT
];

const IPV6_RESPONSE: [u8; 92] = [
    0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, // header
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63, // SOFTWARE
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9,
    0xfa, // XOR-MAPPED-ADDRESS
    0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00,
    0x14, // MESSAGE-INTEGRITY
    0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75, 0xbf, 0xe3, 0xed,
    0x41, 0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c, // FINGERPRINT
];
