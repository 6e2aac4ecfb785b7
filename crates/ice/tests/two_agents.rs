//! Two agents of ours, over networks of all kinds.

mod net;

use std::time::Duration;

use ice::{Component, Event, Role};
use net::{Nat, Pair, connected, credentials, first_connected};

#[test]
fn two_hosts_connect_within_a_few_round_trips() {
    let pair = Pair::new(1).hosts().start().run_until(connected);
    assert!(pair.agree(Component::Rtp) && pair.agree(Component::Rtcp));
    assert!(pair.elapsed() < Duration::from_millis(400), "{:?}", pair.elapsed());
}

#[test]
fn the_first_component_is_up_before_the_second_is_checked() {
    let pair = Pair::new(1).hosts().start().run_until(first_connected);
    assert!(pair.elapsed() < Duration::from_millis(150), "{:?}", pair.elapsed());
}
