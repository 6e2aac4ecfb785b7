//! STUN and TURN servers that never answer, refuse, or send garbage: nobody waits for them, and the log is not theirs.

mod common;

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use common::{Client, Pbx, TEXT, Whose, percentile, sip};
use e2e::failure::{Failure, Result, ensure};

/// A call is answered within this time on a busy machine too. With a silent `stunaddr` the original takes 36 s.
const SOON: Duration = Duration::from_secs(3);

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn nobody_waits_for_servers_that_never_answer() -> Result {
    let took = measure("servers-silent-few", Whose::Ours, &Server::silent()?, 20)?;
    took.print("silent");
    ensure(took.invite(1.0) < SOON && took.register(1.0) < SOON, || "it took too long".to_owned())
}

#[test]
#[ignore = "a benchmark"]
fn silent() -> Result {
    benchmark("silent", &Server::silent()?)
}

#[test]
#[ignore = "a benchmark"]
fn refuses() -> Result {
    benchmark("refuses", &Server::closed()?)
}

#[test]
#[ignore = "a benchmark"]
fn sends_garbage() -> Result {
    benchmark("garbage", &Server::of_garbage()?)
}

#[test]
#[ignore = "a benchmark"]
fn has_a_name_that_does_not_exist() -> Result {
    benchmark("nameless", &Server::named("stun.invalid"))
}

/// The longest time of 99 in 100 answers, on an idle machine.
const LIMIT: Duration = Duration::from_millis(20);

fn benchmark(name: &str, server: &Server) -> Result {
    let took = measure(&format!("servers-{name}"), Whose::Ours, server, 500)?;
    took.print(name);
    ensure(took.invite(0.99) < LIMIT && took.register(0.99) < LIMIT, || format!("more than {LIMIT:?}"))
}

/// Places calls and registrations, one after the other, at a PBX that has this STUN and TURN server.
fn measure(name: &str, whose: Whose, server: &Server, count: usize) -> Result<Took> {
    let address = &server.address;
    let rtp =
        format!("[general]\nstunaddr = {address}\nturnaddr = {address}\nturnusername = lab\nturnpassword = lab\n");
    let pbx = Pbx::start_with_ice(name, whose, &rtp)?;
    let mut client = pbx.connect("sip")?;
    let mut took = Took::default();
    for number in 1..=count {
        took.registers.push(register(&mut client, number)?);
        took.invites.push(call(&mut client, number)?);
    }
    took.invites.sort_unstable();
    took.registers.sort_unstable();
    let log = String::from_utf8_lossy(&std::fs::read(pbx.asterisk.home().log())?).into_owned();
    let lines = log.lines().filter(|line| line.contains(address.as_str()) && !line.contains("DEBUG"));
    took.lines = lines.count();
    ensure(took.lines <= MOST_LINES, || format!("{} lines of the log name {address}", took.lines))?;
    Ok(took)
}

/// A line for the STUN server and one for the TURN server, and one for each over TCP.
const MOST_LINES: usize = 4;

/// Sorted times from a request to its final response.
#[derive(Default)]
struct Took {
    invites: Vec<Duration>,
    registers: Vec<Duration>,
    lines: usize,
}

impl Took {
    fn invite(&self, share: f64) -> Duration {
        percentile(&self.invites, share)
    }

    fn register(&self, share: f64) -> Duration {
        percentile(&self.registers, share)
    }

    fn print(&self, name: &str) {
        let [invite, register] = [&self.invites, &self.registers].map(|all| {
            format!("{:.1?} {:.1?} {:.1?}", percentile(all, 0.5), percentile(all, 0.99), percentile(all, 1.0))
        });
        println!(
            "{name}: {} INVITEs, median, 99th, longest: {invite}; REGISTER: {register}; {} log lines",
            self.invites.len(),
            self.lines
        );
    }
}

fn register(client: &mut Client, number: usize) -> Result<Duration> {
    let began = Instant::now();
    client.send(TEXT, sip("REGISTER", "p1", number, "WS").as_bytes())?;
    until_final(client, number, "REGISTER")?;
    Ok(began.elapsed())
}

/// Calls an extension that answers, and hangs up.
fn call(client: &mut Client, number: usize) -> Result<Duration> {
    let began = Instant::now();
    let invite = invite(number);
    client.send(TEXT, invite.as_bytes())?;
    let answer = until_final(client, number, "INVITE")?;
    let took = began.elapsed();
    ensure(answer.contains("\r\na=candidate:"), || format!("the answer has no candidates: {answer}"))?;
    let to = answer.lines().find(|line| line.starts_with("To:")).unwrap_or_default();
    let within = |method: &str, number: usize| {
        let request = sip(method, "p1", number, "WS").replacen("sip:127.0.0.1", "sip:600@127.0.0.1", 1);
        let request = request.replace("To: <sip:p1@127.0.0.1>", to);
        request.replace(&format!("Call-ID: p1-{number}"), &format!("Call-ID: {}", call_id(&invite)))
    };
    client.send(TEXT, within("ACK", number).as_bytes())?;
    let bye = within("BYE", number + 1).replace(&format!("tag=p1{}", number + 1), &format!("tag=p1{number}"));
    client.send(TEXT, bye.as_bytes())?;
    until_final(client, number + 1, "BYE")?;
    Ok(took)
}

/// Reads messages until the final response to this request, which has to be 200.
fn until_final(client: &mut Client, number: usize, method: &str) -> Result<String> {
    loop {
        let message = String::from_utf8_lossy(&client.message()?).into_owned();
        let is_ours = message.contains(&format!("\r\nCSeq: {number} {method}\r\n"));
        if is_ours && !message.starts_with("SIP/2.0 1") {
            ensure(message.starts_with("SIP/2.0 200 "), || message.clone())?;
            return Ok(message);
        }
    }
}

fn call_id(message: &str) -> &str {
    message.lines().find_map(|line| line.strip_prefix("Call-ID: ")).unwrap_or_default()
}

fn invite(number: usize) -> String {
    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                       m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ice-ufrag:abcd\r\n\
                       a=ice-pwd:abcdefghijklmnopqrstuv\r\na=candidate:1 1 UDP 2130706431 127.0.0.1 40000 typ host\r\n\
                       a=candidate:1 2 UDP 2130706430 127.0.0.1 40001 typ host\r\n";
    let request = sip("INVITE", "p1", number, "WS").replacen("sip:127.0.0.1", "sip:600@127.0.0.1", 1);
    let request = request.replace("Call-ID: p1-", "Call-ID: call-");
    let body = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len());
    request.replace("Content-Length: 0\r\n\r\n", &body)
}

/// A server on UDP and TCP.
struct Server {
    address: String,
    _sockets: Option<(UdpSocket, TcpListener)>,
}

impl Server {
    /// Never answers: connections are accepted by the kernel.
    fn silent() -> Result<Self> {
        let (udp, tcp) = sockets()?;
        Ok(Self { address: udp.local_addr()?.to_string(), _sockets: Some((udp, tcp)) })
    }

    /// A port at which nobody listens.
    fn closed() -> Result<Self> {
        let (udp, _) = sockets()?;
        Ok(Self { address: udp.local_addr()?.to_string(), _sockets: None })
    }

    fn named(name: &str) -> Self {
        Self { address: format!("{name}:3478"), _sockets: None }
    }

    /// Answers everything with something that is no STUN message, or only begins like one.
    fn of_garbage() -> Result<Self> {
        let (udp, tcp) = sockets()?;
        let address = udp.local_addr()?.to_string();
        thread::spawn(move || send_garbage(&udp));
        thread::spawn(move || write_garbage(&tcp));
        Ok(Self { address, _sockets: None })
    }
}

/// A socket of UDP and one of TCP, at the same port.
fn sockets() -> Result<(UdpSocket, TcpListener)> {
    for _ in 0..100 {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        if let Ok(tcp) = TcpListener::bind(udp.local_addr()?) {
            return Ok((udp, tcp));
        }
    }
    Err(Failure::new("no port is free on UDP and TCP"))
}

/// Each request has three answers: what is no STUN, the request itself, and a response with attributes that are not.
fn send_garbage(socket: &UdpSocket) {
    let mut buffer = [0; 2000];
    while let Ok((len, from)) = socket.recv_from(&mut buffer) {
        let request = &buffer[..len];
        let mut response = request.to_vec();
        if let Some(kind) = response.first_mut() {
            *kind |= 1;
        }
        response.iter_mut().skip(20).for_each(|byte| *byte = !*byte);
        for answer in [&[0xff; 100][..], request, &response] {
            // The sender may be gone.
            let _ = socket.send_to(answer, from);
        }
    }
}

fn write_garbage(listener: &TcpListener) {
    for mut stream in listener.incoming().flatten() {
        let _ = stream.write_all(&[0xff; 2000]);
    }
}
