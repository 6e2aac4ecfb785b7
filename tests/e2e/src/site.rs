//! The configuration of an Asterisk under test: accounts for browsers and plain phones, and a dialplan that answers back.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use crate::asterisk::Home;
use crate::tone::Audio;

/// What Asterisk plays at the start of a call to `echo`.
pub const ANNOUNCEMENT: f64 = 600.0;

/// What a browser sends.
pub const VOICE: f64 = 1000.0;

/// The ports of one Asterisk.
#[derive(Clone, Debug)]
pub struct Ports {
    /// SIP over UDP.
    pub sip: u16,
    /// WebSocket.
    pub ws: u16,
    /// WebSocket over TLS.
    pub wss: u16,
    /// The lowest of the ports for RTP.
    pub rtp: u16,
    /// Where the plain phone's SIP is.
    pub plain: u16,
}

impl Ports {
    /// Ports that are free now.
    pub fn free() -> io::Result<Self> {
        let udp = || Ok::<_, io::Error>(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port());
        // Held until all are known, so that they differ.
        let (ws, wss) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
        let (ws, wss) = (ws.local_addr()?.port(), wss.local_addr()?.port());
        let rtp = 10_000 + (std::process::id() % 100) as u16 * 200;
        Ok(Self { sip: udp()?, ws, wss, rtp, plain: udp()? })
    }
}

/// What a test may want different from a plain installation.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// `rtcpmux` of `rtp.conf`, which the original module ignores.
    pub rtcpmux: Option<&'static str>,
    /// More lines for `[general]` of `rtp.conf`.
    pub rtp: String,
    /// More lines for the browsers' template in `sip.conf`.
    pub browser: String,
    /// More lines for `[general]` of `sip.conf`.
    pub sip: String,
    /// More lines for `modules.conf`.
    pub modules: String,
}

impl Site {
    /// Writes all of it into `home`.
    pub fn write(&self, home: &Home, ports: &Ports) -> io::Result<()> {
        home.make_certificate()?;
        home.configure("modules.conf", &format!("[modules]\nautoload = yes\n{}", self.modules))?;
        home.configure("http.conf", &http_conf(home, ports))?;
        home.configure("rtp.conf", &self.rtp_conf(ports))?;
        home.configure("sip.conf", &self.sip_conf(home, ports))?;
        home.configure("extensions.conf", &extensions_conf(home))?;
        home.configure("features.conf", "[general]\n")?;
        home.configure("musiconhold.conf", &format!("[default]\nmode = files\ndirectory = {}\n", moh(home)))?;
        std::fs::create_dir_all(moh(home))?;
        Audio::tone(440.0, Duration::from_secs(10)).write_wav(&home.root().join("data/moh/tone.wav"))?;
        Audio::tone(ANNOUNCEMENT, Duration::from_secs(4)).write_wav(&home.root().join("data/announcement.wav"))
    }

    fn rtp_conf(&self, ports: &Ports) -> String {
        let rtcpmux = self.rtcpmux.map(|value| format!("rtcpmux = {value}\n")).unwrap_or_default();
        let (start, end) = (ports.rtp, ports.rtp + 199);
        format!("[general]\nrtpstart = {start}\nrtpend = {end}\nicesupport = yes\n{rtcpmux}{}", self.rtp)
    }

    /// Bound to the wildcard as most are: Firefox pairs no address of its own with one on loopback.
    fn sip_conf(&self, home: &Home, ports: &Ports) -> String {
        let keys = home.etc().join("keys");
        let keys = keys.display();
        format!(
            "[general]\ncontext = calls\nudpbindaddr = 0.0.0.0:{sip}\nallowguest = no\nrealm = localhost\n\
             nat = force_rport,comedia\n{general}\n\
             [browser](!)\ntype = friend\nhost = dynamic\ntransport = ws,wss\nencryption = yes\navpf = yes\n\
             icesupport = yes\ndtlsenable = yes\ndtlsverify = fingerprint\ndtlscertfile = {keys}/asterisk.pem\n\
             dtlsprivatekey = {keys}/asterisk.key\ndtlssetup = actpass\ndisallow = all\nallow = ulaw,alaw\n{browser}\n\
             [1001](browser)\nsecret = secret-1001\n[1002](browser)\nsecret = secret-1002\n\
             [2001]\ntype = friend\nhost = 127.0.0.1\nport = {plain}\ninsecure = invite,port\ndisallow = all\n\
             allow = ulaw,alaw\n",
            sip = ports.sip,
            plain = ports.plain,
            general = self.sip,
            browser = self.browser,
        )
    }
}

fn http_conf(home: &Home, ports: &Ports) -> String {
    let keys = home.etc().join("keys");
    let keys = keys.display();
    format!(
        "[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {}\ntlsenable = yes\ntlsbindaddr = 127.0.0.1:{}\n\
         tlscertfile = {keys}/asterisk.pem\ntlsprivatekey = {keys}/asterisk.key\n",
        ports.ws, ports.wss
    )
}

fn moh(home: &Home) -> String {
    home.root().join("data/moh").display().to_string()
}

/// Every call is recorded, what came in apart from what went out (`Monitor` writes `…-in.wav` and `…-out.wav`).
fn extensions_conf(home: &Home) -> String {
    let announcement = home.root().join("data/announcement");
    let announcement = announcement.display();
    format!(
        "[calls]\n\
         exten => echo,1,Answer()\n\
         \x20same => n,Monitor(wav,${{UNIQUEID}})\n\
         \x20same => n,Playback({announcement})\n\
         \x20same => n,Echo()\n\
         \n; reads nothing for a minute: a database that hangs, an AGI script\n\
         exten => deaf,1,Answer()\n\
         \x20same => n,System(sleep ${{IF($[\"${{DEAF}}\" = \"\"]?60:${{DEAF}})}})\n\
         \x20same => n,Goto(echo,2)\n\
         \nexten => ringing,1,Ringing()\n\
         \x20same => n,Wait(40)\n\
         \x20same => n,Goto(echo,1)\n\
         \nexten => digits,1,Answer()\n\
         \x20same => n,Read(DIGITS,,6,,1,20)\n\
         \x20same => n,Verbose(1,digits read: ${{DIGITS}}.)\n\
         \x20same => n,Goto(echo,2)\n\
         \nexten => goodbye,1,Answer()\n\
         \x20same => n,Wait(3)\n\
         \x20same => n,Hangup()\n\
         \nexten => record,1,Answer()\n\
         \x20same => n,Monitor(wav,${{UNIQUEID}})\n\
         \x20same => n,Wait(3600)\n\
         \nexten => _[12]XXX,1,Dial(SIP/${{EXTEN}},60)\n"
    )
}
