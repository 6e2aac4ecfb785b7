use proptest::prelude::*;
use simple_dns::ResourceRecord;
use simple_dns::rdata::{A, AAAA};

use super::*;

const NAME: &str = "0e2a7b1c-9d3f-4c5e-8a6b-7f0d1e2c3b4a.local";

fn asking(now: Instant) -> Lookups<u8> {
    let mut lookups = Lookups::default();
    lookups.add(now, NAME, 7, 1).unwrap();
    lookups.handle_timeout(now);
    lookups
}

fn sent(lookups: &mut Lookups<u8>) -> Vec<Vec<u8>> {
    let mut buffer = [0; MAX_QUERY];
    std::iter::from_fn(|| lookups.poll_transmit(&mut buffer).map(|len| buffer[..len].to_vec())).collect()
}

fn answer(id: u16, name: &str, ttl: u32, address: IpAddr) -> Vec<u8> {
    let mut packet = Packet::new_reply(id);
    let rdata = match address {
        IpAddr::V4(address) => RData::A(A { address: address.into() }),
        IpAddr::V6(address) => RData::AAAA(AAAA { address: address.into() }),
    };
    packet.answers.push(ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, ttl, rdata).with_cache_flush(true));
    packet.build_bytes_vec_compressed().unwrap()
}

#[test]
fn chromium_answers_a_query_with_one_question_and_without_the_qu_bit() {
    let mut lookups = asking(Instant::now());
    let queries = sent(&mut lookups);
    assert_eq!(queries.len(), 2);
    assert!(queries.iter().all(|query| query[..6] == [0, 7, 0, 0, 0, 1]));
    let label = [&[36][..], &NAME.as_bytes()[..36], b"\x05local\x00"].concat();
    assert_eq!(queries[0][12..], [&label[..], &[0, 1, 0, 1]].concat());
    assert_eq!(queries[1][12..], [&label[..], &[0, 28, 0, 1]].concat());
}

#[test]
fn a_name_is_asked_for_three_times_and_then_given_up() {
    let start = Instant::now();
    let mut lookups = asking(start);
    let mut asked = Vec::new();
    sent(&mut lookups);
    while let Some(due) = lookups.poll_timeout() {
        lookups.handle_timeout(due);
        asked.push(((due - start).as_secs(), sent(&mut lookups).len()));
    }
    assert_eq!(asked, [(1, 2), (3, 2), (5, 0)]);
    assert_eq!((lookups.is_busy(), lookups.unanswered()), (false, 1));
}

#[test]
fn answers_to_our_port_and_to_the_group_are_taken() {
    for (id, address) in [(7, "192.0.2.1"), (0, "192.0.2.1"), (0, "2001:db8::1")] {
        let mut lookups = asking(Instant::now());
        let address: IpAddr = address.parse().unwrap();
        assert!(lookups.handle_answer(&answer(id, &NAME.to_uppercase(), 120, address)));
        assert_eq!(lookups.poll_found(), Some((1, address)));
        assert_eq!((lookups.poll_found(), lookups.poll_timeout()), (None, None));
        assert_eq!(sent(&mut lookups), [[0; 0]; 0]);
    }
}

/// An answer of Chromium 156: the address, and that there is no other (NSEC).
#[test]
fn the_answer_of_chromium_is_read() {
    let (mut lookups, now) = (Lookups::default(), Instant::now());
    lookups.add(now, "76b1cfce-543b-476c-8d96-76196c8e4f3c.local", 7, 1).unwrap();
    lookups.handle_timeout(now);
    assert!(lookups.handle_answer(include_bytes!("../../../tests/fuzz/seeds/mdns_answer/chromium_156")));
    assert_eq!(lookups.poll_found(), Some((1, "10.9.0.1".parse().unwrap())));
}

#[test]
fn what_is_no_answer_changes_nothing() {
    let mut lookups = asking(Instant::now());
    let address = "192.0.2.1".parse().unwrap();
    let own = sent(&mut lookups);
    let foreign = answer(0, "0e2a7b1c-9d3f-4c5e-8a6b-7f0d1e2c3b4b.local", 120, address);
    for datagram in [own[0].clone(), foreign, answer(8, NAME, 120, address), answer(0, NAME, 0, address), vec![]] {
        assert!(!lookups.handle_answer(&datagram));
    }
    assert!(lookups.is_busy() && lookups.poll_found().is_none());
}

#[test]
fn a_name_that_is_known_is_not_asked_for_again() {
    let now = Instant::now();
    let mut lookups = asking(now);
    lookups.add(now, NAME, 9, 2).unwrap();
    lookups.handle_answer(&answer(7, NAME, 120, "192.0.2.1".parse().unwrap()));
    lookups.add(now, NAME, 9, 3).unwrap();
    let found: Vec<u8> = std::iter::from_fn(|| lookups.poll_found()).map(|(wanted, _)| wanted).collect();
    assert_eq!((found, lookups.is_busy()), (vec![1, 2, 3], false));
}

#[test]
fn names_and_those_who_want_them_are_bounded() {
    let (mut lookups, now) = (Lookups::default(), Instant::now());
    let taken = (0..100).filter(|number| lookups.add(now, &format!("{number}.local"), 7, 1).is_ok());
    assert_eq!(taken.count(), MAX_NAMES);
    assert_eq!((0..100).filter(|_| lookups.add(now, "0.local", 7, 1).is_ok()).count(), MAX_WANTED - 1);
    lookups.cancel();
    assert_eq!(lookups.poll_timeout(), None);
}

proptest! {
    #[test]
    fn rfc6762_section_18_any_datagram_is_an_answer_or_ignored(datagram: Vec<u8>, header in any::<bool>()) {
        let mut lookups = asking(Instant::now());
        let datagram = if header { [&answer(0, NAME, 9, Ipv4Addr::LOCALHOST.into())[..12], &datagram].concat() } else { datagram };
        let found = lookups.handle_answer(&datagram);
        prop_assert_eq!(found, lookups.poll_found().is_some());
    }

    #[test]
    fn an_answer_with_one_wrong_byte_is_read_or_refused(at in 0usize..80, value: u8) {
        let mut datagram = answer(7, NAME, 120, "192.0.2.1".parse().unwrap());
        if let Some(byte) = datagram.get_mut(at) {
            *byte = value;
        }
        asking(Instant::now()).handle_answer(&datagram);
    }
}
