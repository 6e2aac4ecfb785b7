//! The configuration of an Asterisk under test: accounts for browsers and plain phones, and a dialplan that
//! answers back.
//!
//! Hosts differ in their SIP channel driver and in its configuration: see [`Driver`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::asterisk::Home;
use crate::differential::setting;
use crate::driver::Driver;
use crate::manager;
use crate::ports::Ports;
use crate::samples::Samples;
use crate::tone::{Audio, RATE};

mod chan_pjsip;
mod chan_sip;
mod fleet;

/// The frequency of the tone that Asterisk plays at the start of a call to `echo`.
pub const ANNOUNCEMENT: f64 = 600.0;

/// The frequency of the music on hold, which `music` plays as well.
pub const MUSIC: f64 = 440.0;

/// The frequency of the tone that a browser sends.
pub const VOICE: f64 = 1000.0;

/// The changes of a test to the default configuration.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Turns off rtcp-mux for the accounts of browsers and in `rtp.conf` (which only our modules read).
    pub without_rtcp_mux: bool,
    /// Turns on video for the accounts of browsers: H.264 with `chan_sip`, VP8 with `chan_pjsip`.
    pub video: bool,
    /// Makes all accounts prefer Opus, which the host passes on without transcoding.
    pub opus: bool,
    /// Makes accounts of browsers prefer Opus and VP8 under the names of formats that `chan_sip` of Asterisk 11 knows.
    pub carriers: bool,
    /// Turns on ARI for `user:secret`.
    pub ari: bool,
    /// The wildcard address that SIP, media and the HTTP server listen on. Otherwise SIP and media listen on all of IPv4, and the
    /// HTTP server on the loopback interface.
    pub listens: Option<IpAddr>,
    /// Makes accounts for text phones (T.140), 2003 and 2004. Only `chan_sip`.
    pub text: bool,
    /// More lines for `[general]` of `rtp.conf`.
    pub rtp: String,
    /// Lines for `[general]` of `websocket.conf`.
    pub websocket: String,
    /// Another certificate for browsers' DTLS.
    pub certificate: Option<PathBuf>,
    /// Another key for browsers' DTLS.
    pub key: Option<PathBuf>,
    /// Names no certificate for browsers' DTLS: our modules make one, which is an elliptic-curve one.
    pub without_certificate: bool,
    /// The protection of the plain phone's account. Only `chan_sip`.
    pub plain: Protection,
    /// The SIP port of this Asterisk and that of its plain phone, instead of those of its ports: for an Asterisk that is the
    /// plain phone of another one.
    pub as_phone: Option<(u16, u16)>,
    /// Makes the plain phone's account use the profile with feedback (RFC 4585). Only `chan_sip`.
    pub plain_has_feedback: bool,
    /// The blocks of ports that are needed, if more than one: a block has ports for some ninety streams.
    pub port_blocks: u16,
    /// Files in place of those that are written otherwise. Ports have the names of [`crate::differential::setting::with_ports`].
    pub files: Vec<(&'static str, String)>,
    /// Changes a file that has been written: its name and its text.
    pub edits: Vec<(&'static str, Edit)>,
    /// Makes this Asterisk a node behind the Kamailio at this UDP port of the loopback interface: it knows no accounts of browsers,
    /// and calls them through Kamailio.
    pub kamailio: Option<u16>,
    /// Replaces the whole configuration by samples of `contrib/`, with other ports.
    pub samples: Option<Samples>,
}

/// Changes the text of a file.
pub type Edit = fn(&str) -> String;

/// The protection of a phone's media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// RTP.
    #[default]
    None,
    /// SRTP with keys in the description (RFC 4568).
    Sdes,
    /// SRTP with keys in the description, over ICE.
    SdesOverIce,
    /// SRTP with keys of DTLS (RFC 5764).
    Dtls,
    /// SRTP with keys of DTLS, over ICE.
    DtlsOverIce,
}

impl Protection {
    /// Whether keys come by DTLS.
    pub fn is_dtls(self) -> bool {
        matches!(self, Self::Dtls | Self::DtlsOverIce)
    }

    /// Whether media goes over pairs that ICE has checked.
    pub fn has_ice(self) -> bool {
        matches!(self, Self::SdesOverIce | Self::DtlsOverIce)
    }
}

impl Site {
    /// The usual site with an edit of one file.
    pub fn edited(file: &'static str, edit: Edit) -> Self {
        Self { edits: vec![(file, edit)], ..Self::default() }
    }

    /// Writes the configuration into `home`, for a host with this driver.
    pub fn write(&self, driver: Driver, home: &Home, ports: &Ports) -> io::Result<()> {
        if let Some(samples) = &self.samples {
            let (start, end) = (ports.rtp.start(), ports.rtp.end());
            home.configure("rtp.conf", &format!("[general]\nrtpstart = {start}\nrtpend = {end}\n"))?;
            samples.copy(home, |text| with_ports(&text, ports))?;
            return self.kamailio.map_or(Ok(()), |kamailio| fleet::put_behind(kamailio, driver, home, ports));
        }
        home.make_certificate()?;
        home.configure("modules.conf", &self.modules_conf(driver))?;
        home.configure("ari.conf", "[general]\nenabled = yes\n[user]\ntype = user\npassword = secret\n")?;
        home.configure("http.conf", &http_conf(self, home, ports))?;
        home.configure("rtp.conf", &self.rtp_conf(ports))?;
        home.configure("websocket.conf", &self.websocket_conf())?;
        home.configure(driver.configuration(), &self.accounts(driver, home, ports))?;
        home.configure("extensions.conf", &extensions_conf(home, self.kamailio.is_some()))?;
        std::fs::write(script(home), "#!/bin/sh\nexec sleep 300\n")?;
        std::fs::set_permissions(script(home), std::fs::Permissions::from_mode(0o755))?;
        home.configure("features.conf", "[general]\n")?;
        home.configure("manager.conf", &manager_conf(ports))?;
        home.configure("musiconhold.conf", &format!("[default]\nmode = files\ndirectory = {}\n", moh(home)))?;
        std::fs::create_dir_all(moh(home))?;
        Audio::tone(MUSIC, Duration::from_secs(10)).write_wav(&home.root().join("data/moh/tone.wav"))?;
        Audio::tone(ANNOUNCEMENT, Duration::from_secs(4)).write_wav(&home.root().join("data/announcement.wav"))?;
        Audio::tone(MUSIC, Duration::from_secs(60)).write_wav(&home.root().join("data/music.wav"))?;
        Audio::of(vec![0; 60 * RATE as usize]).write_wav(&home.root().join("data/silence.wav"))?;
        let mut files = self.files.iter();
        files.try_for_each(|(file, text)| home.configure(file, &setting::with_ports(text, ports)))?;
        self.edits.iter().try_for_each(|(file, edit)| {
            let text = std::fs::read_to_string(home.etc().join(file))?;
            home.configure(file, &edit(&text))
        })
    }

    /// The value of `allow` for an account.
    fn codecs(&self) -> &'static str {
        if self.opus { "opus,ulaw,alaw" } else { "ulaw,alaw" }
    }

    /// The configuration of the driver: browsers 1001 and 1002, and 2001, a plain phone at its own address.
    fn accounts(&self, driver: Driver, home: &Home, ports: &Ports) -> String {
        if let Some(kamailio) = self.kamailio {
            return fleet::accounts(driver, ports, kamailio).replace("from-sip", "calls");
        }
        let keys = home.etc().join("keys");
        let certificate = self.certificate.clone().unwrap_or_else(|| keys.join("asterisk.pem"));
        let key = self.key.clone().unwrap_or_else(|| keys.join("asterisk.key"));
        match driver {
            Driver::ChanSip => chan_sip::accounts(self, ports, &certificate, &key),
            Driver::ChanPjsip => chan_pjsip::accounts(self, ports, &certificate, &key),
        }
    }

    fn modules_conf(&self, driver: Driver) -> String {
        let left_out = driver.left_out().iter().filter(|module| !self.ari || !ARI.contains(module));
        let left_out: String = left_out.map(|module| format!("noload = {module}\n")).collect();
        // Our translators are for the carriers alone.
        let other = if self.carriers { "format_g719.so" } else { "codec_opus_g719.so" };
        format!("[modules]\nautoload = yes\n{left_out}noload = {other}\n")
    }

    fn websocket_conf(&self) -> String {
        let carriers = if self.carriers { "[sip]\nopus = g719\nvp8 = mpeg4\n" } else { "" };
        format!("[general]\n{}{carriers}", self.websocket)
    }

    fn rtp_conf(&self, ports: &Ports) -> String {
        let rtcpmux = if self.without_rtcp_mux { "rtcpmux = no\n" } else { "" };
        let (start, end) = (ports.rtp.start(), ports.rtp.end());
        format!("[general]\nrtpstart = {start}\nrtpend = {end}\nicesupport = yes\n{rtcpmux}{}", self.rtp)
    }
}

/// The modules of ARI on Asterisk 22.
const ARI: [&str; 2] = ["res_ari.so", "res_websocket_client.so"];

/// A sample with the ports of a lab in place of its own.
fn with_ports(sample: &str, ports: &Ports) -> String {
    let replaced =
        [("5060", ports.sip), ("8088", ports.ws), ("10000", *ports.rtp.start()), ("20000", *ports.rtp.end())];
    replaced.iter().fold(sample.to_owned(), |text, (old, new)| text.replace(old, &new.to_string()))
}

fn http_conf(site: &Site, home: &Home, ports: &Ports) -> String {
    let address = site.listens.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let tls = SocketAddr::new(address, ports.wss);
    let keys = home.etc().join("keys");
    let keys = keys.display();
    format!(
        "[general]\nenabled = yes\nbindaddr = {address}\nbindport = {}\nenablestatic = yes\ntlsenable = yes\ntlsbindaddr = {tls}\n\
         tlscertfile = {keys}/asterisk.pem\ntlsprivatekey = {keys}/asterisk.key\n",
        ports.ws
    )
}

/// `manager.conf`, for [`crate::manager::Manager`].
fn manager_conf(ports: &Ports) -> String {
    format!(
        "[general]\nenabled = yes\nbindaddr = 127.0.0.1\nport = {}\n[{}]\nsecret = {}\nread = all\n\
         write = system,reporting\n",
        ports.manager,
        manager::USER,
        manager::SECRET
    )
}

fn script(home: &Home) -> PathBuf {
    home.root().join("data/sleeper")
}

fn moh(home: &Home) -> String {
    home.root().join("data/moh").display().to_string()
}

/// The dialplan. It records calls, with received audio in a separate file, and calls an account through the
/// driver of the caller.
fn extensions_conf(home: &Home, is_behind_kamailio: bool) -> String {
    let by_way_of = if is_behind_kamailio { "@kamailio" } else { "" };
    let announcement = home.root().join("data/announcement");
    let announcement = announcement.display();
    let music = home.root().join("data/music");
    let music = music.display();
    let silence = home.root().join("data/silence");
    let silence = silence.display();
    let script = script(home);
    let script = script.display();
    format!(
        "[calls]\n\
         exten => echo,1,Answer()\n\
         \x20same => n,MixMonitor(${{UNIQUEID}}.wav,r(${{UNIQUEID}}-in.wav))\n\
         \x20same => n,Playback({announcement})\n\
         \x20same => n,Echo()\n\
         \n; video, which is neither recorded nor announced\n\
         exten => mirror,1,Answer()\n\
         \x20same => n,Echo()\n\
         \n; reads no media for a minute, like a dialplan that waits for a database or an AGI script\n\
         exten => deaf,1,Answer()\n\
         \x20same => n,System(sleep ${{IF($[\"${{DEAF}}\" = \"\"]?60:${{DEAF}})}})\n\
         \x20same => n,Goto(echo,2)\n\
         \n; an AGI script that asks nothing of Asterisk\n\
         exten => script,1,Answer()\n\
         \x20same => n,AGI({script})\n\
         \n; text from the dialplan\n\
         exten => says,1,Answer()\n\
         \x20same => n,Wait(1)\n\
         \x20same => n,SendText(Olá, mundo €)\n\
         \x20same => n,SendText(!)\n\
         \x20same => n,Hangup()\n\
         \nexten => ringing,1,Ringing()\n\
         \x20same => n,Wait(40)\n\
         \x20same => n,Goto(echo,1)\n\
         \nexten => digits,1,Answer()\n\
         \x20same => n,Read(DIGITS,,6,,1,20)\n\
         \x20same => n,Verbose(1,digits read: ${{DIGITS}}.)\n\
         \x20same => n,Goto(echo,2)\n\
         \n; the same with audio, from which a plain phone learns where its packets go\n\
         exten => menu,1,Answer()\n\
         \x20same => n,Read(DIGITS,{announcement},6,,1,20)\n\
         \x20same => n,Goto(digits,3)\n\
         \n; a conference, and the same in A-law\n\
         exten => conference,1,Answer()\n\
         \x20same => n,ConfBridge(1)\n\
         exten => conference-alaw,1,Set(SIP_CODEC_INBOUND=alaw)\n\
         \x20same => n,Goto(conference,1)\n\
         \nexten => presses,1,Answer()\n\
         \x20same => n,Wait(1)\n\
         \x20same => n,SendDTMF(59,250,200)\n\
         \x20same => n,Wait(3600)\n\
         \n; one long digit\n\
         exten => presses-long,1,Answer()\n\
         \x20same => n,Wait(1)\n\
         \x20same => n,SendDTMF(5,200,6000)\n\
         \x20same => n,Goto(echo,2)\n\
         \nexten => goodbye,1,Answer()\n\
         \x20same => n,Wait(3)\n\
         \x20same => n,Hangup()\n\
         \n; a tone that does not end, from a file: the music on hold of 11.0.0 plays only while packets come in\n\
         exten => music,1,Answer()\n\
         \x20same => n,MixMonitor(${{UNIQUEID}}.wav,r(${{UNIQUEID}}-in.wav))\n\
         \x20same => n(again),Playback({music})\n\
         \x20same => n,Goto(again)\n\
         \nexten => record,1,Answer()\n\
         \x20same => n,MixMonitor(${{UNIQUEID}}.wav,r(${{UNIQUEID}}-in.wav))\n\
         \x20same => n,Wait(3600)\n\
         \n; mute sends no media, falters stops after the announcement, hush sends silence, busy rejects\n\
         exten => mute,1,Answer()\n\
         \x20same => n,Wait(60)\n\
         exten => falters,1,Answer()\n\
         \x20same => n,Playback({announcement})\n\
         \x20same => n,Wait(60)\n\
         \nexten => hush,1,Answer()\n\
         \x20same => n,Playback({silence})\n\
         \nexten => busy,1,Hangup(17)\n\
         \nexten => _[12]XXX,1,Dial(${{CHANNEL(channeltype)}}/${{EXTEN}}{by_way_of},60)\n"
    )
}
