//! `contrib/nginx` and `contrib/haproxy` in front of `/ws`: a browser calls over wss; Asterisk gets ws, and the
//! address of the browser. Reports of calls pass, and nothing else of Asterisk's HTTP server.

mod common;

use std::fs;
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::stream::Stream;
use common::{Client, PONG, TEXT, frame, sip};
use e2e::failure::{Failure, Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, Transport};
use e2e::proof::EchoCall;
use e2e::sip::Message;
use e2e::site::Site;

#[test]
#[cfg_attr(not(proxies), ignore = "there are no nginx and HAProxy, or ASTERISK_PREFIX names no Asterisk")]
fn a_browser_hears_itself_through_nginx_that_tells_its_address_and_passes_its_report() -> Result {
    through("nginx", nginx)
}

#[test]
#[cfg_attr(not(proxies), ignore = "there are no nginx and HAProxy, or ASTERISK_PREFIX names no Asterisk")]
fn a_browser_hears_itself_through_haproxy_that_tells_its_address_and_passes_its_report() -> Result {
    through("haproxy", haproxy)
}

/// As in many an example: the header `Upgrade` is passed, and nginx sends `Connection: close` over HTTP/1.0.
#[test]
#[cfg_attr(not(proxies), ignore = "there are no nginx and HAProxy, or ASTERISK_PREFIX names no Asterisk")]
fn a_browser_hears_itself_through_nginx_that_passes_no_connection_header() -> Result {
    let lab = Lab::start("nginx-unconnected", &Site::default())?;
    let directory = lab.directory().join("proxy");
    fs::create_dir(&directory)?;
    let command = nginx_with(&lab, &directory, &["proxy_http_version 1.1;", "proxy_set_header Connection upgrade;"])?;
    let _proxy = Proxy::start(command, lab.ports().proxy)?;

    let mut phone = Phone::open(&lab, Browser::Chromium, "1001")?;
    phone.register(&lab, Transport::Proxied)?;
    EchoCall::SHORT.place(&lab, &mut phone, "echo")?;
    let sessions = lab.asterisk().cli("websocket show sessions")?;
    ensure(sessions.contains(" without Connection: Upgrade); 0 refused"), || sessions.clone())?;
    lab.until_logged("passes the header Upgrade and not Connection", Duration::from_secs(10))
}

fn through(name: &str, command: fn(&Lab, &Path) -> io::Result<Command>) -> Result {
    let site = Site {
        websocket: "trustedproxies = 127.0.0.1\npinginterval = 1\n".to_owned(),
        rtp: "callreport = yes\nmetrics = yes\n".to_owned(),
        ..Site::default()
    };
    let lab = Lab::start(name, &site)?;
    let directory = lab.directory().join("proxy");
    fs::create_dir(&directory)?;
    let _proxy = Proxy::start(command(&lab, &directory)?, lab.ports().proxy)?;

    // The proxy replaces a header forged by the client.
    let mut stream = Stream::over_tls(lab.ports().proxy, "127.0.0.9", "X-Forwarded-For: 203.0.113.7\r\n")?;
    is_answered(&mut stream, 1)?;
    let sessions = lab.asterisk().cli("websocket show sessions")?;
    let is_known = sessions.lines().any(|line| line.contains(" ws ") && line.contains("127.0.0.9"));
    ensure(is_known, || format!("no session of 127.0.0.9:\n{sessions}"))?;

    // Send one message per second, for longer than the proxy's timeout.
    for _ in 0..8 {
        let ping = stream.message()?;
        stream.write(&frame(PONG, &ping))?;
    }
    is_answered(&mut stream, 2)?;
    drop(stream);

    let mut phone = Phone::open(&lab, Browser::Chromium, "1001")?;
    phone.register(&lab, Transport::Proxied)?;
    let statistics = EchoCall::SHORT.place(&lab, &mut phone, "echo")?;
    println!("{name}: {statistics}");
    reports_alone_pass(&lab, &mut phone, name)
}

/// `/webrtc/call` answers through the proxy as it does directly, and everything else but `/ws` is not found there.
fn reports_alone_pass(lab: &Lab, phone: &mut Phone, proxy: &str) -> Result {
    for path in
        ["/metrics", "/", "/httpstatus", "/ws/../metrics", "/webrtc/call/../../metrics", "/webrtc/", "/wsx", "/ws/x"]
    {
        ensure(status_through(lab, path)? == 404, || format!("{path} passes"))?;
    }
    ensure(status_directly(lab, "/metrics")? == 200, || "there is nothing to keep back".to_owned())?;

    let own = report_of_the_call(phone)?;
    for (path, expected) in [(own.as_str(), 200), ("/webrtc/call?id=a&from-tag=b&to-tag=c", 404)] {
        let statuses = [status_directly(lab, path)?, status_through(lab, path)?];
        ensure(statuses == [expected; 2], || format!("{path} is answered with {statuses:?}"))?;
    }

    // nginx compares a path without "..", and has to pass that on: not the client's, by which Asterisk finds another of its pages.
    let detour = own.replace("/webrtc", "/httpstatus/../webrtc");
    let expected = if proxy.starts_with("nginx") { 200 } else { 404 };
    let status = status_through(lab, &detour)?;
    ensure(status == expected, || format!("{detour} is answered with {status}"))?;

    // A list of networks is not for those who come through a proxy, as the files of `contrib` say.
    let home = lab.asterisk().home();
    let settings = fs::read_to_string(home.etc().join("rtp.conf"))?;
    home.configure("rtp.conf", &(settings.clone() + "callreport_permit = 127.0.0.0/8\n"))?;
    lab.asterisk().cli("module reload res_rtp_asterisk.so")?;
    let statuses = [status_directly(lab, &own)?, status_through(lab, &own)?];
    ensure(statuses == [200, 403], || format!("with callreport_permit come {statuses:?}"))?;
    home.configure("rtp.conf", &settings.replace("callreport = yes", "callreport = no"))?;
    lab.asterisk().cli("module reload res_rtp_asterisk.so")?;
    let statuses = [status_directly(lab, &own)?, status_through(lab, &own)?];
    ensure(statuses == [404; 2], || format!("while reports are off come {statuses:?}"))
}

/// The path with which the page asks for the report of its last call.
fn report_of_the_call(phone: &mut Phone) -> Result<String> {
    let messages = phone.messages()?;
    let mut answers = messages.iter().filter_map(|text| Message::parse(text));
    let answer = answers.rfind(|message| message.status() == Some(200) && message.method() == "INVITE");
    let answer = answer.ok_or_else(|| Failure::new("no call was answered"))?;
    let tag = |name: &str| answer.header(name).split_once(";tag=").map(|(_, tag)| tag.to_owned()).unwrap_or_default();
    Ok(format!("/webrtc/call?id={}&from-tag={}&to-tag={}", answer.header("call-id"), tag("from"), tag("to")))
}

fn status_directly(lab: &Lab, path: &str) -> Result<u16> {
    status(&Client::send_request(lab.ports().ws, &request(path))?.1)
}

fn status_through(lab: &Lab, path: &str) -> Result<u16> {
    let mut tls = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{}", lab.ports().proxy)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(input) = &mut tls.stdin {
        input.write_all(request(path).as_bytes())?;
    }
    // Reads to the end that the proxy makes.
    status(&String::from_utf8_lossy(&tls.wait_with_output()?.stdout))
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

fn status(response: &str) -> Result<u16> {
    let status = response.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    status.ok_or_else(|| Failure::new(format!("this is no response: {response}")))
}

/// The status is 401, because there is no password.
fn is_answered(stream: &mut Stream, number: usize) -> Result {
    stream.write(&frame(TEXT, sip("REGISTER", "1001", number, "WSS").as_bytes()))?;
    loop {
        let message = stream.message()?;
        match message.starts_with(b"SIP/2.0 ") {
            true if message.starts_with(b"SIP/2.0 401 ") => return Ok(()),
            true => return Err(Failure::new(format!("to REGISTER came {:?}", String::from_utf8_lossy(&message)))),
            false => stream.write(&frame(PONG, &message))?,
        }
    }
}

/// A sample of `contrib/` with the ports and keys of the lab.
fn sample(file: &str, lab: &Lab, replaced: &[(&str, String)]) -> io::Result<String> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib").join(file);
    let common = [("127.0.0.1:8088", format!("127.0.0.1:{}", lab.ports().ws)), ("90s", PATIENCE.to_owned())];
    let mut replaced = common.iter().chain(replaced);
    replaced.try_fold(fs::read_to_string(sample)?, |text, (old, new)| match text.contains(old) {
        true => Ok(text.replace(old, new)),
        false => Err(io::Error::other(format!("{file} does not say {old}"))),
    })
}

/// The proxies' timeout for silence: longer than `pinginterval`.
const PATIENCE: &str = "4s";

fn nginx(lab: &Lab, directory: &Path) -> io::Result<Command> {
    nginx_with(lab, directory, &[])
}

/// nginx with the sample without the lines `left_out`.
fn nginx_with(lab: &Lab, directory: &Path, left_out: &[&str]) -> io::Result<Command> {
    let keys = lab.asterisk().home().etc().join("keys");
    let key = |file: &str| keys.join(file).display().to_string();
    let changed = [
        ("listen 443 ssl", format!("listen 127.0.0.1:{} ssl", lab.ports().proxy)),
        ("/etc/ssl/phone.example.pem", key("asterisk.pem")),
        ("/etc/ssl/private/phone.example.key", key("asterisk.key")),
    ];
    let left_out = left_out.iter().map(|line| (*line, String::new()));
    let replaced: Vec<_> = changed.into_iter().chain(left_out).collect();
    let server = sample("nginx/asterisk-websocket.conf", lab, &replaced)?;
    // nginx writes into this directory only, and runs as one process, which ends on request.
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.map(|what| format!("{what}_temp_path temporary/{what};\n")).concat();
    fs::create_dir(directory.join("temporary"))?;
    fs::write(
        directory.join("nginx.conf"),
        format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\nevents {{}}\n\
             http {{\naccess_log access.log;\n{temporary}{server}}}\n"
        ),
    )?;
    let mut command = program("nginx", lab)?;
    // nginx 1.18 has no `-e`. It cannot open its default log before it reads the configuration, which is no error.
    command.arg("-p").arg(directory).args(["-c", "nginx.conf"]);
    Ok(command)
}

fn haproxy(lab: &Lab, directory: &Path) -> io::Result<Command> {
    let keys = lab.asterisk().home().etc().join("keys");
    let both = directory.join("both.pem");
    fs::write(&both, [fs::read(keys.join("asterisk.pem"))?, fs::read(keys.join("asterisk.key"))?].concat())?;
    let configuration = sample(
        "haproxy/asterisk-websocket.cfg",
        lab,
        &[
            ("bind :443", format!("bind 127.0.0.1:{}", lab.ports().proxy)),
            ("/etc/haproxy/phone.example.pem", both.display().to_string()),
        ],
    )?;
    let file = directory.join("haproxy.cfg");
    fs::write(&file, configuration)?;
    let mut command = program("haproxy", lab)?;
    command.arg("-db").arg("-f").arg(file);
    Ok(command)
}

fn program(name: &str, lab: &Lab) -> io::Result<Command> {
    lab.asterisk().prefix().proxy(name).ok_or_else(|| io::Error::other(format!("there is no {name}")))
}

struct Proxy(Child);

impl Proxy {
    /// Waits until the proxy listens.
    fn start(mut command: Command, port: u16) -> Result<Self> {
        let mut proxy = Self(command.spawn()?);
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let runs = matches!(proxy.0.try_wait(), Ok(None)) && Instant::now() < end;
            ensure(runs, || format!("{command:?} does not listen"))?;
            thread::sleep(Duration::from_millis(50));
        }
        Ok(proxy)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
