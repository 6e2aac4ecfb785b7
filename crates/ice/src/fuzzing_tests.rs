use proptest::prelude::*;

use super::*;

type Target = fn(&[u8]);

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds");

fn seed(name: &str) -> Vec<u8> {
    std::fs::read(format!("{SEEDS}/ice_session/{name}")).expect("a seed")
}

#[test]
fn the_seeds_break_no_promise() {
    let targets: [(&str, Target); 4] = [
        ("ice_session", session),
        ("mdns_answer", mdns_answer),
        ("candidate_attribute", candidate_attribute),
        ("ice_gathering", gathering),
    ];
    for (target, run) in targets {
        for seed in std::fs::read_dir(format!("{SEEDS}/{target}")).expect("the seeds") {
            run(&std::fs::read(seed.expect("a seed").path()).expect("a seed"));
        }
    }
}

#[test]
fn the_seed_of_a_call_connects_it() {
    let mut world = World::new();
    world.run(&seed("call"));
    assert!(world.is_connected() && world.ends.iter().all(|end| end.told.values().all(Option::is_some)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_list_of_operations_breaks_a_promise(input in prop::collection::vec(any::<u8>(), 0..400)) {
        session(&input);
    }
}
