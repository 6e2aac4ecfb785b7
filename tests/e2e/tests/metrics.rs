//! `/metrics` of an Asterisk with calls, as Prometheus and its tools read it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::failure::{Failure, Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, Transport};
use e2e::plain::PlainPhone;
use e2e::proof::EchoCall;
use e2e::site::Site;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
#[cfg_attr(
    not(all(asterisk, prometheus)),
    ignore = "ASTERISK_PREFIX names no Asterisk, or Prometheus is not installed"
)]
fn prometheus_reads_all_that_the_dashboard_shows() -> Result {
    let lab = Lab::start("metrics", &site("metrics = yes\n"))?;
    let prometheus = Prometheus::start(&lab)?;
    websockets(&lab)?;
    let mut browser = Phone::open(&lab, Browser::Chromium, "1001")?;
    browser.register(&lab, Transport::Plain)?;
    EchoCall::SHORT.place(&lab, &mut browser, "echo")?;
    let call = PlainPhone::call(&lab, "echo", Duration::from_secs(4))?;
    let page = until(&lab, r#",state="media"} 1"#)?;
    promtool(&page)?;
    call.finish(PATIENCE)?;
    let page = until(&lab, r#",stage="media"} 2"#)?;
    is_of_these_calls(&page)?;
    promtool(&page)?;
    // The browser's WebSocket is one of the things shown.
    prometheus.has_all()?;
    drop(browser);
    Ok(())
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn nobody_reads_metrics_who_is_not_meant_to() -> Result {
    let lab = Lab::start("metrics-acl", &site(""))?;
    let status = |headers: &[&str]| get(&lab, "/metrics", headers).map(|page| page.status);
    let is = |headers: &[&str], wanted: u16| {
        let found = status(headers)?;
        ensure(found == wanted, || format!("{found} and not {wanted} with {headers:?}"))
    };
    is(&[], 404)?;
    for (keys, direct, forwarded) in [
        ("metrics = yes\n", 200, 403),
        ("metrics = yes\nmetrics_permit = 192.0.2.0/24\n", 403, 403),
        ("metrics = yes\nmetrics_permit = 127.0.0.0/8\n", 200, 403),
        ("metrics = yes\nmetrics_permit = 127.0.0.0/8\nmetrics_deny = 127.0.0.1\n", 403, 403),
        ("metrics = no\n", 404, 404),
    ] {
        let path = lab.asterisk().home().etc().join("rtp.conf");
        let before = fs::read_to_string(&path)?;
        let rest: String =
            before.lines().filter(|line| !line.starts_with("metrics")).flat_map(|line| [line, "\n"]).collect();
        fs::write(&path, format!("{rest}{keys}"))?;
        // The host compares times in seconds.
        File::options()
            .append(true)
            .open(&path)?
            .set_modified(std::time::SystemTime::now() + Duration::from_secs(60 + u64::from(keys.len() as u32)))?;
        lab.asterisk().cli("module reload res_rtp_asterisk.so")?;
        is(&[], direct)
            .and_then(|()| is(&["X-Forwarded-For: 127.0.0.1"], forwarded))
            .map_err(|error| Failure::new(format!("{keys}: {error}")))?;
    }
    lab.until_logged("Metrics: 127.0.0.1 may not read /metrics: ", Duration::from_secs(10))
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn modules_that_others_ask_for_metrics_are_unloaded_and_loaded() -> Result {
    let lab = Lab::start("metrics-modules", &site("metrics = yes\n"))?;
    let is_over = AtomicBool::new(false);
    let pages = thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let mut pages = 0;
            while !is_over.load(Ordering::Relaxed) {
                // None while the module that serves it is not loaded.
                pages += usize::from(get(&lab, "/metrics", &[]).is_ok_and(|page| page.status == 200));
            }
            pages
        });
        for module in ["res_srtp.so", "res_rtp_asterisk.so"] {
            for _ in 0..3 {
                lab.asterisk().cli(&format!("module unload {module}"))?;
                thread::sleep(Duration::from_millis(50));
                lab.asterisk().cli(&format!("module load {module}"))?;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        Ok::<_, Failure>(scraper.join().unwrap_or_default())
    })?;
    ensure(pages > 3, || format!("{pages} pages"))?;
    let page = get(&lab, "/metrics", &[])?.body;
    for family in ["asterisk_rtp_sessions", "asterisk_websocket_sessions", "asterisk_srtp_contexts"] {
        ensure(page.contains(&format!("# TYPE {family} ")), || format!("no {family} in {page}"))?;
    }
    Ok(())
}

fn site(rtp: &str) -> Site {
    Site { rtp: format!("rtcpinterval = 500\n{rtp}"), ..Site::default() }
}

/// A response of the HTTP server.
struct Response {
    status: u16,
    body: String,
}

fn ask(lab: &Lab, path: &str, headers: &[&str]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, lab.ports().ws))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let headers: String = headers.iter().flat_map(|header| [*header, "\r\n"]).collect();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")?;
    Ok(stream)
}

fn get(lab: &Lab, path: &str, headers: &[&str]) -> Result<Response> {
    let mut stream = ask(lab, path, &[headers, &["Connection: close"]].concat())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| Failure::new(format!("no response: {text}")))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| Failure::new(format!("no status: {head}")))?;
    Ok(Response { status, body: body.to_owned() })
}

/// Asks for a protocol that nobody has, and begins a session that it does not end well.
fn websockets(lab: &Lab) -> Result {
    for (protocol, wanted) in [("nobodys", 400), ("echo", 101)] {
        let headers = [
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            &format!("Sec-WebSocket-Protocol: {protocol}"),
        ];
        let mut stream = ask(lab, "/ws", &headers)?;
        let mut line = [0; 12];
        stream.read_exact(&mut line)?;
        let line = String::from_utf8_lossy(&line);
        ensure(line == format!("HTTP/1.1 {wanted}"), || line.to_string())?;
    }
    Ok(())
}

/// Waits until a sample of the page ends like this.
fn until(lab: &Lab, sample: &str) -> Result<String> {
    let began = Instant::now();
    loop {
        let page = get(lab, "/metrics", &[])?.body;
        if page.lines().any(|line| line.ends_with(sample)) {
            return Ok(page);
        }
        ensure(began.elapsed() < PATIENCE, || format!("no {sample} in {page}"))?;
        thread::sleep(Duration::from_millis(100));
    }
}

fn is_of_these_calls(page: &str) -> Result {
    for sample in [
        r#"asterisk_rtp_setup_seconds_count{node="NODE",stage="ice"} 1"#,
        r#"asterisk_rtp_setup_seconds_count{node="NODE",stage="dtls"} 1"#,
        r#"asterisk_rtp_setup_seconds_count{node="NODE",stage="media"} 2"#,
        r#"asterisk_websocket_accepted_sessions_total{node="NODE"} 2"#,
        r#"asterisk_websocket_refused_requests_total{node="NODE",reason="protocol"} 1"#,
        r#"asterisk_rtp_port_pairs_used{node="NODE"} "#,
        r#"asterisk_srtp_contexts{node="NODE"} "#,
    ] {
        let start = sample.split("NODE").collect::<Vec<_>>();
        let is_there = page.lines().any(|line| line.starts_with(start[0]) && line.contains(start[1]));
        ensure(is_there, || format!("no {sample} in {page}"))?;
    }
    let value = |start: &str| page.lines().filter(|line| line.starts_with(start)).filter_map(value_of).sum::<f64>();
    ensure(value("asterisk_rtp_packets_total") > 300.0, || page.to_owned())?;
    ensure(value("asterisk_rtp_dtls_handshakes_total") == 1.0, || page.to_owned())?;
    ensure(value("asterisk_rtp_ice_pairs_total") >= 1.0, || page.to_owned())?;
    ensure(value("asterisk_rtp_jitter_seconds_count") > 4.0, || page.to_owned())?;
    ensure(value("asterisk_websocket_messages_total") > 6.0, || page.to_owned())
}

fn value_of(line: &str) -> Option<f64> {
    line.rsplit_once(' ')?.1.parse().ok()
}

/// Prometheus' own rules for names, types and help.
fn promtool(page: &str) -> Result {
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = tool.stdin.take() {
        input.write_all(page.as_bytes())?;
    }
    let output = tool.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure(output.status.success() && said.is_empty(), || format!("promtool says: {said}"))
}

/// A Prometheus that scrapes the Asterisk once a second. It asks for OpenMetrics.
struct Prometheus {
    process: Child,
    port: u16,
}

impl Prometheus {
    fn start(lab: &Lab) -> Result<Self> {
        let directory = lab.directory().join("prometheus");
        fs::create_dir_all(&directory)?;
        let configuration = format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: asterisk\n    static_configs:\n      - targets: ['127.0.0.1:{}']\n",
            lab.ports().ws
        );
        fs::write(directory.join("prometheus.yml"), configuration)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(File::create(directory.join("stdout"))?)
            .stderr(File::create(directory.join("log"))?)
            .spawn()?;
        Ok(Self { process, port })
    }

    /// Asks for everything that the dashboard shows.
    fn has_all(&self) -> Result {
        let began = Instant::now();
        // A rate wants two scrapes.
        while self.query("count_over_time(up[1m]) > 4 and up == 1").map_or(0, |series| series) == 0 {
            ensure(began.elapsed() < PATIENCE, || format!("Asterisk is not scraped: {:?}", self.query("up")))?;
            thread::sleep(Duration::from_millis(200));
        }
        let expressions = dashboard()?;
        ensure(expressions.len() > 30, || format!("{expressions:?}"))?;
        for expression in expressions {
            let asked = expression.replace("$__rate_interval", "1m").replace("$node", ".*");
            let series = self.query(&asked).map_err(|error| Failure::new(format!("{asked}: {error}")))?;
            ensure(series > 0, || format!("nothing comes of {asked}"))?;
        }
        Ok(())
    }

    /// Returns how many series an expression gives.
    fn query(&self, expression: &str) -> Result<usize> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        write!(stream, "GET /api/v1/query?query={encoded} HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let answer: Value = serde_json::from_str(body).map_err(|error| Failure::new(format!("{error}: {text}")))?;
        ensure(answer["status"] == "success", || body.to_owned())?;
        Ok(answer["data"]["result"].as_array().map_or(0, Vec::len))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The expressions of the dashboard.
fn dashboard() -> Result<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/grafana/dashboard.json");
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(path)?).map_err(|error| Failure::new(error.to_string()))?;
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    Ok(targets.filter_map(|target| target["expr"].as_str().map(str::to_owned)).collect())
}
