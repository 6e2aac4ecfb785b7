//! The configurations that streams run on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use super::stream::Setting;
use crate::ports::Ports;
use crate::site::Site;

impl Setting {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Plain, Self::Rich, Self::Strict, Self::Six, Self::Scarce, Self::Alone];

    /// A word for directories.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Rich => "rich",
            Self::Strict => "strict",
            Self::Six => "six",
            Self::Scarce => "scarce",
            Self::Alone => "alone",
        }
    }

    /// How many streams run at a time.
    pub fn at_a_time(self) -> usize {
        if matches!(self, Self::Alone | Self::Scarce) { 1 } else { 6 }
    }

    /// The loopback address of this setting.
    pub fn loopback(self) -> IpAddr {
        match self {
            Self::Six => Ipv6Addr::LOCALHOST.into(),
            _ => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// The configuration of an Asterisk with `ports`.
    pub fn site(self) -> Site {
        let strict = if self == Self::Strict { "yes" } else { "no" };
        let range = match self {
            Self::Scarce => "rtpstart = {rtp}\nrtpend = {few}\n".to_owned(),
            _ => format!("rtpstart = {}\nrtpend = {}\n", RANGE.start(), RANGE.end()),
        };
        let rtp = format!("[general]\n{range}icesupport = no\nstrictrtp = {strict}\nrtcpinterval = 500\n");
        let bind = if self == Self::Six { "[::]" } else { "0.0.0.0" };
        let rich = if matches!(self, Self::Rich | Self::Scarce) { "yes" } else { "no" };
        let files = vec![
            ("rtp.conf", rtp),
            ("sip.conf", SIP_CONF.replace("{bind}", bind).replace("{rich}", rich)),
            ("extensions.conf", EXTENSIONS_CONF.replace("{loopback}", &host(self.loopback()))),
        ];
        Site { files, ..Site::default() }
    }
}

/// The ports of both sides together: a host keeps those of a call for half a minute. [`Ports`] gives them to nobody.
const RANGE: RangeInclusive<u16> = 32_000..=32_767;

/// Replaces the names of ports in a configuration file.
pub fn with_ports(text: &str, ports: &Ports) -> String {
    let first = *ports.rtp.start();
    let values = [("{sip}", ports.sip), ("{ws}", ports.ws), ("{rtp}", first), ("{few}", first + 5)];
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, &value.to_string()))
}

fn host(address: IpAddr) -> String {
    let text = SocketAddr::new(address, 0).to_string();
    text.trim_end_matches(":0").to_owned()
}

/// Anybody may call. An account adds one thing to what is general.
const SIP_CONF: &str = "[general]
context = calls
udpbindaddr = {bind}:{sip}
allowguest = yes
alwaysauthreject = no
directmedia = no
nat = no
videosupport = {rich}
textsupport = {rich}
rtptimeout = 0
t1min = 100
disallow = all
allow = ulaw,alaw,gsm,g722,g726,g726aal2,g723,g729,ilbc,speex,speex16,slin,slin16,adpcm,lpc10,siren7,siren14
allow = h261,h263,h263p,h264,mpeg4,t140,red

[account](!)
type = friend
host = dynamic

[comedia](account)
nat = force_rport,comedia

[keepalive](account)
rtpkeepalive = 1

[timeouts](account)
rtptimeout = 2
rtpholdtimeout = 3

[inband](account)
dtmfmode = inband

[info](account)
dtmfmode = info

[auto](account)
dtmfmode = auto

[direct](account)
directmedia = yes

[autoframing](account)
autoframing = yes

[framed](account)
disallow = all
allow = ulaw:40
";

/// Numbers are words with a name behind them; N, X and Z would stand for digits. `trace` logs the frames that the channel reads. `late` and
/// `latest` open a pipe that nobody writes into at first: until then nobody reads the channel, not even the host's autoservice.
const EXTENSIONS_CONF: &str = "[calls]
exten => _echo-.,1,Answer()
 same => n,Echo()
exten => _trace-.,1,Answer()
 same => n,Set(FRAME_TRACE(black)=IAX)
 same => n,Echo()
exten => _late-.,1,Answer()
 same => n,Set(FRAME_TRACE(black)=IAX)
 same => n,Set(GATE=spool/${EXTEN})
 same => n,System(mkfifo ${GATE} 2> /dev/null\\; timeout 20 sh -c 'sleep 1.7\\; echo open > ${GATE}' > /dev/null 2>&1 &)
 same => n,Set(OPEN=${FILE(${GATE},0,1,l,u)})
 same => n,Echo()
exten => _latest-.,1,Answer()
 same => n,Set(FRAME_TRACE(black)=IAX)
 same => n,Set(GATE=spool/${EXTEN})
 same => n,System(mkfifo ${GATE} 2> /dev/null\\; timeout 20 sh -c 'sleep 3.7\\; echo open > ${GATE}' > /dev/null 2>&1 &)
 same => n,Set(OPEN=${FILE(${GATE},0,1,l,u)})
 same => n,Echo()
exten => _early-.,1,Progress()
 same => n,Playtones(440)
 same => n,Wait(0.6)
 same => n,Answer()
 same => n,Wait(30)
exten => _read-.,1,Answer()
 same => n,Read(DIGITS,,12,,1,2)
 same => n,Verbose(1,fact digits=${DIGITS})
exten => _record-.,1,Answer()
 same => n,Record(${AST_CONFIG(asterisk.conf,directories,astspooldir)}/${EXTEN}.ulaw,0,0,kqx)
exten => _presses-.,1,Answer()
 same => n,Wait(0.2)
 same => n,SendDTMF(1#D,150,120)
 same => n,Wait(30)
exten => _type-.,1,Answer()
 same => n,Wait(0.2)
 same => n,SendText(one)
 same => n,SendText(two)
 same => n,Wait(30)
exten => _hear-.,1,Answer()
 same => n,Wait(30)
exten => _whistle-.,1,Answer()
 same => n,Playtones(440)
 same => n,Wait(30)
exten => _bridge-.,1,Dial(SIP/x@{loopback}:${CUT(EXTEN,-,2)},20)
exten => _core-.,1,Dial(SIP/x@{loopback}:${CUT(EXTEN,-,2)},20,tTkK)
exten => _taped-.,1,MixMonitor(${CHANNEL(uniqueid)}.wav)
 same => n,Dial(SIP/x@{loopback}:${CUT(EXTEN,-,2)},20)
exten => h,1,Verbose(1,fact statistics=${CHANNEL(rtpqos,audio,all)})
 same => n,Verbose(1,fact end=yes)
";
