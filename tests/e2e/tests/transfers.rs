//! A phone with two calls connects the other two (RFC 3891), on the `chan_sip` of Asterisk 11.

use std::thread;
use std::time::Duration;

use e2e::failure::Result;
use e2e::lab::Lab;
use e2e::talker::{A_WHILE, Talker, VOICES, connected, hear_each_other, joined, site};

const THIRD: f64 = 1300.0;

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn an_attended_transfer_connects_the_other_two() -> Result {
    let lab = Lab::start("phones-attended", &site())?;
    let (mut caller, callee) = connected(&lab, "core")?;
    let mut third = Talker::new(&lab, "third", THIRD)?;
    let mut line = Talker::new(&lab, "caller", VOICES[0])?;
    let number = format!("core-{}", third.phone.port());
    thread::scope(|scope| {
        let answering = scope.spawn(|| third.is_called());
        line.call(&number)?;
        joined(answering.join())
    })?;
    hear_each_other(&line, &third)?;
    let (call_id, own, remote) = line.phone.dialog();
    let replaces = format!("{call_id}%3Bto-tag%3D{remote}%3Bfrom-tag%3D{own}");
    let target = format!("sip:{number}@127.0.0.1:{}?Replaces={replaces}", lab.ports().sip);
    caller.phone.refer(&target)?;
    callee.hears(THIRD, A_WHILE)?;
    third.hears(VOICES[1], A_WHILE)?;
    third.phone.bye()?;
    lab.until_idle(Duration::from_secs(5))
}
