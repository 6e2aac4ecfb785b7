//! For any candidates, NATs, packet loss and packet order, both agents select the same pair or both fail.

mod net;

use ice::{Component, Event, Role};
use net::{Nat, Pair};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

#[derive(Debug, Clone)]
struct Network {
    seed: u64,
    loss: f64,
    jitter: u64,
    addresses: (usize, usize),
    nat: (Nat, Nat),
    reflexive: bool,
    conflict: Option<Role>,
    signalled: (bool, bool),
    first: usize,
    delay_between_descriptions: u64,
}

fn network() -> impl Strategy<Value = Network> {
    let nat = || {
        prop::sample::select(vec![
            Nat::None,
            Nat::FullCone,
            Nat::AddressRestricted,
            Nat::PortRestricted,
            Nat::Symmetric,
        ])
    };
    let conflict = prop::option::of(prop::sample::select(vec![Role::Controlling, Role::Controlled]));
    (
        (any::<u64>(), 0.0..0.3f64, 0..300u64, (1..4usize, 1..4usize)),
        ((nat(), nat()), any::<bool>(), conflict),
        (any::<(bool, bool)>(), 0..2usize, 0..3000u64),
    )
        .prop_map(|((seed, loss, jitter, addresses), (nat, reflexive, conflict), (signalled, first, delay))| {
            Network {
                seed,
                loss,
                jitter,
                addresses,
                nat,
                reflexive,
                conflict,
                signalled,
                first,
                delay_between_descriptions: delay,
            }
        })
}

fn run(network: &Network) -> Pair {
    let names = |side: u8, count: usize| -> Vec<String> { (1..=count).map(|n| format!("10.{side}.0.{n}")).collect() };
    let (a, b) = (names(1, network.addresses.0), names(2, network.addresses.1));
    let as_str = |names: &'_ [String]| -> Vec<&'static str> {
        names.iter().map(|name| &*name.clone().leak()).collect() // a test's few bytes
    };
    let mut pair = Pair::new(network.seed)
        .loss(network.loss)
        .delay(5, 5 + network.jitter)
        .nat(network.nat.0, network.nat.1)
        .addresses(&as_str(&a), &as_str(&b));
    if network.reflexive {
        pair = pair.reflexive();
    }
    if let Some(role) = network.conflict {
        pair = pair.roles(role, role);
    }
    // The descriptions arrive one after the other, with candidates or (mDNS) without.
    let candidates = [network.signalled.0, network.signalled.1];
    for from in [network.first, 1 - network.first] {
        let to = 1 - from;
        if candidates[from] {
            pair.signal(from, to);
        } else {
            pair.signal_credentials(from, to);
        }
        let now = pair.now;
        pair.sides[to].agent.start(now);
        pair.pass(std::time::Duration::from_millis(network.delay_between_descriptions));
    }
    let settled = |pair: &Pair| {
        pair.sides.iter().all(|side| {
            Component::ALL.iter().all(|component| {
                side.selected(*component).is_some() || side.has(Event::ComponentFailed { component: *component })
            })
        })
    };
    pair.run(settled);
    pair.pass(std::time::Duration::from_secs(10));
    pair
}

#[test]
fn both_agents_select_the_same_pair_or_both_fail() {
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[8; 32]); // a fixed seed, so that CI results can be reproduced
    TestRunner::new_with_rng(config, rng)
        .run(&network(), |network| {
            let pair = run(&network);
            for component in Component::ALL {
                let neither = pair.sides.iter().all(|side| side.selected(component).is_none());
                prop_assert!(pair.agree(component) || neither, "{component:?}");
            }
            let passable = matches!(network.nat, (Nat::None | Nat::FullCone, Nat::None | Nat::FullCone));
            if passable
                && network.signalled == (true, true)
                && (network.reflexive || network.nat == (Nat::None, Nat::None))
            {
                prop_assert!(pair.agree(Component::Rtp) && pair.agree(Component::Rtcp));
            }
            Ok(())
        })
        .unwrap();
}
