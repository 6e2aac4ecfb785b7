use simple_dns::ResourceRecord;
use simple_dns::rdata::{A, AAAA, CNAME};

use super::*;

const NAME: &str = "stun.example.org";

fn servers() -> Vec<SocketAddr> {
    vec!["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:53".parse().unwrap()]
}

fn lookup(now: Instant) -> Lookup {
    Lookup::new(now, NAME, &servers(), [7; 32])
}

fn sent(lookup: &mut Lookup) -> Vec<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0; MAX_QUERY];
    std::iter::from_fn(|| lookup.poll_transmit(&mut buffer).map(|(len, to)| (buffer[..len].to_vec(), to))).collect()
}

fn reply<'a>(query: &'a [u8], rcode: RCODE, records: Vec<(&'a str, u32, RData<'a>)>) -> Vec<u8> {
    let query = Packet::parse(query).unwrap();
    let mut packet = Packet::new_reply(query.id());
    *packet.rcode_mut() = rcode;
    packet.questions = query.questions.clone();
    for (name, ttl, data) in records {
        packet.answers.push(ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, ttl, data));
    }
    packet.build_bytes_vec_compressed().unwrap()
}

fn v4(last: u8) -> RData<'static> {
    RData::A(A { address: Ipv4Addr::new(203, 0, 113, last).into() })
}

fn v6() -> RData<'static> {
    RData::AAAA(AAAA { address: "2001:db8::5".parse::<Ipv6Addr>().unwrap().into() })
}

#[test]
fn both_kinds_of_addresses_are_found_with_the_least_lifetime() {
    let now = Instant::now();
    let mut lookup = lookup(now);
    let queries = sent(&mut lookup);
    assert_eq!(queries.len(), 2);
    let server = queries[0].1;
    let first = reply(&queries[0].0, RCODE::NoError, vec![(NAME, 300, v4(5)), (NAME, 120, v4(6))]);
    assert!(lookup.handle_datagram(now, server, &first));
    assert_eq!(lookup.poll_result(), None);
    assert!(lookup.handle_datagram(now, server, &reply(&queries[1].0, RCODE::NoError, vec![(NAME, 600, v6())])));
    let addresses = ["203.0.113.5", "203.0.113.6", "2001:db8::5"].map(|ip| ip.parse().unwrap()).to_vec();
    assert_eq!(lookup.poll_result(), Some(Ok(Found { addresses, lifetime: Duration::from_secs(120) })));
    assert_eq!((lookup.poll_timeout(), lookup.poll_result()), (None, None));
}

#[test]
fn rfc1034_section_3_6_2_an_alias_is_followed_and_a_loop_of_them_ends() {
    let now = Instant::now();
    let mut chain = lookup(now);
    let queries = sent(&mut chain);
    let alias = |name| RData::CNAME(CNAME(Name::new(name).unwrap()));
    let records = vec![(NAME, 60, alias("a.example.net")), ("a.example.net", 90, v4(5))];
    assert!(chain.handle_datagram(now, queries[0].1, &reply(&queries[0].0, RCODE::NoError, records)));
    let looped = vec![(NAME, 60, alias("a.example.net")), ("a.example.net", 60, alias(NAME))];
    assert!(chain.handle_datagram(now, queries[1].1, &reply(&queries[1].0, RCODE::NoError, looped)));
    let found = chain.poll_result().unwrap().unwrap();
    assert_eq!((found.addresses.len(), found.lifetime.as_secs()), (1, 60));
}

#[test]
fn only_the_server_that_was_asked_is_believed_and_only_with_id_and_question() {
    let now = Instant::now();
    let mut lookup = lookup(now);
    let queries = sent(&mut lookup);
    let good = reply(&queries[0].0, RCODE::NoError, vec![(NAME, 300, v4(5))]);
    assert!(!lookup.handle_datagram(now, servers()[1], &good), "another server");
    let mut other_id = good.clone();
    other_id[1] ^= 1;
    assert!(!lookup.handle_datagram(now, servers()[0], &other_id));
    assert!(!lookup.handle_datagram(now, servers()[0], &queries[0].0), "a question");
    assert!(!lookup.handle_datagram(now, servers()[0], b"garbage"));
    let of_another_name = reply(&queries[0].0, RCODE::NoError, vec![("other.example.org", 300, v4(6))]);
    assert!(lookup.handle_datagram(now, servers()[0], &of_another_name));
    assert!(lookup.handle_datagram(now, servers()[0], &reply(&queries[1].0, RCODE::NoError, vec![])));
    assert_eq!(lookup.poll_result(), Some(Err(NotFound::NoSuchName)), "the record was of another name");
}

#[test]
fn servers_that_are_silent_or_fail_are_left_for_the_next_and_asked_twice() {
    let mut now = Instant::now();
    let start = now;
    let mut lookup = lookup(now);
    let mut asked = Vec::new();
    while let Some(deadline) = lookup.poll_timeout() {
        let queries = sent(&mut lookup);
        asked.push(queries[0].1);
        if asked.len() == 2 {
            assert!(lookup.handle_datagram(now, queries[0].1, &reply(&queries[0].0, RCODE::ServerFailure, vec![])));
            continue;
        }
        now = deadline;
        lookup.handle_timeout(now);
    }
    assert_eq!(asked, [servers(), servers()].concat());
    assert_eq!((now - start).as_secs(), 9);
    assert_eq!(lookup.poll_result(), Some(Err(NotFound::NoAnswer)));
}

#[test]
fn a_server_that_ignores_one_kind_costs_time_and_no_address() {
    let now = Instant::now();
    let mut lookup = lookup(now);
    let queries = sent(&mut lookup);
    assert!(lookup.handle_datagram(now, queries[0].1, &reply(&queries[0].0, RCODE::NoError, vec![(NAME, 1, v4(5))])));
    lookup.handle_timeout(lookup.poll_timeout().unwrap());
    assert_eq!(lookup.poll_result().unwrap().unwrap().lifetime, SHORTEST_LIFETIME);
}

#[test]
fn without_servers_or_with_a_name_that_is_none_there_is_no_answer() {
    let now = Instant::now();
    for (name, servers) in [(NAME, vec![]), (&"a".repeat(80), servers())] {
        let mut lookup = Lookup::new(now, name, &servers, [7; 32]);
        assert!(sent(&mut lookup).is_empty());
        assert_eq!(lookup.poll_result(), Some(Err(NotFound::NoAnswer)));
    }
}
