//! The Asterisk that is measured: its configuration, and what it uses of the machine.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use e2e::failure::{Failure, Result};
use e2e::lab::{self, Lab};
use e2e::process;
use e2e::site::Site;

use crate::stream::Codec;

/// A running server.
pub struct Server {
    lab: Lab,
}

/// Processor time and context switches of a process up to a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Its time of processors, all threads, ended ones too.
    pub cpu: Duration,
    /// The context switches of the threads that there are.
    pub switches: u64,
}

impl Server {
    /// Starts an Asterisk with these modules, for calls with this codec from SIP at `phones` and media at `ip`.
    pub fn start(name: &str, modules: &Path, codec: Codec, calls: usize, phones: u16, ip: Ipv4Addr) -> Result<Self> {
        Self::start_with(name, modules, codec, calls, phones, ip, String::new())
    }

    /// Like [`Self::start`], with more lines for `rtp.conf`.
    pub fn start_with(
        name: &str,
        modules: &Path,
        codec: Codec,
        calls: usize,
        phones: u16,
        ip: Ipv4Addr,
        rtp: String,
    ) -> Result<Self> {
        // A bridged call has two legs with two ports each. Those of earlier calls stay in use for a while.
        let port_blocks = (calls * 4 / 200 + 2) as u16;
        let files = vec![
            ("sip.conf", SIP_CONF.replace("{ip}", &ip.to_string()).replace("{codec}", codec.name_in_the_host())),
            ("extensions.conf", EXTENSIONS_CONF.replace("{phones}", &phones.to_string())),
            ("logger.conf", LOGGER_CONF.to_owned()),
            ("http.conf", HTTP_CONF.to_owned()),
        ];
        let site = Site { port_blocks, files, carriers: codec == Codec::Opus, rtp, ..Site::default() };
        Ok(Self { lab: Lab::with_modules(name, &site, &lab::installed()?, modules)? })
    }

    /// Its SIP port.
    pub fn port(&self) -> u16 {
        self.lab.ports().sip
    }

    /// Its WebSocket port.
    pub fn web_port(&self) -> u16 {
        self.lab.ports().ws
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.lab.asterisk().pid()
    }

    /// Its lab.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Measures the server's use of the processor so far.
    pub fn used(&self) -> Result<Used> {
        let pid = self.pid();
        Ok(Used { cpu: process::cpu(pid)?, switches: switches(pid)? })
    }

    /// Its memory in KiB: private, and its share of what is shared (proc(5), `Pss`).
    pub fn memory(&self) -> Result<u64> {
        let file = format!("/proc/{}/smaps_rollup", self.pid());
        let text = fs::read_to_string(&file)?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix("kB"));
        let kib = line.and_then(|kib| kib.trim().parse().ok());
        kib.ok_or_else(|| Failure::new(format!("{file} has no Pss")))
    }
}

/// The context switches of a process's threads (proc(5)).
fn switches(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        let Ok(status) = fs::read_to_string(thread?.path().join("status")) else { continue };
        let counts = status.lines().filter_map(|line| line.split_once("_ctxt_switches:")?.1.trim().parse::<u64>().ok());
        sum += counts.sum::<u64>();
    }
    Ok(sum)
}

/// Gives this process, and whatever it starts, precedence over the rest of a busy machine, as far as it may.
pub fn go_first() {
    // Where the kernel groups processes by their session, the group has a priority too (sched(7)).
    let _ = fs::write("/proc/self/autogroup", "-10");
    // SAFETY: no pointers are passed. Without the right to do so nothing changes.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -10) };
}

/// The processors that the calling thread, and whatever it starts, may use from now on (sched_setaffinity(2)).
pub fn use_processors(wanted: impl Fn(usize) -> bool) -> io::Result<()> {
    // SAFETY: all-zero is an empty set; the macro and the call stay within it.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        (0..libc::CPU_SETSIZE as usize)
            .filter(|number| wanted(*number))
            .for_each(|number| libc::CPU_SET(number, &mut set));
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The address of this machine towards others, because ICE leaves out those of loopback. Nothing is sent.
pub fn outside_address() -> Result<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect("192.0.2.1:9")?;
    match socket.local_addr()?.ip() {
        std::net::IpAddr::V4(ip) if !ip.is_unspecified() => Ok(ip),
        other => Err(Failure::new(format!("the machine has no address for media: {other}"))),
    }
}

/// Errors only: what is logged costs both sides the same.
const LOGGER_CONF: &str = "[general]\n[logfiles]\nfull => notice,warning,error\n";

/// WebSockets at `/ws`, as many as wanted.
const HTTP_CONF: &str = "[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {ws}\nsessionlimit = 30000\n";

/// An account for each [`crate::options::Kind`]; anybody may call.
const SIP_CONF: &str = "[general]
context = calls
udpbindaddr = 0.0.0.0:{sip}
allowguest = yes
alwaysauthreject = no
directmedia = no
nat = force_rport,comedia
media_address = {ip}
rtptimeout = 0
disallow = all
allow = {codec}

[account](!)
type = friend
host = dynamic
transport = udp,ws
insecure = invite,port

[keyed](!,account)
encryption = yes

[handshaking](!,keyed)
avpf = yes
dtlsenable = yes
dtlsverify = fingerprint
dtlssetup = actpass
dtlscertfile = etc/keys/asterisk.pem
dtlsprivatekey = etc/keys/asterisk.key

[plain](account)

[sdes](keyed)

[dtls](handshaking)
icesupport = no

[ice](handshaking)
icesupport = yes
";

/// `echo`, and `pair-LEG`, which calls that leg.
const EXTENSIONS_CONF: &str = "[calls]
exten => echo,1,Answer()
 same => n,Echo()
exten => _pair-.,1,Dial(SIP/${CUT(EXTEN,-,2)}@127.0.0.1:{phones},20)
";
