//! Handshakes with a peer that we did not write: the `openssl` command, over UDP on the loopback interface. It prints
//! the keying material, which has to equal ours.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test's own process")]

mod common;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use common::{Peer, config};
use dtls_srtp::{Certificate, ClientHello, ContextConfig, Failure, HashFunction, Keys, MinVersion, Role};

#[test]
fn openssl_s_server_agrees() {
    // With a cookie exchange and without (RFC 6347 §4.2.1).
    for (key, cookie) in [("ec", Some("-listen")), ("ec", None), ("rsa", None)] {
        let files = Files::make(key);
        let port = free_port();
        let mut command = files.command("s_server");
        command.args(["-accept", &port.to_string(), "-Verify", "1"]).args(cookie);
        let openssl = OpenSsl::spawn(command);
        let ours = handshake(Role::Client, &files, &bind(0), Some(SocketAddr::from(([127, 0, 0, 1], port))));
        assert_eq!(
            openssl.keying_material(),
            hex(&[&ours.local.key, &ours.remote.key, &ours.local.salt, &ours.remote.salt])
        );
    }
}

#[test]
fn openssl_s_client_agrees() {
    // With a cookie exchange and without.
    for (key, cookie) in [("ec", true), ("ec", false), ("rsa", false)] {
        let files = Files::make(key);
        let socket = bind(0);
        let mut command = files.command("s_client");
        command.args(["-connect", &socket.local_addr().expect("an address").to_string()]);
        let openssl = OpenSsl::spawn(command);
        let ours = if cookie {
            handshake_after_cookie(config(), &files, &socket)
        } else {
            handshake(Role::Server, &files, &socket, None)
        };
        assert_eq!(
            openssl.keying_material(),
            hex(&[&ours.remote.key, &ours.local.key, &ours.remote.salt, &ours.local.salt])
        );
    }
}

#[test]
fn dtls_1_0_is_agreed_on_where_it_is_allowed() {
    for cipher in ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA"] {
        for cookie in [true, false] {
            let files = Files::make("ec");
            let socket = bind(0);
            let mut command = files.old_command("s_client", cipher);
            command.args(["-connect", &socket.local_addr().expect("an address").to_string()]);
            let openssl = OpenSsl::spawn(command);
            let ours = if cookie {
                handshake_after_cookie(old(), &files, &socket)
            } else {
                handshake_with(old(), Role::Server, &files, &socket, None)
            };
            let theirs = hex(&[&ours.remote.key, &ours.local.key, &ours.remote.salt, &ours.local.salt]);
            assert_eq!(openssl.keying_material(), theirs);
        }
    }
    let files = Files::make("rsa");
    let port = free_port();
    let mut command = files.old_command("s_server", "AES128-SHA");
    command.args(["-accept", &port.to_string(), "-Verify", "1"]);
    let openssl = OpenSsl::spawn(command);
    let remote = Some(SocketAddr::from(([127, 0, 0, 1], port)));
    let ours = handshake_with(old(), Role::Client, &files, &bind(0), remote);
    let theirs = hex(&[&ours.local.key, &ours.remote.key, &ours.local.salt, &ours.remote.salt]);
    assert_eq!(openssl.keying_material(), theirs);
}

#[test]
fn dtls_1_0_is_refused_by_default() {
    let files = Files::make("ec");
    let socket = bind(0);
    let mut command = files.old_command("s_client", "ECDHE-ECDSA-AES128-SHA");
    command.args(["-connect", &socket.local_addr().expect("an address").to_string()]);
    let _openssl = OpenSsl::spawn(command);
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let mut peer = Peer::with(Role::Server, config());
    peer.session.start(Instant::now());
    let mut buffer = [0; 2048];
    let (len, _) = socket.recv_from(&mut buffer).expect("a ClientHello");
    peer.session.handle_datagram(Instant::now(), &buffer[..len]);
    peer.drain();
    assert!(matches!(peer.refusals[..], [Failure::Handshake(_)]), "{:?}", peer.refusals);
}

fn old() -> ContextConfig {
    ContextConfig { min_version: MinVersion::Dtls10, ..config() }
}

/// Drives a session of ours until it has keys.
fn handshake(role: Role, files: &Files, socket: &UdpSocket, remote: Option<SocketAddr>) -> Keys {
    handshake_with(config(), role, files, socket, remote)
}

fn handshake_with(
    config: ContextConfig,
    role: Role,
    files: &Files,
    socket: &UdpSocket,
    remote: Option<SocketAddr>,
) -> Keys {
    let mut peer = Peer::with(role, config);
    peer.session.start(Instant::now());
    run(peer, files, socket, remote)
}

/// Drives a session of ours, as a server that asks for a cookie, until it has keys.
fn handshake_after_cookie(config: ContextConfig, files: &Files, socket: &UdpSocket) -> Keys {
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let mut peer = Peer::with(Role::Server, config);
    let mut buffer = [0; 2048];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).expect("a ClientHello");
        let hello = ClientHello::parse(&buffer[..len]).expect("a ClientHello");
        if peer.context.has_our_cookie(&hello, from) {
            peer.session.start_after_cookie(Instant::now());
            peer.session.handle_datagram(Instant::now(), &buffer[..len]);
            return run(peer, files, socket, Some(from));
        }
        let request = peer.context.hello_verify_request(&hello, from).expect("a request");
        socket.send_to(&request, from).expect("loopback");
    }
}

fn run(mut peer: Peer, files: &Files, socket: &UdpSocket, mut remote: Option<SocketAddr>) -> Keys {
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    let certificate = Certificate::from_pem_files(&files.certificate, Some(&files.key)).expect("what openssl wrote");
    let fingerprint = certificate.fingerprint(HashFunction::Sha256);
    peer.session.set_remote_fingerprint(HashFunction::Sha256, fingerprint).expect("a fingerprint");
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut buffer = [0; 2048];
    while Instant::now() < deadline {
        for datagram in peer.drain() {
            let _ = socket.send_to(&datagram, remote.expect("it spoke first"));
        }
        if let Some(keys) = peer.keys.take() {
            return keys;
        }
        assert_eq!(peer.failure, None);
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            remote.get_or_insert(from);
            peer.session.handle_datagram(Instant::now(), &buffer[..len]);
        }
        peer.session.handle_timeout(Instant::now());
    }
    panic!("no keys, {}", peer.session.progress());
}

/// A certificate and a key that the command made.
struct Files {
    directory: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn make(kind: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("dtls-srtp-{}-{kind}-{}", std::process::id(), free_port()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let files = Self { certificate: directory.join("certificate.pem"), key: directory.join("key.pem"), directory };
        let new_key: &[&str] = match kind {
            "ec" => &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
            _ => &["-newkey", "rsa:2048"],
        };
        let status = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=test", "-out"])
            .arg(&files.certificate)
            .arg("-keyout")
            .arg(&files.key)
            .args(new_key)
            .stderr(Stdio::null())
            .status()
            .expect("Debian's package openssl");
        assert!(status.success(), "openssl req: {status}");
        files
    }

    fn command(&self, name: &str) -> Command {
        self.command_of(name, &["-dtls1_2"])
    }

    /// A phone of the time before DTLS 1.2.
    fn old_command(&self, name: &str, cipher: &str) -> Command {
        self.command_of(name, &["-dtls1", "-cipher", &format!("{cipher}:@SECLEVEL=0")])
    }

    fn command_of(&self, name: &str, version: &[&str]) -> Command {
        let mut command = Command::new("openssl");
        command.arg(name).args(version).args(["-use_srtp", "SRTP_AES128_CM_SHA1_80"]);
        command.args(["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "60"]);
        command.arg("-cert").arg(&self.certificate).arg("-key").arg(&self.key);
        command
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A running `openssl`, ended on drop.
struct OpenSsl {
    child: Child,
    material: Receiver<String>,
}

impl OpenSsl {
    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl, which made the certificate");
        let stdout = child.stdout.take().expect("piped");
        let (sender, material) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some((_, material)) = line.split_once("Keying material: ") {
                    let _ = sender.send(material.to_lowercase());
                }
            }
        });
        Self { child, material }
    }

    fn keying_material(&self) -> String {
        self.material.recv_timeout(Duration::from_secs(10)).expect("what the exporter prints")
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bind(port: u16) -> UdpSocket {
    UdpSocket::bind(("127.0.0.1", port)).expect("a socket on the loopback interface")
}

fn free_port() -> u16 {
    bind(0).local_addr().expect("an address").port()
}

fn hex(parts: &[&[u8]]) -> String {
    parts.concat().iter().map(|byte| format!("{byte:02x}")).collect()
}
