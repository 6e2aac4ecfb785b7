//! str0m as a phone: `str0m_peer URL ACCOUNT PASSWORD FREQUENCY HEARD [SAVE]`, commanded like the programs of `peers/`.
//!
//! It sends a tone of FREQUENCY Hz, and writes what it hears to HEARD, as 16-bit samples at 8000 Hz.

use std::env;
use std::io::{self, BufRead};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use e2e::failure::{Failure, Result};
use serde_json::{Value, json};

use peer::Peer;

#[path = "../../../e2e/tests/common/mod.rs"]
mod common;
mod media;
mod peer;
mod sip;

fn main() -> Result {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let mut peer = Peer::new(&arguments)?;
    let commands = commands();
    println!("{}", json!({ "ready": true }));
    loop {
        match commands.recv_timeout(Duration::ZERO) {
            Ok(command) => answer(&mut peer, &command),
            Err(RecvTimeoutError::Timeout) => peer.turn()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

fn answer(peer: &mut Peer, command: &Value) {
    let given = command["arguments"][0].as_str().unwrap_or_default();
    let done = match command["method"].as_str().unwrap_or_default() {
        "register" => peer.register(),
        "call" => peer.call(given),
        "answer" => peer.answer(),
        "hold" => peer.hold(),
        "unhold" => peer.unhold(),
        "reconnect" => peer.reconnect(),
        "replace" => peer.replace(),
        "leave_ice" => peer.leave_ice(),
        "hangup" => peer.hangup(),
        "ended" => peer.ended(),
        other => Err(Failure::new(format!("there is no {other}"))),
    };
    match done {
        Ok(()) => println!("{}", json!({ "id": command["id"], "value": null })),
        Err(error) => println!("{}", json!({ "id": command["id"], "error": error.to_string() })),
    }
}

/// The commands on the standard input, one a line.
fn commands() -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(io::Result::ok) {
            let Ok(command) = serde_json::from_str(&line) else { continue };
            if sender.send(command).is_err() {
                return;
            }
        }
    });
    receiver
}
