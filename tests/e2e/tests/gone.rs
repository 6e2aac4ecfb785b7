//! Calls of a browser that disappears before they are answered, as by a closed tab. The reaction of chan_sip to an
//! unsent response depends on the reported error; chan_pjsip gets no error.

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{CLOSE, Pbx, TEXT, sip};
use e2e::driver::Driver;
use e2e::failure::{Result, ensure};

/// SIP gives up a response that is not acknowledged for 32 s (RFC 3261 §13.3.1.4), and forgets the call 32 s later.
const PATIENCE: Duration = Duration::from_secs(100);

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn calls_that_cannot_be_answered_leave_nothing_behind() -> Result {
    let pbx = Pbx::start_with_calls("gone")?;
    ensure(pbx.driver == Driver::ChanSip, || "this host has no chan_sip".to_owned())?;
    let before = pbx.footprint()?;
    for number in 0..20 {
        let mut client = pbx.connect("sip")?;
        client.send(TEXT, invite(number).as_bytes())?;
        if number % 2 == 0 {
            client.send(CLOSE, &1001_u16.to_be_bytes())?;
        }
    }
    let began = Instant::now();
    while !is_idle(&pbx)? || pbx.footprint()?.descriptors > before.descriptors {
        ensure(began.elapsed() < PATIENCE, || format!("{before:?}, {:?}: {}", pbx.footprint(), state(&pbx)))?;
        thread::sleep(Duration::from_millis(500));
    }
    let calls = pbx.asterisk.cli("core show channels count")?;
    let processed = calls.lines().find_map(|line| line.strip_suffix(" calls processed")?.trim().parse().ok());
    ensure(processed.is_some_and(|processed: usize| processed > 1), || format!("there were no calls: {calls}"))
}

fn invite(number: usize) -> String {
    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                       m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
    let request = sip("INVITE", "gone", number, "WS").replacen("sip:127.0.0.1", "sip:600@127.0.0.1", 1);
    let body = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len());
    request.replace("Content-Length: 0\r\n\r\n", &body)
}

fn is_idle(pbx: &Pbx) -> Result<bool> {
    Ok(state(pbx).lines().any(|line| line.starts_with("0 active SIP dialog")))
}

fn state(pbx: &Pbx) -> String {
    pbx.asterisk.cli("sip show channels").unwrap_or_else(|error| error.to_string())
}
