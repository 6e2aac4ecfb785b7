//! coturn with the configuration of `contrib/coturn`, on the loopback interface.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::asterisk::Home;
use crate::failure::{Result, ensure};
use crate::ports::Ports;

/// The configuration that users install.
const SAMPLE: &str = include_str!("../../../contrib/coturn/turnserver.conf");

/// The secret of the sample.
const SECRET: &str = "change-me";

/// The longest time to wait for the start.
const START: Duration = Duration::from_secs(20);

/// The time for which a credential holds.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A coturn in its own directory, ended on drop. Its peers may be at this machine's own address.
#[derive(Debug)]
pub struct TurnServer {
    child: Child,
    directory: PathBuf,
    ports: Ports,
}

impl TurnServer {
    /// Starts it in `directory`, with the certificate of `home`.
    pub fn start(directory: &Path, home: &Home) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let directory = directory.canonicalize()?;
        let ports = Ports::claim()?;
        home.make_certificate()?;
        fs::write(directory.join("turnserver.conf"), configuration(&ports, home)?)?;
        let child = run(&directory)?;
        let mut server = Self { child, directory, ports };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    /// Starts it anew after its end.
    pub fn start_again(&mut self) -> Result {
        self.child = run(&self.directory)?;
        self.wait_until_it_listens()
    }

    /// The `iceServers` of a page, for `who`: over UDP and TCP.
    pub fn ice_servers(&self, who: &str) -> Result<Value> {
        let (name, password) = credential(who)?;
        let url = format!("turn:127.0.0.1:{}", self.ports.plain);
        Ok(json!([{ "urls": [&url, format!("{url}?transport=tcp")], "username": name, "credential": password }]))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn wait_until_it_listens(&mut self) -> Result {
        let end = Instant::now() + START;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports.plain)).is_err() {
            let runs = self.is_running();
            ensure(runs && Instant::now() < end, || {
                format!("coturn does not listen: {}", self.directory.join("log").display())
            })?;
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for TurnServer {
    fn drop(&mut self) {
        // Harmless if it has ended: std does not signal a child that was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(directory: &Path) -> io::Result<Child> {
    let log = File::options().create(true).append(true).open(directory.join("log"))?;
    let mut server = Command::new("turnserver");
    server.arg("-c").arg(directory.join("turnserver.conf")).arg("--userdb").arg(directory.join("users.sqlite"));
    server.arg("--pidfile").arg(directory.join("pid")).current_dir(directory);
    server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

/// The sample with the addresses, ports and files of this machine.
fn configuration(ports: &Ports, home: &Home) -> io::Result<String> {
    let keys = home.etc().join("keys");
    let set = |key: &str, value: &str| format!("{key}={value}\n");
    let changed = [
        ("listening-ip=192.0.2.10\n", set("listening-ip", "127.0.0.1")),
        ("relay-ip=192.0.2.10\n", set("relay-ip", "127.0.0.1")),
        ("tls-listening-port=443\n", set("tls-listening-port", &(ports.plain + 1).to_string())),
        ("listening-port=3478\n", set("listening-port", &ports.plain.to_string())),
        ("cert=/etc/turnserver/phone.example.pem\n", set("cert", &keys.join("asterisk.pem").to_string_lossy())),
        ("pkey=/etc/turnserver/phone.example.key\n", set("pkey", &keys.join("asterisk.key").to_string_lossy())),
        ("min-port=49152\n", set("min-port", &ports.rtp.start().to_string())),
        ("max-port=65535\n", set("max-port", &ports.rtp.end().to_string())),
        ("allowed-peer-ip=192.0.2.21\n", set("allowed-peer-ip", &own_address().to_string())),
        ("allowed-peer-ip=192.0.2.22\n", set("allowed-peer-ip", "127.0.0.1")),
        ("\nsyslog\n", "\nlog-file=stdout\n".to_owned()),
    ];
    changed.iter().try_fold(SAMPLE.to_owned(), |text, (old, new)| match text.contains(old) {
        true => Ok(text.replace(old, new)),
        false => Err(io::Error::other(format!("contrib/coturn/turnserver.conf has no line {old:?}"))),
    })
}

/// The address from which this machine reaches others, which Asterisk's candidates have. Nothing is sent.
fn own_address() -> Ipv4Addr {
    let address = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(198, 51, 100, 1), 9))?;
        socket.local_addr()
    });
    match address.map(|address| address.ip()) {
        Ok(std::net::IpAddr::V4(address)) => address,
        _ => Ipv4Addr::LOCALHOST,
    }
}

/// A name and a password that expire, made as README.md says.
fn credential(who: &str) -> Result<(String, String)> {
    let end = SystemTime::now() + LIFETIME;
    let name = format!("{}:{who}", end.duration_since(UNIX_EPOCH)?.as_secs());
    let script = r#"printf %s "$name" | openssl dgst -sha1 -hmac "$secret" -binary | base64"#;
    let made = Command::new("sh").args(["-c", script]).env("name", &name).env("secret", SECRET).output()?;
    let password = String::from_utf8(made.stdout)?.trim().to_owned();
    ensure(!password.is_empty(), || "openssl has made no password".to_owned())?;
    Ok((name, password))
}
