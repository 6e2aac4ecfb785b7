//! `webrtc selftest` in the console: a healthy host, and hosts with one fault each, which it names with the key to change.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::certificate;
use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::manager::Manager;
use e2e::site::{Edit, Site};

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_healthy_host_passes_every_step_soon_and_is_left_as_it_was() -> Result {
    let lab = Lab::start("selftest-healthy", &Site::default())?;
    for _ in 0..3 {
        let began = Instant::now();
        let told = selftest(&lab)?;
        ensure(began.elapsed() < Duration::from_secs(7), || format!("{:?}: {told}", began.elapsed()))?;
        only(&told, &[], &[])?;
        let steps = ["Clock", "WebSocket", "SIP over WebSocket", "WebSocket over TLS", "Addresses", "RTP ports"];
        for step in steps.into_iter().chain(["Certificate /", "Call over "]) {
            let line = told.lines().find(|line| line.starts_with(step) && line.contains(": ok"));
            ensure(line.is_some(), || format!("{step}: {told}"))?;
        }
        ensure(told.contains("TURN server: not tried, rtp.conf has no turnaddr"), || told)?;
    }
    let (sessions, history) = (lab.asterisk().cli("rtp show sessions")?, lab.asterisk().cli("rtp show history")?);
    ensure(sessions.contains("0 RTP sessions"), || sessions)?;
    ensure(history.contains("0 calls have ended"), || history)?;
    let settings = lab.asterisk().cli("rtp show settings")?;
    ensure(settings.contains("Ports in use:    0 pairs"), || settings)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn managers_a_capture_and_the_metrics_see_no_call() -> Result {
    let lab = Lab::start("selftest-apart", &Site { rtp: "metrics = yes\n".to_owned(), ..Site::default() })?;
    let file = lab.directory().join("log").join("capture.pcapng");
    let mut manager = Manager::listen(&lab)?;
    let before = metrics_of_calls(&lab)?;
    ensure(before.len() > 30, || format!("{before:?}"))?;
    lab.asterisk().cli(&format!("rtp set capture all {}", file.display()))?;
    let told = selftest(&lab)?;
    ensure(told.lines().any(|line| line.starts_with("Call over ") && line.contains(": ok")), || told)?;
    lab.asterisk().cli("rtp set capture off")?;
    lab.until_logged("It has 0 SIP, 0 RTP, 0 RTCP, 0 DTLS, 0 STUN packets", Duration::from_secs(5))?;
    let end = Instant::now() + Duration::from_secs(1);
    while let Some(event) = manager.next_until(end) {
        ensure(event.first().is_none_or(|name| !name.starts_with("Event: RTCP")), || format!("{event:?}"))?;
    }
    let after = metrics_of_calls(&lab)?;
    ensure(after == before, || format!("{after:#?}"))
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn an_expired_certificate() -> Result {
    let (certificate, key) = certificate::make("selftest-expired", "-1")?;
    let site = Site { certificate: Some(certificate), key: Some(key), ..Site::default() };
    fails("selftest-expired", &site, &[("Certificate ", &["the certificate ended on", "renew dtls"])], &[])
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_key_of_another_certificate() -> Result {
    let (_, key) = certificate::make("selftest-other", "30")?;
    let site = Site { key: Some(key), ..Site::default() };
    let words = ["name the key of this certificate as dtls", "private", "of "];
    fails("selftest-key", &site, &[("Certificate ", &words)], &[])
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn the_http_server_is_off() -> Result {
    let site = Site::edited("http.conf", |text| text.replace("enabled = yes", "enabled = no"));
    let words = ["set enabled = yes in [general] of http.conf"];
    fails("selftest-http", &site, &[("WebSocket: ", &words)], &["WebSocket over TLS: "])
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn another_program_has_the_port_of_the_http_server() -> Result {
    let site = Site::edited("http.conf", |text| text.replace("\nbindaddr = 127.0.0.1", "\nbindaddr = 127.0.0.9"));
    let lab = Lab::start("selftest-port", &site)?;
    // The file is put right, and the server is not told.
    let file = lab.asterisk().home().etc().join("http.conf");
    std::fs::write(&file, std::fs::read_to_string(&file)?.replace("127.0.0.9", "127.0.0.1"))?;
    let words = ["nothing listens at ws://127.0.0.1:", "bindaddr and bindport in http.conf"];
    only(&selftest(&lab)?, &[("WebSocket: ", &words)], &["SIP over WebSocket: "])
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn the_websocket_module_is_not_loaded() -> Result {
    let lab = Lab::start("selftest-module", &without("res_http_websocket.so"))?;
    let words: [&str; 1] = ["(404); load res_http_websocket.so (modules.conf)"];
    let failed: [(_, &[_]); 2] = [("WebSocket: ", &words), ("WebSocket over TLS: ", &words)];
    only(&selftest(&lab)?, &failed, &["SIP over WebSocket: "])
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_drain_takes_no_connections() -> Result {
    let lab = Lab::start("selftest-drain", &Site::default())?;
    lab.asterisk().cli("webrtc drain")?;
    let words: [&str; 1] = ["'webrtc drain off' ends a drain"];
    let failed: [(_, &[_]); 2] = [("WebSocket: ", &words), ("WebSocket over TLS: ", &words)];
    only(&selftest(&lab)?, &failed, &["SIP over WebSocket: "])?;
    lab.asterisk().cli("webrtc drain off")?;
    only(&selftest(&lab)?, &[], &[])
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn all_rtp_ports_are_in_use() -> Result {
    let lab = Lab::start("selftest-ports", &Site::default())?;
    let ports = lab.ports().rtp.clone();
    // A socket of IPv6 takes the port of IPv4 as well.
    let any = [IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED.into()];
    let occupy = |port| any.iter().find_map(|ip| UdpSocket::bind((*ip, port)).ok());
    let occupied: Vec<_> = ports.filter_map(occupy).collect();
    let told = selftest(&lab)?;
    drop(occupied);
    let words = ["pairs from rtpstart = ", "are in use, 0 of them by calls; widen the range in rtp.conf"];
    let of_calls: [&str; 2] = ["no pair of ports from rtpstart = ", "widen the range"];
    only(&told, &[("RTP ports: ", &words), ("Call over ", &of_calls)], &[])
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn the_stun_server_is_silent() -> Result {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let rtp = format!("stunaddr = {}\n", silent.local_addr()?);
    let site = Site { rtp, ..Site::default() };
    let words = ["(stunaddr): it does not answer; correct stunaddr in rtp.conf"];
    fails("selftest-stun", &site, &[("STUN server: ", &words)], &[])
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn the_password_for_turn_is_wrong_or_right() -> Result {
    let server = Turn::start()?;
    let site = |password| {
        let rtp = format!("turnaddr = 127.0.0.1:{}\nturnusername = lab\nturnpassword = {password}\n", server.port);
        Site { rtp, ..Site::default() }
    };
    let told = ["correct turnusername and turnpassword (or turnsecret) in rtp.conf"];
    fails("selftest-turn", &site("wrong"), &[("TURN server: ", &told)], &[])?;
    let lab = Lab::start("selftest-turn-right", &site("right"))?;
    let told = selftest(&lab)?;
    ensure(told.contains("relayed addresses are ready"), || told.clone())?;
    only(&told, &[], &[])
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn there_is_no_srtp_module() -> Result {
    let lab = Lab::start("selftest-srtp", &without("res_srtp.so"))?;
    only(&selftest(&lab)?, &[("SRTP: ", &["load res_srtp.so (modules.conf)"])], &[])
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn icesupport_is_off() -> Result {
    let site = Site::edited("rtp.conf", |text| text.replace("icesupport = yes", "icesupport = no"));
    fails("selftest-ice", &site, &[("ICE: ", &["set icesupport = yes in rtp.conf"])], &[])
}

fn selftest(lab: &Lab) -> Result<String> {
    let told = lab.asterisk().cli("webrtc selftest")?;
    ensure(told.lines().any(|line| line.starts_with("Self-test: ")), || told.clone())?;
    Ok(told)
}

/// Has a host with one fault, which the lines of `failed` alone name.
fn fails(name: &str, site: &Site, failed: &[Named<'_>], not_tried: &[&str]) -> Result {
    let lab = Lab::start(name, site)?;
    only(&selftest(&lab)?, failed, not_tried)
}

/// The beginning of lines that fail, and the words that they have.
type Named<'a> = (&'a str, &'a [&'a str]);

/// Whether the steps of `failed` have failed with these words, those of `not_tried` were not tried, nor were servers that the host has
/// not got, and every other step is ok.
fn only(told: &str, failed: &[Named<'_>], not_tried: &[&str]) -> Result {
    let (steps, last) = told.trim_end().rsplit_once('\n').unwrap_or_default();
    for (step, _) in failed {
        ensure(steps.lines().any(|line| line.starts_with(step)), || format!("'{step}' is missing: {told}"))?;
    }
    for line in steps.lines() {
        let expected = failed.iter().find(|(step, _)| line.starts_with(step));
        let is_left_out = not_tried.iter().any(|step| line.starts_with(step)) || NO_SERVERS.contains(&line);
        let is_right = match expected {
            Some((_, words)) => line.contains(": FAILED: ") && words.iter().all(|word| line.contains(word)),
            None if is_left_out => line.contains(": not tried, "),
            None => line.ends_with(": ok") || line.contains(": ok, "),
        };
        ensure(is_right, || format!("'{line}' in: {told}"))?;
    }
    let count = steps.lines().filter(|line| line.contains(": FAILED: ")).count();
    let summary = if count == 0 { "steps ok".to_owned() } else { format!("{count} steps FAILED") };
    ensure(last.contains(&summary), || told.to_owned())
}

/// The lines about servers that most hosts here have not got.
const NO_SERVERS: [&str; 2] = [
    "STUN server: not tried, rtp.conf has no stunaddr; behind a NAT browsers need it, or ice_external_address",
    "TURN server: not tried, rtp.conf has no turnaddr",
];

fn without(module: &str) -> Site {
    let edit: Edit = match module {
        "res_srtp.so" => |text| format!("{text}noload = res_srtp.so\n"),
        _ => |text| format!("{text}noload = res_http_websocket.so\n"),
    };
    Site::edited("modules.conf", edit)
}

/// The samples of `/metrics` that count what sessions of RTP have.
fn metrics_of_calls(lab: &Lab) -> Result<Vec<String>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, lab.ports().ws))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let is_of_calls = |line: &&str| line.starts_with("asterisk_rtp_") && !line.starts_with("asterisk_rtp_worker_");
    Ok(text.lines().filter(is_of_calls).map(str::to_owned).collect())
}

/// A coturn on the loopback interface with the user `lab` and the password `right`. Ended on drop.
struct Turn {
    process: Child,
    port: u16,
}

impl Turn {
    fn start() -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let directory = std::env::temp_dir().join(format!("selftest-turn-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let process = Command::new("turnserver")
            .args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--fingerprint", "--lt-cred-mech", "--realm=lab"])
            .args(["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--user=lab:right", "--log-file=stdout"])
            .arg(format!("--listening-port={port}"))
            .arg(format!("--userdb={}", directory.join("users").display()))
            .arg(format!("--pidfile={}", directory.join("pid").display()))
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { process, port };
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure(Instant::now() < end, || "coturn does not listen".to_owned())?;
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
