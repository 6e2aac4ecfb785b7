//! coturn, the STUN and TURN server of the laboratory.

use std::fs::{self, File};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Namespace;
use crate::asterisk::Home;
use crate::failure::{Result, ensure};

/// A running coturn, ended on drop. It answers STUN to everybody, and TURN over UDP, TCP and TLS to those with a password.
#[derive(Debug)]
pub struct Coturn(Child);

/// Its user, with [`PASSWORD`].
pub const USER: &str = "lab";

/// The password of [`USER`].
pub const PASSWORD: &str = "s3cret";

/// The port of STUN and TURN over UDP and TCP.
pub const PORT: u16 = 3478;

/// The port of TURN over TLS.
pub const TLS_PORT: u16 = 5349;

impl Coturn {
    /// Starts it in `namespace` at `addresses`, with the certificate of `home`, which its log is in too.
    pub fn start(namespace: &Namespace, addresses: &[IpAddr], home: &Home) -> Result<Self> {
        let user = format!("{USER}:{PASSWORD}");
        Self::start_with(namespace, addresses, home, &["--lt-cred-mech", "--user", &user])
    }

    /// Starts it for users whose passwords are made from their names with this secret, as `contrib/coturn` says.
    pub fn start_with_secret(namespace: &Namespace, addresses: &[IpAddr], home: &Home, secret: &str) -> Result<Self> {
        Self::start_with(namespace, addresses, home, &["--use-auth-secret", "--static-auth-secret", secret])
    }

    fn start_with(namespace: &Namespace, addresses: &[IpAddr], home: &Home, users: &[&str]) -> Result<Self> {
        let (keys, directory) = (home.etc().join("keys"), home.root().join("log"));
        let mut server = Command::new("turnserver");
        server.args(["-n", "--no-cli", "--fingerprint", "--realm", "lab", "--verbose"]).args(users);
        for address in addresses {
            server.arg("--listening-ip").arg(address.to_string());
        }
        server.args(["--listening-port", &PORT.to_string(), "--tls-listening-port", &TLS_PORT.to_string()]);
        server.arg("--cert").arg(keys.join("asterisk.pem")).arg("--pkey").arg(keys.join("asterisk.key"));
        server.arg("--userdb").arg(directory.join("coturn.sqlite"));
        server.arg("--pidfile").arg(directory.join("coturn.pid")).args(["--log-file", "stdout"]);
        let log = log(home);
        let output = File::create(&log)?;
        let mut server = namespace.enter(&server);
        let server = server.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?;
        let mut server = Self(server);
        server.wait_until_it_listens(&log, addresses)?;
        Ok(server)
    }

    fn wait_until_it_listens(&mut self, log: &Path, addresses: &[IpAddr]) -> Result {
        let end = Instant::now() + START;
        let listens = |text: &str, address: &IpAddr| {
            // It prints an address of IPv6 without brackets.
            text.contains(&format!("TLS/TCP listener opened on : {address}:{TLS_PORT}"))
                || text.contains(&format!("TLS/TCP listener opened on : [{address}]:{TLS_PORT}"))
        };
        loop {
            let text = fs::read_to_string(log)?;
            if addresses.iter().all(|address| listens(&text, address)) {
                return Ok(());
            }
            let runs = matches!(self.0.try_wait(), Ok(None));
            ensure(runs && Instant::now() < end, || format!("coturn does not listen: {}", log.display()))?;
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The file of its log.
pub fn log(home: &Home) -> PathBuf {
    home.root().join("log/coturn.log")
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The longest time to wait for its start.
const START: Duration = Duration::from_secs(20);
