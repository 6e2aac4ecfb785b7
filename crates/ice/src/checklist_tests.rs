use super::*;
use crate::testing::{addr, remote};

const ROLE: Role = Role::Controlling;

fn local(component: Component, text: &str, priority: u32) -> Candidate {
    remote(component, text, priority)
}

fn added(list: &mut Checklist, local: &Candidate, remote: &Candidate) -> PairId {
    match list.add(local, remote, ROLE, Wanted::ByCandidates) {
        Added::New(id) => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rfc8445_6_1_2_3_pair_priority() {
    let mut list = Checklist::default();
    let ours = local(Component::Rtp, "192.0.2.1:1", 0x7e00_00ff);
    let id = added(&mut list, &ours, &remote(Component::Rtp, "192.0.2.2:1", 0x6400_00ff));
    // 2^32 * min(G, D) + 2 * max(G, D) + (G > D)
    assert_eq!(list.get(id).unwrap().priority, (0x6400_00ff << 32) + 2 * 0x7e00_00ff + 1);
    list.reprioritise(Role::Controlled);
    assert_eq!(list.get(id).unwrap().priority, (0x6400_00ff << 32) + 2 * 0x7e00_00ff);
}

#[test]
fn rfc8445_6_1_2_4_a_reflexive_candidate_is_replaced_by_its_base() {
    let mut list = Checklist::default();
    let host = local(Component::Rtp, "192.0.2.1:1", 0x7e00_00ff);
    let kind = CandidateKind::ServerReflexive;
    let reflexive = Candidate { kind, addr: addr("203.0.113.1:9"), related: Some(host.addr), ..host.clone() };
    let theirs = remote(Component::Rtp, "192.0.2.2:1", 1);
    let id = added(&mut list, &host, &theirs);
    assert_eq!(list.add(&reflexive, &theirs, ROLE, Wanted::ByCandidates), Added::Redundant(id));
}

#[test]
fn rfc8445_6_1_2_5_a_full_list_keeps_the_best() {
    let mut list = Checklist::default();
    let ours = local(Component::Rtp, "192.0.2.1:1", 0x7e00_00ff);
    for n in 0..=MAX_PAIRS as u32 {
        list.add(&ours, &remote(Component::Rtp, &format!("192.0.2.2:{}", n + 1), n), ROLE, Wanted::ByCandidates);
    }
    assert_eq!(list.iter().count(), MAX_PAIRS);
    assert!(list.find(Component::Rtp, ours.addr, addr("192.0.2.2:1")).is_none());
    let worse = remote(Component::Rtp, "192.0.2.3:1", 0);
    assert_eq!(list.add(&ours, &worse, ROLE, Wanted::ByCandidates), Added::OverLimit);
    assert!(matches!(list.add(&ours, &worse, ROLE, Wanted::ByPeer), Added::New(_)));
    assert_eq!(list.iter().count(), MAX_PAIRS);
}

#[test]
fn rfc8445_6_1_2_6_one_pair_of_each_foundation_begins() {
    let mut list = Checklist::default();
    let (rtp, rtcp) =
        (local(Component::Rtp, "192.0.2.1:1", 0x7e00_00ff), local(Component::Rtcp, "192.0.2.1:2", 0x7e00_00fe));
    let second = added(&mut list, &rtcp, &remote(Component::Rtcp, "192.0.2.2:2", 0x7eff_00fe));
    let first = added(&mut list, &rtp, &remote(Component::Rtp, "192.0.2.2:1", 0x7e00_00ff));
    let other = Candidate { foundation: "2".into(), ..remote(Component::Rtp, "192.0.2.3:1", 1) };
    let other = added(&mut list, &rtp, &other);
    list.thaw_foundations();
    assert_eq!(list.get(first).unwrap().state, State::Waiting, "the lower component, though its priority is lower");
    assert_eq!(list.get(second).unwrap().state, State::Frozen);
    assert_eq!(list.get(other).unwrap().state, State::Waiting);
    // §7.2.5.3.3
    list.get_mut(first).unwrap().state = State::Succeeded;
    list.thaw_like(first);
    assert_eq!(list.get(second).unwrap().state, State::Waiting);
}

#[test]
fn rfc8445_6_1_4_2_triggered_checks_come_first_then_the_best_then_the_frozen() {
    let mut list = Checklist::default();
    let ours = local(Component::Rtp, "192.0.2.1:1", 0x7e00_00ff);
    let low = added(&mut list, &ours, &remote(Component::Rtp, "192.0.2.2:1", 1));
    let high = added(&mut list, &ours, &remote(Component::Rtp, "192.0.2.2:2", 2));
    list.thaw_foundations();
    assert_eq!(list.get(low).unwrap().state, State::Frozen);
    list.trigger(low);
    list.trigger(low);
    assert_eq!(list.next(), Some(low));
    list.get_mut(low).unwrap().state = State::InProgress;
    assert_eq!(list.next(), Some(high));
    list.get_mut(high).unwrap().state = State::Failed;
    assert_eq!(list.next(), None);
    list.get_mut(low).unwrap().state = State::Frozen;
    assert!(list.has_next());
    assert_eq!(list.next(), Some(low));
}
