//! Times the search for free ports. Run by hand, on a machine that is not busy:
//! `cargo test --release -p host-tests --test ports -- --ignored --nocapture`.

mod common;

use common::rtp::Instance;
use host_tests::{Host, Kind};
use std::net::UdpSocket;
use std::time::Instant;

const FIRST: u16 = 36_000;
const PAIRS: u16 = 1000;

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    let last = FIRST + PAIRS * 2 - 1;
    host.configure("rtp.conf", &format!("[general]\nrtpstart={FIRST}\nrtpend={last}\nicesupport=no\n"));
    host.load_all(&["res_rtp_asterisk"]);
    host
}

#[test]
#[ignore = "a benchmark"]
fn the_last_two_of_a_thousand_pairs_that_calls_have() {
    let _host = host();
    let mut calls = Vec::from_iter(std::iter::from_fn(Instance::try_new));
    println!("{} calls", calls.len());
    for round in 0..5 {
        calls.truncate(calls.len() - 2);
        for which in ["first", "second"] {
            let begun = Instant::now();
            calls.push(Instance::new());
            println!("round {round}: {which} of two free pairs after {:?}", begun.elapsed());
        }
        calls.rotate_left(300);
    }
}

#[test]
#[ignore = "a benchmark"]
fn the_last_two_of_a_thousand_pairs_that_other_processes_have() {
    let _host = host();
    let others: Vec<_> =
        (0..PAIRS - 2).filter_map(|pair| UdpSocket::bind(("127.0.0.1", FIRST + pair * 2)).ok()).collect();
    println!("{} ports of others", others.len());
    for round in 0..5 {
        let calls = ["first", "second"].map(|which| {
            let begun = Instant::now();
            let call = Instance::new();
            println!("round {round}: {which} of two free pairs after {:?}", begun.elapsed());
            call
        });
        drop(calls);
    }
}
