//! `/ws` of a real Asterisk with SIP behind it, and clients that behave in every possible way.

mod common;

use std::io::Write;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::stream::Stream;
use common::{CLOSE, Client, PING, Pbx, TEXT, Whose, frame, handshake, percentile, sip, upgrade};
use e2e::driver::Driver;
use e2e::failure::{Failure, Result, ensure};

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn registers_are_answered_however_they_are_cut_over_ws_and_wss() -> Result {
    let pbx = Pbx::start("websocket-cut", Whose::Ours, "")?;
    for (transport, port) in [("WS", pbx.ports.ws), ("WSS", pbx.ports.wss)] {
        let mut stream =
            if transport == "WSS" { Stream::over_tls(port, "127.0.0.1", "")? } else { Stream::connect(port)? };
        let register = |number| frame(TEXT, sip("REGISTER", &format!("p{number}"), number, transport).as_bytes());
        let began = Instant::now();
        stream.write(&[register(1), register(2)].concat())?;
        // Some hosts handle them in parallel.
        let answers = [stream.message()?, stream.message()?];
        for number in 1..=2 {
            let answer = answers.iter().find(|answer| is_for(number, answer)).unwrap_or(&answers[0]);
            is_ok_for(number, answer)?;
        }
        println!("{transport}: two in one piece answered after {:?}", began.elapsed());
        ensure(began.elapsed() < Duration::from_secs(1), || format!("{transport}: {:?}", began.elapsed()))?;
        for byte in register(3) {
            stream.write(&[byte])?;
            thread::sleep(Duration::from_millis(2));
        }
        let began = Instant::now();
        is_ok_for(3, &stream.message()?)?;
        println!("{transport}: one byte by byte answered {:?} after the last", began.elapsed());
        ensure(began.elapsed() < Duration::from_secs(1), || format!("{transport}: {:?}", began.elapsed()))?;
    }
    Ok(())
}

fn is_ok_for(number: usize, answer: &[u8]) -> Result {
    let is_ok = answer.starts_with(b"SIP/2.0 200 OK") && is_for(number, answer);
    ensure(is_ok, || format!("to REGISTER {number} came {:?}", String::from_utf8_lossy(answer)))
}

fn is_for(number: usize, answer: &[u8]) -> bool {
    String::from_utf8_lossy(answer).contains(&format!("Call-ID: p{number}-{number}\r\n"))
}

/// Other load on the machine delays everybody, so one undisturbed round of three is enough.
#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn fifty_active_clients_are_not_slowed_down_by_150_slow_ones() -> Result {
    let pbx = Arc::new(Pbx::start("websocket-crowd", Whose::Ours, "")?);
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let (p99, slowest) = crowd(&pbx)?;
        if p99 < Duration::from_millis(20) && slowest < Duration::from_millis(50) {
            return Ok(());
        }
        rounds.push(format!("99th percentile of the clients' latency {p99:?}, slowest answer over UDP {slowest:?}"));
    }
    Err(Failure::new(rounds.join("; ")))
}

/// Runs one round of twenty seconds; returns the 99th percentile of the clients' latency, and the slowest
/// answer over UDP.
fn crowd(pbx: &Arc<Pbx>) -> Result<(Duration, Duration)> {
    let over = Arc::new(AtomicBool::new(false));
    let mut others = Vec::new();
    for number in 0..100 {
        let (mut client, over) = (pbx.connect("sip")?, over.clone());
        others.push(thread::spawn(move || drip(&mut client, number, &over)));
    }
    for number in 0..50 {
        let (pbx, over) = (Arc::clone(pbx), over.clone());
        others.push(thread::spawn(move || send_and_never_read(&pbx, number, &over)));
    }
    let udp = {
        let (port, over) = (pbx.ports.sip, over.clone());
        thread::spawn(move || options_over_udp(port, &over))
    };
    let talkers: Vec<_> = (0..50)
        .map(|number| {
            let (pbx, over) = (Arc::clone(pbx), over.clone());
            thread::spawn(move || talk(&pbx, number, &over))
        })
        .collect();
    thread::sleep(Duration::from_secs(20));
    over.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for talker in talkers {
        all.extend(talker.join().map_err(|_| Failure::new("a talker panicked"))??);
    }
    let mut udp = udp.join().map_err(|_| Failure::new("the phone panicked"))??;
    for other in others {
        other.join().map_err(|_| Failure::new("a client panicked"))??;
    }
    all.sort();
    udp.sort();
    let (p50, p99) = (percentile(&all, 0.5), percentile(&all, 0.99));
    let slowest = udp.last().copied().unwrap_or(Duration::MAX);
    println!("{} answers over ws: p50 {p50:?}, p99 {p99:?}, worst {:?}", all.len(), all.last());
    println!(
        "{} answers over UDP: p50 {:?}, p99 {:?}, worst {slowest:?}",
        udp.len(),
        percentile(&udp, 0.5),
        percentile(&udp, 0.99)
    );
    println!("{}", pbx.asterisk.cli("websocket show sessions")?.lines().last().unwrap_or_default());
    Ok((p99, slowest))
}

fn drip(client: &mut Client, number: usize, over: &AtomicBool) -> Result {
    let message = frame(TEXT, sip("OPTIONS", "drip", number, "WS").as_bytes());
    for byte in message.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            return Ok(());
        }
        // It is never silent long enough to get a PING.
        client.socket.write_all(&[*byte])?;
        thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// Half of the clients use SIP; the other half flood until every buffer is full and are disconnected.
fn send_and_never_read(pbx: &Pbx, number: usize, over: &AtomicBool) -> Result {
    let is_flood = number.is_multiple_of(2);
    while !over.load(Ordering::Relaxed) {
        let client = pbx.connect(if is_flood { "echo" } else { "sip" })?;
        client.socket.set_write_timeout(Some(Duration::from_millis(200)))?;
        let flood = frame(TEXT, &[b'x'; 60_000]);
        for count in 0.. {
            let message = match is_flood {
                true => flood.clone(),
                false => frame(TEXT, sip("OPTIONS", &format!("deaf{number}x"), count, "WS").as_bytes()),
            };
            let pause = Duration::from_millis(if is_flood { 100 } else { 200 });
            thread::sleep(pause);
            if over.load(Ordering::Relaxed) || (&client.socket).write_all(&message).is_err() {
                break;
            }
        }
    }
    Ok(())
}

fn talk(pbx: &Pbx, number: usize, over: &AtomicBool) -> Result<Vec<Duration>> {
    let (mut client, mut took) = (pbx.connect("sip")?, Vec::new());
    for count in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        client.send(TEXT, sip("OPTIONS", &format!("talk{number}x"), count, "WS").as_bytes())?;
        client.message()?;
        took.push(began.elapsed());
        thread::sleep(Duration::from_millis(200));
    }
    Ok(took)
}

fn options_over_udp(port: u16, over: &AtomicBool) -> Result<Vec<Duration>> {
    let (socket, mut took, mut buffer) = (UdpSocket::bind("127.0.0.1:0")?, Vec::new(), [0; 4096]);
    socket.connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    for count in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        socket.send(sip("OPTIONS", "desk", count, "UDP").as_bytes())?;
        socket.recv(&mut buffer)?;
        took.push(began.elapsed());
        thread::sleep(Duration::from_millis(50));
    }
    Ok(took)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn ten_thousand_connections_that_end_in_every_way_leave_nothing() -> Result {
    let mut pbx = Pbx::start("websocket-many", Whose::Ours, "")?;
    // SIP keeps the state of an OPTIONS for 32 s (RFC 3261 §17.1.2.2), and the process keeps the memory of its peak:
    // do not count those.
    let mut footprints = Vec::new();
    for (count, with_sip) in [(4000, true), (2000, false), (2000, false), (2000, false)] {
        come_and_go(&pbx, count, with_sip)?;
        thread::sleep(Duration::from_secs(if with_sip { 45 } else { 2 }));
        footprints.push(pbx.footprint()?);
        println!("after {count} more {:?}", footprints.last());
    }
    println!("{}", pbx.asterisk.cli("websocket show sessions")?.lines().last().unwrap_or_default());
    ensure(pbx.asterisk.is_running(), || "Asterisk crashed".to_owned())?;
    let (before, after) = (footprints[1], footprints[3]);
    ensure(after.descriptors <= before.descriptors && after.threads <= before.threads, || {
        format!("descriptors or threads were not released: {before:?}, {after:?}")
    })?;
    // A leak per client shows in every round; another heap of malloc for many threads (2 MiB) shows once.
    let growths = footprints[1..].windows(2).map(|pair| pair[1].resident_kib.saturating_sub(pair[0].resident_kib));
    let least = growths.min().unwrap_or_default();
    ensure(least < 512, || format!("grown by {least} KiB or more each time: {footprints:?}"))
}

/// Each fifth of the clients ends in another way: with a closing handshake, without one, by reset, by reset in the
/// middle of a frame, by reset before the response.
fn come_and_go(pbx: &Pbx, count: usize, with_sip: bool) -> Result {
    for number in 0..count {
        let protocol = if number % 2 == 0 { "echo" } else { "sip" };
        let mut client = pbx.connect(protocol)?;
        match number / 2 % 5 {
            0 => {
                client.send(CLOSE, &1000_u16.to_be_bytes())?;
                client.receive()?;
            }
            1 => {}
            2 => reset(client, b""),
            3 => reset(client, &frame(TEXT, b"half a frame")[..9]),
            _ if !with_sip => reset(client, &frame(PING, b"once more")),
            _ => reset(client, &frame(TEXT, sip("OPTIONS", "gone", number, "WS").as_bytes())),
        }
    }
    Ok(())
}

/// Sends this, then closes with RST instead of FIN, as the system does when unread data is discarded.
fn reset(mut client: Client, last: &[u8]) {
    // The server may have closed already.
    let _ = client.send(PING, b"whose PONG nobody reads");
    let _ = client.socket.peek(&mut [0]);
    let _ = client.socket.write_all(last);
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_client_that_stops_answering_is_dropped_in_time() -> Result {
    let pbx = Pbx::start("websocket-silent", Whose::Ours, "[general]\npinginterval = 2\npongtimeout = 2\n")?;
    let mut client = pbx.connect("sip")?;
    client.send(TEXT, sip("REGISTER", "p7", 7, "WS").as_bytes())?;
    if pbx.driver == Driver::ChanSip {
        // The OPTIONS may arrive before the response to the registration.
        let options = String::from_utf8_lossy(&client.message()?).into_owned();
        ensure(options.starts_with("OPTIONS "), || options.clone())?;
        client.send(TEXT, ok_to(&options).as_bytes())?;
        until_it_shows(&pbx, "sip show peer p7", |peer| status(peer).starts_with("OK "))?;
    }
    is_ok_for(7, &client.message()?)?;
    let before = pbx.asterisk.cli("websocket show sessions")?;
    ensure(before.contains("\n1 sessions;"), || before.clone())?;
    // The system still acknowledges segments; only missing PONGs show it.
    until_silent(&pbx)?;
    match pbx.driver {
        // The next OPTIONS cannot be sent and so is not answered.
        Driver::ChanSip => {
            until_it_shows(&pbx, "sip show peer p7", |peer| status(peer) == "UNREACHABLE")?;
            let log = std::fs::read_to_string(pbx.asterisk.home().log())?;
            let failed = log.lines().any(|line| line.contains("sip_xmit of ") && line.ends_with(": Broken pipe"));
            ensure(failed, || "SIP got no error for the lost message".to_owned())
        }
        Driver::ChanPjsip => until_it_shows(&pbx, "pjsip show contacts", |contacts| !contacts.contains("p7")),
    }
}

fn status(peer: &str) -> &str {
    let line = peer.lines().find_map(|line| line.trim().strip_prefix("Status"));
    line.and_then(|line| line.split_once(": ")).map_or("", |(_, status)| status.trim())
}

/// The response 200 to this request.
fn ok_to(request: &str) -> String {
    let is_kept = |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
    let kept: String = request.lines().filter(is_kept).map(|line| format!("{line}\r\n")).collect();
    format!("SIP/2.0 200 OK\r\n{kept}Content-Length: 0\r\n\r\n")
}

fn until_it_shows(pbx: &Pbx, command: &str, shows: impl Fn(&str) -> bool) -> Result {
    let began = Instant::now();
    loop {
        let answer = pbx.asterisk.cli(command)?;
        if shows(&answer) {
            return Ok(());
        }
        ensure(began.elapsed() < Duration::from_secs(15), || answer.clone())?;
        thread::sleep(Duration::from_millis(50));
    }
}

/// Tests that create a network namespace. `cargo xtask test` runs them as root.
mod as_root {
    use super::*;

    /// Runs in its own network namespace, whose loopback interface is taken down: nothing is acknowledged or reset any more.
    #[test]
    #[ignore = "needs root, for a network of its own"]
    fn a_network_that_is_pulled_is_noticed_within_the_deadline() -> Result {
        const INSIDE: &str = "WEBSOCKET_TEST_IN_A_NAMESPACE";
        if std::env::var_os(INSIDE).is_none() {
            let status = Command::new("unshare")
                .arg("--net")
                .arg(std::env::current_exe()?)
                .args([
                    "--exact",
                    "as_root::a_network_that_is_pulled_is_noticed_within_the_deadline",
                    "--ignored",
                    "--nocapture",
                ])
                .env(INSIDE, "1")
                .status()?;
            return ensure(status.success(), || "in the namespace it failed".to_owned());
        }
        let link = |state| Command::new("ip").args(["link", "set", "lo", state]).status();
        link("up")?;
        let pbx = Pbx::start("websocket-pulled", Whose::Ours, "[general]\npinginterval = 2\npongtimeout = 2\n")?;
        let before = pbx.footprint()?;
        let mut client = pbx.connect("sip")?;
        client.send(TEXT, sip("REGISTER", "p8", 8, "WS").as_bytes())?;
        is_ok_for(8, &client.message()?)?;
        link("down")?;
        until_silent(&pbx)?;
        link("up")?;
        let after = pbx.until(Duration::from_secs(5), |now| now.threads <= before.threads)?;
        ensure(after.threads <= before.threads, || format!("{before:?}, {after:?}"))
    }
}

/// Waits until the only session has been given up.
fn until_silent(pbx: &Pbx) -> Result {
    let began = Instant::now();
    let sessions = || pbx.asterisk.cli("websocket show sessions");
    while sessions()?.contains("\n1 sessions;") {
        ensure(began.elapsed() < Duration::from_secs(10), || "the session was not given up".to_owned())?;
        thread::sleep(Duration::from_millis(50));
    }
    println!("noticed after {:?} (2 s until the PING, 2 s for the PONG)", began.elapsed());
    let after = sessions()?;
    ensure(after.contains("(silent: 1)"), || after.clone())?;
    ensure(began.elapsed() < Duration::from_secs(5), || format!("{:?}", began.elapsed()))
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn before_descriptors_run_out_a_request_is_answered_with_503() -> Result {
    let pbx = Pbx::start_with("websocket-full", Whose::Ours, "", "[options]\nmaxfiles = 256\n")?;
    let mut clients = Vec::new();
    let refusal = loop {
        let (client, answer) = Client::ask(pbx.ports.ws, "echo", "")?;
        match answer.starts_with("HTTP/1.1 101 ") {
            true => clients.push(client),
            false => break answer,
        }
        ensure(clients.len() < 256, || "as many sessions as descriptors".to_owned())?;
    };
    println!("{} sessions of 256 descriptors, {} are open", clients.len(), pbx.footprint()?.descriptors);
    ensure(refusal.starts_with("HTTP/1.1 503 "), || refusal.clone())?;
    // Further clients are answered as well: the server still accepts connections.
    for _ in 0..500 {
        let (_, answer) = Client::ask(pbx.ports.ws, "sip", "")?;
        ensure(answer.starts_with("HTTP/1.1 503 "), || answer.clone())?;
    }
    ensure(still_echoes(&mut clients[0])?, || "an existing session does not echo any more".to_owned())?;
    drop(clients);
    thread::sleep(Duration::from_secs(1));
    ensure(still_echoes(&mut pbx.connect("echo")?)?, || "a new session does not echo".to_owned())
}

/// The host reads lines of up to 4095 octets, and takes the rest of a longer one for the next line.
#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_header_that_is_too_long_smuggles_in_no_address() -> Result {
    let pbx = Pbx::start("websocket-smuggled", Whose::Ours, "[general]\ntrustedproxies = 127.0.0.1\n")?;
    let proxys = "X-Forwarded-For: 198.51.100.7\r\n";
    let _session = Client::connect(pbx.ports.ws, "echo", proxys)?;
    until_it_shows(&pbx, "websocket show sessions", |sessions| sessions.contains("'198.51.100.7:"))?;

    let padded = format!("{:4095}X-Forwarded-For: 203.0.113.6\r\n", "Cookie: a");
    let long = format!("X-Forwarded-For: 203.0.113.6{}, 198.51.100.7\r\n", ", 203.0.113.6".repeat(400));
    for more in [format!("{proxys}{padded}"), format!("{padded}{proxys}"), long] {
        let (_, answer) = Client::ask(pbx.ports.ws, "echo", &more)?;
        // Some hosts refuse such lines.
        let is_refused = ["HTTP/1.1 400 ", "HTTP/1.1 413 "].iter().any(|status| answer.starts_with(status));
        ensure(is_refused, || format!("{answer} to {more}"))?;
    }
    let sessions = pbx.asterisk.cli("websocket show sessions")?;
    ensure(!sessions.contains("203.0.113.6"), || sessions.clone())
}

/// The client must choose one of `echo` and `sip`.
#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_refused_connection_is_closed() -> Result {
    let pbx = Pbx::start("websocket-refused", Whose::Ours, "")?;
    let body = "Content-Length: 4\r\n";
    for request in [
        upgrade("/ws", ""),
        handshake("chat", ""),
        handshake("chat", body) + "body",
        handshake("sip", "").replace("Version: 13", "Version: 12"),
        handshake("sip", "").replace("GET", "PUT"),
    ] {
        let (mut client, answer) = Client::send_request(pbx.ports.ws, &request)?;
        let is_refused = ["HTTP/1.1 400 ", "HTTP/1.1 426 ", "HTTP/1.1 501 "].iter().any(|one| answer.starts_with(one));
        ensure(is_refused && answer.contains("close\r\n"), || format!("{request} is answered with {answer}"))?;
        ensure(client.is_at_the_end()?, || format!("after {answer} the connection stays"))?;
    }
    Ok(())
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn unloading_under_fifty_sessions_is_refused_and_by_force_ends_them_with_1001() -> Result {
    let mut pbx = Pbx::start("websocket-unload", Whose::Ours, "")?;
    let mut clients = (0..50)
        .map(|number| pbx.connect(if number % 2 == 0 { "echo" } else { "sip" }))
        .collect::<Result<Vec<Client>>>()?;
    let refused = pbx.asterisk.cli("module unload res_http_websocket.so")?;
    ensure(!refused.contains("Unloaded") && still_echoes(&mut clients[0])?, || format!("unloaded: {refused}"))?;
    // SIP keeps these, and their sessions, for 32 s.
    for (number, client) in clients.iter_mut().enumerate().filter(|(number, _)| !number.is_multiple_of(2)) {
        client.send(TEXT, sip("OPTIONS", "late", number, "WS").as_bytes())?;
        client.message()?;
    }
    let began = Instant::now();
    let forced = pbx.asterisk.cli("module unload -f res_http_websocket.so")?;
    println!("unloaded by force in {:?}: {}", began.elapsed(), forced.trim());
    for client in &mut clients {
        let closed = client.receive()?;
        ensure(closed == (CLOSE, 1001_u16.to_be_bytes().to_vec()), || format!("ended with {closed:?}"))?;
    }
    drop(clients);
    let loaded = pbx.asterisk.cli("module load res_http_websocket.so")?;
    ensure(pbx.asterisk.is_running(), || "Asterisk crashed".to_owned())?;
    let mut again = pbx.connect("echo")?;
    ensure(still_echoes(&mut again)?, || format!("no echo after {loaded}"))?;
    thread::sleep(Duration::from_secs(40));
    ensure(pbx.asterisk.is_running(), || "Asterisk crashed when SIP let go of the last".to_owned())?;
    ensure(still_echoes(&mut again)?, || "no echo after the late ones".to_owned())
}

fn still_echoes(client: &mut Client) -> Result<bool> {
    client.send(TEXT, b"still here")?;
    Ok(client.message()? == b"still here")
}
