//! Clients of chan_sip as contacts: calls to one that is gone, and the keepalives of one that is there.

mod common;

use std::time::{Duration, Instant};

use common::{Client, Pbx, TEXT, percentile, sip};
use e2e::failure::{Failure, Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone};
use e2e::process::Footprint;
use e2e::site::Site;

/// A call that cannot ring fails within a millisecond or two, and this soon on a machine that is busy. chan_sip itself lets
/// it ring until the dialplan gives up, here after 20 s.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Half of the calls fail within this time.
const AS_A_RULE: Duration = Duration::from_secs(1);

const DIALPLAN: &str = "[default]\n\
    exten => 701,1,Dial(SIP/p1,20)\n same => n,Verbose(1,dialled p1: ${DIALSTATUS})\n same => n,Hangup()\n\
    exten => 702,1,Dial(SIP/p1&SIP/p2,20)\n same => n,Verbose(1,dialled both: ${DIALSTATUS})\n same => n,Hangup()\n";

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn calls_to_a_client_that_is_gone_fail_at_once_and_leave_nothing_behind() -> Result {
    let mut pbx = Pbx::start_with_dialplan("contacts-gone", DIALPLAN)?;
    drop(registered(&pbx, "p1", 1)?);
    until_there_are(&pbx, 0)?;
    let mut caller = pbx.connect("sip")?;
    place(&mut caller, "701", 0)?;
    final_response(&mut caller, 0)?;
    let (before, mut took) = (pbx.footprint()?, Vec::new());
    for number in 1..20 {
        let began = Instant::now();
        place(&mut caller, "701", number)?;
        final_response(&mut caller, number)?;
        took.push(began.elapsed());
        ensure(began.elapsed() < AT_ONCE, || format!("the caller heard ringing for {:?}", began.elapsed()))?;
    }
    took.sort();
    println!("failed after {:?}, at most {:?}", percentile(&took, 0.5), percentile(&took, 1.0));
    ensure(percentile(&took, 0.5) < AS_A_RULE, || format!("{took:?}"))?;
    dial_said(&pbx, "p1: CHANUNAVAIL", 20)?;
    until(&pbx, AT_ONCE, "websocket show sessions", |sessions| {
        sessions.contains("\n1 sessions; ") && sessions.contains("; 20 INVITEs failed")
    })?;
    let channels = pbx.asterisk.cli("core show channels count")?;
    ensure(channels.contains("0 active channels"), || channels.clone())?;
    // chan_sip forgets a dialog after 32 s, and so it does after a call that was answered.
    until(&pbx, Duration::from_secs(60), "sip show channels", |dialogs| dialogs.starts_with("0 active SIP dialog"))?;
    // The threads of connections to the console end a moment later.
    let is_small = |now: Footprint| now.descriptors <= before.descriptors && now.threads <= before.threads;
    let after = pbx.until(Duration::from_secs(10), is_small)?;
    ensure(is_small(after), || format!("{before:?}, {after:?}"))?;

    // The next contact of the same peer is called, as soon as it registers.
    let mut client = registered(&pbx, "p1", 2)?;
    place(&mut caller, "701", 20)?;
    let invite = next(&mut client, "INVITE ")?;
    answer(&mut client, &invite, "486 Busy Here")?;
    final_response(&mut caller, 20)?;

    // The thread that brought the responses ends with the module.
    for module in ["chan_sip.so", "res_http_websocket.so"] {
        let unloaded = pbx.asterisk.cli(&format!("module unload {module}"))?;
        ensure(unloaded.contains("Unloaded"), || format!("{module}: {unloaded}"))?;
    }
    ensure(pbx.asterisk.is_running(), || "Asterisk crashed".to_owned())
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_call_to_two_clients_rings_at_the_one_that_is_there() -> Result {
    let pbx = Pbx::start_with_dialplan("contacts-two", DIALPLAN)?;
    drop(registered(&pbx, "p1", 1)?);
    let mut there = registered(&pbx, "p2", 2)?;
    until_there_are(&pbx, 1)?;
    let mut caller = pbx.connect("sip")?;
    let began = Instant::now();
    place(&mut caller, "702", 3)?;
    let invite = next(&mut there, "INVITE ")?;
    ensure(began.elapsed() < AT_ONCE, || format!("it was called after {:?}", began.elapsed()))?;
    answer(&mut there, &invite, "180 Ringing")?;
    let ringing = next(&mut caller, "SIP/2.0 180 ")?;
    ensure(is_response_to(3, &ringing), || ringing.clone())?;
    answer(&mut there, &invite, "486 Busy Here")?;
    final_response(&mut caller, 3)?;
    dial_said(&pbx, "both: BUSY", 1)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_call_that_rings_fails_when_its_client_goes() -> Result {
    let pbx = Pbx::start_with_dialplan("contacts-ringing", DIALPLAN)?;
    let mut caller = pbx.connect("sip")?;
    for (number, farewell) in [(1, true), (2, false)] {
        let mut client = registered(&pbx, "p1", number)?;
        place(&mut caller, "701", number)?;
        let invite = next(&mut client, "INVITE ")?;
        answer(&mut client, &invite, "180 Ringing")?;
        next(&mut caller, "SIP/2.0 180 ")?;
        if farewell {
            client.send(common::CLOSE, &1001_u16.to_be_bytes())?;
        }
        let began = Instant::now();
        drop(client);
        final_response(&mut caller, number)?;
        ensure(began.elapsed() < AT_ONCE, || format!("it went on ringing for {:?}", began.elapsed()))?;
    }
    dial_said(&pbx, "p1: CHANUNAVAIL", 2)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_browser_that_is_closed_while_it_rings_ends_that_call_and_the_next_at_once() -> Result {
    const FAILED: &str = "so an INVITE for it fails with 408";
    let lab = Lab::start("contacts-browser", &Site::default())?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    lab.originate("1001", "echo")?;
    phone.until(&["ringing"], Duration::from_secs(15))?;
    drop(phone);
    lab.until_logged(FAILED, AT_ONCE)?;
    lab.until_idle(AT_ONCE)?;
    lab.originate("1001", "echo")?;
    // Asterisk looks for call files once a second.
    lab.until_logged_more(FAILED, 1, Duration::from_secs(10))?;
    lab.until_idle(AT_ONCE)
}

/// Its network is gone: the INVITE is sent, and what shows that nobody got it is the PING.
#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_call_to_a_silent_client_fails_as_soon_as_its_silence_is_noticed() -> Result {
    let pbx = Pbx::start_with_dialplan("contacts-silent", DIALPLAN)?;
    pbx.asterisk.home().configure("websocket.conf", "[general]\npinginterval = 2\npongtimeout = 2\n")?;
    pbx.asterisk.cli("module reload res_http_websocket.so")?;
    let _silent = registered(&pbx, "p1", 1)?;
    let mut caller = pbx.connect("sip")?;
    let began = Instant::now();
    place(&mut caller, "701", 2)?;
    final_response(&mut caller, 2)?;
    println!("failed after {:?} (2 s until the PING, 2 s for the PONG)", began.elapsed());
    ensure(began.elapsed() < Duration::from_secs(4) + AT_ONCE, || format!("{:?}", began.elapsed()))?;
    dial_said(&pbx, "p1: CHANUNAVAIL", 1)
}

/// A page cannot send a PING.
#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn rfc_5626_section_4_4_1_two_crlfs_are_answered_and_sip_behind_them_is_understood() -> Result {
    let pbx = Pbx::start_with_dialplan("contacts-keepalive", DIALPLAN)?;
    pbx.asterisk.cli("sip set debug on")?;
    let mut client = pbx.connect("sip")?;
    for opcode in [TEXT, BINARY] {
        client.send(opcode, b"\r\n\r\n")?;
        let pong = client.receive()?;
        ensure(pong == (TEXT, b"\r\n".to_vec()), || format!("{pong:?}"))?;
        client.send(opcode, b"\r\n")?;
    }
    let register = sip("REGISTER", "p1", 1, "WS");
    client.send(TEXT, format!("\r\n\r\n{register}").as_bytes())?;
    next(&mut client, "SIP/2.0 200 ")?;
    let log = log(&pbx)?;
    ensure(log.matches("<--- SIP read from WS:").count() == 1, || "the keepalives reached SIP".to_owned())?;
    let sessions = pbx.asterisk.cli("websocket show sessions")?;
    ensure(sessions.contains("; 2 keepalives answered"), || sessions.clone())
}

const BINARY: u8 = 2;

fn registered(pbx: &Pbx, user: &str, number: usize) -> Result<Client> {
    let mut client = pbx.connect("sip")?;
    client.send(TEXT, sip("REGISTER", user, number, "WS").as_bytes())?;
    next(&mut client, "SIP/2.0 200 ")?;
    Ok(client)
}

fn place(caller: &mut Client, extension: &str, number: usize) -> Result {
    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                       m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
    let request = sip("INVITE", "caller", number, "WS").replacen("sip:", &format!("sip:{extension}@"), 1);
    let body = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len());
    caller.send(TEXT, request.replace("Content-Length: 0\r\n\r\n", &body).as_bytes())
}

/// Waits for the final response to an INVITE, and acknowledges it.
fn final_response(caller: &mut Client, number: usize) -> Result<String> {
    loop {
        let message = String::from_utf8_lossy(&caller.message()?).into_owned();
        if is_response_to(number, &message) && !message.starts_with("SIP/2.0 1") {
            let kept = kept(&message).replace(" INVITE\r\n", " ACK\r\n");
            let ack = format!("ACK sip:127.0.0.1 SIP/2.0\r\n{kept}Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n");
            caller.send(TEXT, ack.as_bytes())?;
            return Ok(message);
        }
    }
}

fn is_response_to(number: usize, message: &str) -> bool {
    message.contains(&format!("Call-ID: caller-{number}\r\n"))
}

/// Waits for the message that begins like this.
fn next(client: &mut Client, beginning: &str) -> Result<String> {
    for _ in 0..10 {
        let message = String::from_utf8_lossy(&client.message()?).into_owned();
        if message.starts_with(beginning) {
            return Ok(message);
        }
    }
    Err(Failure::new(format!("nothing begins with {beginning:?}")))
}

fn answer(client: &mut Client, request: &str, status: &str) -> Result {
    let kept = kept(request).replacen("\r\nCall-ID", ";tag=there\r\nCall-ID", 1);
    client.send(TEXT, format!("SIP/2.0 {status}\r\n{kept}Content-Length: 0\r\n\r\n").as_bytes())
}

/// The headers that request and response have in common, `To` before `Call-ID`.
fn kept(message: &str) -> String {
    let named = |name: &str| message.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].map(|name| format!("{}\r\n", named(name))).concat()
}

/// The log. Some releases mark verbose lines with an octet that is not UTF-8.
fn log(pbx: &Pbx) -> Result<String> {
    Ok(String::from_utf8_lossy(&std::fs::read(pbx.asterisk.home().log())?).into_owned())
}

/// Waits until the log, which Asterisk writes on a thread of its own, has this status of so many calls and no other.
fn dial_said(pbx: &Pbx, status: &str, times: usize) -> Result {
    let line = format!("dialled {status}");
    let began = Instant::now();
    loop {
        let log = log(pbx)?;
        let said: Vec<_> = log.lines().filter(|said| said.contains("  dialled ")).collect();
        if said.len() >= times || began.elapsed() > AT_ONCE {
            let is_said = said.len() == times && said.iter().all(|said| said.ends_with(&line));
            return ensure(is_said, || format!("not {times} times {status}: {said:#?}"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn until_there_are(pbx: &Pbx, sessions: usize) -> Result {
    let shown = format!("\n{sessions} sessions;");
    until(pbx, Duration::from_secs(10), "websocket show sessions", |answer| answer.contains(&shown))
}

fn until(pbx: &Pbx, patience: Duration, command: &str, shows: impl Fn(&str) -> bool) -> Result {
    let began = Instant::now();
    loop {
        let answer = pbx.asterisk.cli(command)?;
        if shows(&answer) || answer.lines().any(&shows) {
            return Ok(());
        }
        ensure(began.elapsed() < patience, || answer.clone())?;
        std::thread::sleep(Duration::from_millis(50));
    }
}
