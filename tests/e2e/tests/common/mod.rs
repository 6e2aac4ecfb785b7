//! An Asterisk with `/ws`, and a client that can behave as strangely as a test needs.
#![allow(dead_code, reason = "no test uses all of it")]

pub mod stream;

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use e2e::asterisk::{Asterisk, Home};
use e2e::driver::Driver;
use e2e::failure::{Failure, Result, ensure};
use e2e::lab;
use e2e::ports::Ports;
use e2e::prefix::Prefix;
use e2e::process::{self, Footprint};

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The `res_http_websocket` to be tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Ours,
    Original,
}

/// A running Asterisk: HTTP, the WebSocket module, and SIP with the peers `p0` to `p299`, which need no password.
#[derive(Debug)]
pub struct Pbx {
    pub asterisk: Asterisk,
    pub ports: Ports,
    pub driver: Driver,
}

impl Pbx {
    pub fn start(name: &str, whose: Whose, websocket_conf: &str) -> Result<Self> {
        Self::start_with(name, whose, websocket_conf, "")
    }

    /// Starts one whose WebSockets also serve ARI.
    pub fn start_with_ari(name: &str, whose: Whose) -> Result<Self> {
        Self::start_home(name, whose, |home| {
            home.configure("ari.conf", ARI_CONF)?;
            load_also(home, ARI_MODULES)
        })
    }

    /// Starts one with the modules that a call of chan_sip needs.
    pub fn start_with_calls(name: &str) -> Result<Self> {
        Self::start_home(name, Whose::Ours, |home| load_also(home, CALL_MODULES))
    }

    /// Starts one whose calls do ICE, with this `rtp.conf`. Only `chan_sip`.
    pub fn start_with_ice(name: &str, whose: Whose, rtp_conf: &str) -> Result<Self> {
        Self::start_home(name, whose, |home| {
            home.configure("rtp.conf", rtp_conf)?;
            let accounts = fs::read_to_string(home.etc().join("sip.conf"))?;
            home.configure("sip.conf", &accounts.replace("type = friend\n", "type = friend\nicesupport = yes\n"))?;
            load_also(home, CALL_MODULES)
        })
    }

    /// Starts one with the modules that a call of chan_sip needs, and another dialplan.
    pub fn start_with_dialplan(name: &str, extensions: &str) -> Result<Self> {
        Self::start_home(name, Whose::Ours, |home| {
            home.configure("extensions.conf", extensions)?;
            load_also(home, CALL_MODULES)
        })
    }

    /// Starts one with more lines in `asterisk.conf`.
    pub fn start_with(name: &str, whose: Whose, websocket_conf: &str, asterisk_conf: &str) -> Result<Self> {
        Self::start_home(name, whose, |home| {
            home.configure("websocket.conf", websocket_conf)?;
            let directories = fs::read_to_string(home.etc().join("asterisk.conf"))?;
            home.configure("asterisk.conf", &format!("{directories}{asterisk_conf}"))
        })
    }

    /// Starts one; `more` may change the configuration.
    fn start_home(name: &str, whose: Whose, more: impl FnOnce(&Home) -> io::Result<()>) -> Result<Self> {
        let prefix = Prefix::from_env().ok_or_else(|| Failure::new("ASTERISK_PREFIX names no Asterisk"))??;
        let (home, ports) = (lab::home(&prefix, name)?, Ports::claim()?);
        let modules = std::env::var_os("MODULES_DIR").map(PathBuf::from);
        let modules = modules.filter(|_| whose == Whose::Ours);
        ensure(whose == Whose::Original || modules.is_some(), || "MODULES_DIR names no modules".to_owned())?;
        home.link_modules(&prefix, modules.as_deref().unwrap_or(prefix.modules()))?;
        home.make_certificate()?;
        let keys = home.etc().join("keys");
        let keys = keys.display();
        home.configure(
            "http.conf",
            &format!(
                "[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {}\nsessionlimit = 30000\n\
                 tlsenable = yes\ntlsbindaddr = 127.0.0.1:{}\ntlscertfile = {keys}/asterisk.pem\n\
                 tlsprivatekey = {keys}/asterisk.key\n",
                ports.ws, ports.wss
            ),
        )?;
        let driver = Driver::of(prefix.version());
        home.configure(driver.configuration(), &peers(driver, ports.sip))?;
        home.configure("extensions.conf", "[default]\nexten => 600,1,Answer()\n")?;
        let modules = load_lines(&["res_http_websocket.so", "pbx_config.so"]) + &load_lines(sip_modules(driver));
        home.configure("modules.conf", &format!("[modules]\nautoload = no\n{modules}"))?;
        more(&home)?;
        Ok(Self { asterisk: Asterisk::start(&prefix, home)?, ports, driver })
    }

    /// The processor time in seconds that its threads have used.
    pub fn cpu(&self) -> Result<f64> {
        Ok(process::cpu(self.asterisk.pid())?.as_secs_f64())
    }

    pub fn footprint(&self) -> Result<Footprint> {
        Footprint::of(self.asterisk.pid())
    }

    /// Waits until its footprint is as expected.
    pub fn until(&self, patience: Duration, holds: impl Fn(Footprint) -> bool) -> Result<Footprint> {
        let end = std::time::Instant::now() + patience;
        loop {
            let footprint = self.footprint()?;
            if holds(footprint) || std::time::Instant::now() > end {
                return Ok(footprint);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn connect(&self, protocol: &str) -> Result<Client> {
        Client::connect(self.ports.ws, protocol, "")
    }
}

/// Adds those of `modules` to `modules.conf` that the host has.
fn load_also(home: &Home, modules: &[&'static str]) -> io::Result<()> {
    let lines = fs::read_to_string(home.etc().join("modules.conf"))?;
    let here = home.root().join("modules");
    let more: Vec<_> = modules.iter().copied().filter(|module| here.join(module).exists()).collect();
    home.configure("modules.conf", &(lines + &load_lines(&more)))
}

fn load_lines(modules: &[&str]) -> String {
    modules.iter().map(|module| format!("load = {module}\n")).collect()
}

/// The modules for SIP on `/ws`.
fn sip_modules(driver: Driver) -> &'static [&'static str] {
    match driver {
        Driver::ChanSip => &["chan_sip.so"],
        Driver::ChanPjsip => &[
            "res_sorcery_config.so",
            "res_sorcery_memory.so",
            "res_sorcery_astdb.so",
            "res_pjproject.so",
            "res_pjsip.so",
            "res_pjsip_authenticator_digest.so",
            "res_pjsip_endpoint_identifier_user.so",
            "res_pjsip_endpoint_identifier_anonymous.so",
            "res_pjsip_registrar.so",
            "res_pjsip_transport_websocket.so",
        ],
    }
}

/// The accounts `p0` to `p299`; others may send OPTIONS.
fn peers(driver: Driver, sip: u16) -> String {
    let all = |one: fn(usize) -> String| (0..300).map(one).collect::<String>();
    match driver {
        Driver::ChanSip => format!(
            "[general]\ncontext = default\nudpbindaddr = 127.0.0.1:{sip}\nallowguest = yes\n\
             [peer](!)\ntype = friend\nhost = dynamic\ntransport = ws,wss,udp\nnat = force_rport,comedia\n{}",
            all(|number| format!("[p{number}](peer)\n{}", if number == 7 { QUALIFIED } else { "" }))
        ),
        Driver::ChanPjsip => format!(
            "[udp]\ntype = transport\nprotocol = udp\nbind = 127.0.0.1:{sip}\n\
             [ws]\ntype = transport\nprotocol = ws\nbind = 0.0.0.0\n\
             [wss]\ntype = transport\nprotocol = wss\nbind = 0.0.0.0\n\
             [anonymous]\ntype = endpoint\ncontext = default\n\
             [peer](!)\ntype = endpoint\ncontext = default\nforce_rport = yes\nrewrite_contact = yes\n\
             [home](!)\ntype = aor\nmax_contacts = 1\nremove_existing = yes\n{}",
            all(|number| format!("[p{number}](peer)\naors = p{number}\n[p{number}](home)\n"))
        ),
    }
}

/// Makes the host send OPTIONS to `p7` when it registers and repeatedly after that.
const QUALIFIED: &str = "qualify = yes\nqualifyfreq = 6\n";

/// The modules of Asterisk's REST Interface with events on a WebSocket. Earlier hosts lack the client.
const ARI_MODULES: &[&str] = &[
    "res_stasis.so",
    "app_stasis.so",
    "res_websocket_client.so",
    "res_ari.so",
    "res_ari_model.so",
    "res_ari_events.so",
];

const CALL_MODULES: &[&str] = &["res_rtp_asterisk.so", "codec_ulaw.so", "app_dial.so", "app_verbose.so"];

const ARI_CONF: &str = "[general]\nenabled = yes\n[watcher]\ntype = user\npassword = secret\n";

/// A client after its handshake.
pub struct Client {
    pub socket: TcpStream,
    /// The received bytes that are not yet parsed.
    received: Vec<u8>,
}

impl Client {
    /// Connects with a handshake; `more` are further headers, each with its line end.
    pub fn connect(port: u16, protocol: &str, more: &str) -> Result<Self> {
        let (client, answer) = Self::ask(port, protocol, more)?;
        ensure(answer.starts_with("HTTP/1.1 101 "), || format!("no WebSocket: {answer}"))?;
        client.socket.set_nodelay(true)?;
        client.socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(client)
    }

    /// Connects with a handshake and accepts any response.
    pub fn ask(port: u16, protocol: &str, more: &str) -> Result<(Self, String)> {
        Self::send_request(port, &handshake(protocol, more))
    }

    /// The response to any request.
    pub fn send_request(port: u16, request: &str) -> Result<(Self, String)> {
        let mut client = Self { socket: TcpStream::connect(("127.0.0.1", port))?, received: Vec::new() };
        client.socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        client.socket.write_all(request.as_bytes())?;
        let answer = client.head()?;
        Ok((client, answer))
    }

    /// Whether the server has closed the connection without sending anything else.
    pub fn is_at_the_end(&mut self) -> Result<bool> {
        let is_over = match self.fill() {
            // Some hosts do this if the body of a request was not read.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => true,
            len => len? == 0,
        };
        Ok(is_over && self.received.is_empty())
    }

    fn head(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                return Ok(String::from_utf8_lossy(&self.received.drain(..end + 4).collect::<Vec<_>>()).into_owned());
            }
            if self.fill()? == 0 {
                return Ok(String::from_utf8_lossy(&std::mem::take(&mut self.received)).into_owned());
            }
        }
    }

    pub fn send(&mut self, opcode: u8, payload: &[u8]) -> Result {
        Ok(self.socket.write_all(&frame(opcode, payload))?)
    }

    /// Reads the next frame: opcode and payload.
    pub fn receive(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            if let Some((opcode, payload, len)) = parse(&self.received) {
                let payload = payload.to_vec();
                self.received.drain(..len);
                return Ok((opcode, payload));
            }
            if self.fill()? == 0 {
                return Err(Failure::new("the server hung up"));
            }
        }
    }

    /// Reads the next message, and answers PINGs.
    pub fn message(&mut self) -> Result<Vec<u8>> {
        loop {
            match self.receive()? {
                (PING, payload) => self.send(PONG, &payload)?,
                (_, payload) => return Ok(payload),
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let len = self.socket.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..len]);
        Ok(len)
    }
}

pub fn handshake(protocol: &str, more: &str) -> String {
    upgrade("/ws", &format!("Sec-WebSocket-Protocol: {protocol}\r\n{more}"))
}

/// The handshake of a client that requests no subprotocol unless `more` does.
pub fn upgrade(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// Makes one masked frame.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Opcode, payload and length of the frame at the start of `bytes`.
pub fn parse(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (start, len) = match second {
        126 => (4, u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?).into()),
        127 => (10, usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?),
        short => (2, usize::from(short)),
    };
    Some((first & 0xf, bytes.get(start..start + len)?, start + len))
}

/// Makes a SIP request that is answered at once.
pub fn sip(method: &str, user: &str, number: usize, transport: &str) -> String {
    let branch = format!("z9hG4bK{user}{number}");
    let contact = format!("<sip:{user}@192.0.2.1:4711;transport={}>", transport.to_lowercase());
    format!(
        "{method} sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 192.0.2.1:4711;branch={branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{user}@127.0.0.1>;tag={user}{number}\r\nTo: <sip:{user}@127.0.0.1>\r\n\
         Call-ID: {user}-{number}\r\nCSeq: {number} {method}\r\nContact: {contact}\r\nExpires: 300\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// The value at this share (0 to 1) of a sorted list; zero if the list is empty.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let index = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}
