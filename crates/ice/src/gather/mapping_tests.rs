use stun_types::attribute::{ErrorCode, XorMappedAddress};
use stun_types::message::MessageWriteExt;

use super::*;

const SERVER: &str = "198.51.100.1:3478";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn mapping(now: Instant) -> Mapping {
    Mapping::new(now, addr(SERVER), Duration::from_secs(30), [7; 32])
}

fn request(mapping: &mut Mapping, now: Instant) -> Vec<u8> {
    mapping.handle_timeout(now);
    let mut buffer = [0; REQUEST_LEN];
    let len = mapping.poll_transmit(&mut buffer).expect("a request");
    buffer[..len].to_vec()
}

fn id(request: &[u8]) -> u128 {
    Message::from_bytes(request).unwrap().transaction_id().into()
}

fn write(class: MessageClass, id: u128, attributes: impl FnOnce(&mut MessageWriteMutSlice<'_>)) -> Vec<u8> {
    let mut buffer = [0; 128];
    let kind = MessageType::from_class_method(class, BINDING);
    let mut message = Message::builder(kind, id.into(), MessageWriteMutSlice::new(&mut buffer));
    attributes(&mut message);
    let len = message.finish();
    buffer[..len].to_vec()
}

fn success(id: u128, mapped: &str) -> Vec<u8> {
    let mapped = XorMappedAddress::new(addr(mapped), id.into());
    write(MessageClass::Success, id, |message| message.add_attribute(&mapped).unwrap())
}

#[test]
fn rfc8489_section_6_2_1_a_silent_server_gets_seven_requests_in_39_and_a_half_seconds() {
    let start = Instant::now();
    let mut mapping = mapping(start);
    let first = request(&mut mapping, start);
    let mut sent = vec![0];
    while mapping.is_asking() {
        let now = mapping.poll_timeout();
        mapping.handle_timeout(now);
        let mut buffer = [0; REQUEST_LEN];
        if mapping.poll_transmit(&mut buffer).is_some() {
            assert_eq!(buffer[..], first[..], "a retransmission is the same message");
            sent.push((now - start).as_millis());
        } else {
            assert_eq!((now - start).as_millis(), 39_500);
        }
    }
    assert_eq!(sent, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!(mapping.poll_event(), Some(Event::Failed(Failure::Silent)));
    assert_eq!(mapping.poll_event(), None);
}

#[test]
fn an_answer_tells_the_address_and_is_asked_for_again_after_the_interval() {
    let start = Instant::now();
    let mut mapping = mapping(start);
    let asked = request(&mut mapping, start);
    assert_eq!(mapping.handle_datagram(start, addr(SERVER), &success(id(&asked), "203.0.113.5:40000")), Ok(()));
    assert_eq!(mapping.poll_event(), Some(Event::Mapped(addr("203.0.113.5:40000"))));
    let pause = mapping.poll_timeout() - start;
    assert!((24..=36).contains(&pause.as_secs()), "{pause:?}");
    let again = mapping.poll_timeout();
    assert_ne!(id(&request(&mut mapping, again)), id(&asked), "a new transaction");
}

#[test]
fn a_server_of_rfc3489_is_understood() {
    let start = Instant::now();
    let mut mapping = mapping(start);
    let asked = request(&mut mapping, start);
    let value = [0, 1, 0x9c, 0x40, 203, 0, 113, 5];
    let answer = write(MessageClass::Success, id(&asked), |message| {
        message.add_attribute(&RawAttribute::new(MAPPED_ADDRESS, &value)).unwrap();
    });
    assert_eq!(mapping.handle_datagram(start, addr(SERVER), &answer), Ok(()));
    assert_eq!(mapping.poll_event(), Some(Event::Mapped(addr("203.0.113.5:40000"))));
}

#[test]
fn nobody_but_the_server_with_the_transaction_id_is_believed() {
    let start = Instant::now();
    let mut mapping = mapping(start);
    let id = id(&request(&mut mapping, start));
    let good = success(id, "203.0.113.5:40000");
    assert_eq!(mapping.handle_datagram(start, addr("198.51.100.2:3478"), &good), Err(Ignored::Stranger));
    let other = success(id ^ 1, "203.0.113.6:40000");
    assert_eq!(mapping.handle_datagram(start, addr(SERVER), &other), Err(Ignored::NoAnswer));
    assert_eq!(mapping.handle_datagram(start, addr(SERVER), b"garbage"), Err(Ignored::NoAnswer));
    assert_eq!(mapping.handle_datagram(start, addr(SERVER), &good[..good.len() - 4]), Err(Ignored::NoAnswer));
    assert_eq!(mapping.poll_event(), None);
    assert_eq!(mapping.handle_datagram(start, addr(SERVER), &good), Ok(()));
    assert_eq!(mapping.handle_datagram(start, addr(SERVER), &good), Err(Ignored::NoAnswer), "a replay");
}

#[test]
fn a_server_that_sends_garbage_alone_is_told_from_a_silent_one() {
    let start = Instant::now();
    let mut mapping = mapping(start);
    request(&mut mapping, start);
    let _ = mapping.handle_datagram(start, addr(SERVER), b"garbage");
    while mapping.is_asking() {
        mapping.handle_timeout(mapping.poll_timeout());
    }
    assert_eq!(mapping.poll_event(), Some(Event::Failed(Failure::Garbage)));
}

#[test]
fn failures_are_told_apart_and_pauses_double_up_to_a_minute() {
    let mut now = Instant::now();
    let mut mapping = mapping(now);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        request(&mut mapping, now);
        mapping.handle_unreachable(now);
        assert_eq!(mapping.poll_event(), Some(Event::Failed(Failure::Unreachable)));
        pauses.push((mapping.poll_timeout() - now).as_secs_f32());
        now = mapping.poll_timeout();
    }
    assert!(pauses[0] <= 1.2 && pauses[9] >= 48.0 && pauses.iter().all(|pause| *pause <= 72.0), "{pauses:?}");
    let id = id(&request(&mut mapping, now));
    let refusal = write(MessageClass::Error, id, |message| {
        message.add_attribute(&ErrorCode::new(420, "Unknown Attribute").unwrap()).unwrap();
    });
    assert_eq!(mapping.handle_datagram(now, addr(SERVER), &refusal), Ok(()));
    assert_eq!(mapping.poll_event(), Some(Event::Failed(Failure::Error(420))));
}

#[test]
fn an_address_that_nobody_can_send_to_is_no_answer() {
    for useless in ["0.0.0.0:9", "203.0.113.5:0", "224.0.0.1:9", "255.255.255.255:9", "127.0.0.1:9", "[2001:db8::1]:9"]
    {
        let now = Instant::now();
        let mut mapping = mapping(now);
        let id = id(&request(&mut mapping, now));
        assert_eq!(mapping.handle_datagram(now, addr(SERVER), &success(id, useless)), Ok(()));
        assert_eq!(mapping.poll_event(), Some(Event::Failed(Failure::Useless)), "{useless}");
    }
}

#[test]
fn a_hurried_mapping_asks_at_once() {
    let now = Instant::now();
    let mut mapping = mapping(now);
    let id = id(&request(&mut mapping, now));
    mapping.handle_datagram(now, addr(SERVER), &success(id, "203.0.113.5:40000")).unwrap();
    mapping.hurry(now);
    assert_eq!(mapping.poll_timeout(), now);
}
