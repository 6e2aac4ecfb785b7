//! Two desk phones in a call, which the host bridges natively: packets pass as they are.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use e2e::asterisk::Asterisk;
use e2e::desk::Desk;
use e2e::driver::Driver;
use e2e::failure::{Failure, Result, ensure};
use e2e::lab::{home_of, installed};
use e2e::ports::Ports;
use e2e::prefix::Version;
use e2e::site::Site;

/// Two phones, and the Asterisk between them.
struct Office {
    asterisk: Asterisk,
    driver: Driver,
    caller: Desk,
    called: Desk,
}

const CALLER: &str = "m=audio PORT RTP/AVP 0 8 13 96\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:13 CN/8000\n\
                      a=rtpmap:96 telephone-event/8000\na=fmtp:96 0-17\na=ptime:20\n";
/// Has another payload type for digits: the one that both drivers offer.
const CALLED: &str = "m=audio PORT RTP/AVP 0 8 13 101\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:13 CN/8000\n\
                      a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-17\na=ptime:20\n";

impl Office {
    fn open(name: &str, dialplan: &str) -> Result<Self> {
        Self::open_with(name, dialplan, "no")
    }

    /// Opens one whose accounts have this value of `directmedia`.
    fn open_with(name: &str, dialplan: &str, directmedia: &str) -> Result<Self> {
        let (prefix, home, ports) = (installed()?, home_of(name)?, Ports::claim()?);
        let driver = Driver::of(prefix.version());
        let modules = std::env::var_os("MODULES_DIR").map(std::path::PathBuf::from);
        home.link_modules(&prefix, modules.as_deref().unwrap_or(prefix.modules()))?;
        Site::default().write(driver, &home, &ports)?;
        let [caller, called] =
            [("3001", CALLER), ("3002", CALLED)].map(|(name, media)| Desk::new(name, ports.sip, media));
        let (caller, called) = (caller?, called?);
        let accounts = match driver {
            Driver::ChanSip => chan_sip(&ports, [&caller, &called], directmedia)?,
            Driver::ChanPjsip => chan_pjsip(&ports, [&caller, &called], directmedia)?,
        };
        home.configure(driver.configuration(), &accounts)?;
        let features = "[general]\n[featuremap]\ndisconnect = #1\n";
        home.configure("features.conf", features)?;
        let technology = driver.technology();
        home.configure("extensions.conf", &format!("[calls]\n{}", dialplan.replace("TECH", technology)))?;
        Ok(Self { asterisk: Asterisk::start(&prefix, home)?, driver, caller, called })
    }

    /// The name of the channel of this account.
    fn channel(&self, account: &str) -> Result<String> {
        let channels = self.asterisk.cli("core show channels concise")?;
        let mut names = channels.lines().filter_map(|line| line.split('!').next());
        let name = names.find(|name| name.contains(&format!("/{account}-")));
        name.map(str::to_owned).ok_or_else(|| Failure::new(format!("{account} has no channel: {channels}")))
    }

    /// Runs a console command.
    fn run(&self, command: &str) -> Result {
        self.asterisk.cli(command)?;
        Ok(())
    }

    /// Waits until a console command shows `text`.
    fn until_shown(&self, command: &str, text: &str) -> Result {
        let mut shown = String::new();
        for _ in 0..100 {
            shown = self.asterisk.cli(command)?;
            if shown.contains(text) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err(Failure::new(format!("{command} does not show {text} but {shown}")))
    }
}

fn chan_sip(ports: &Ports, desks: [&Desk; 2], directmedia: &str) -> Result<String> {
    let [first, second] = desks.map(Desk::sip);
    Ok(format!(
        "[general]\ncontext = calls\nudpbindaddr = 127.0.0.1:{}\nallowguest = no\ndirectmedia = {directmedia}\n\
         [desk](!)\ntype = peer\nhost = 127.0.0.1\ninsecure = invite\ndisallow = all\nallow = ulaw,alaw\n\
         [3001](desk)\nport = {}\n[3002](desk)\nport = {}\n",
        ports.sip, first?, second?
    ))
}

fn chan_pjsip(ports: &Ports, desks: [&Desk; 2], directmedia: &str) -> Result<String> {
    let [first, second] = desks.map(Desk::sip);
    let account = |name: &str, port: u16| {
        format!(
            "[{name}]\ntype = endpoint\ncontext = calls\ndisallow = all\nallow = ulaw,alaw\ndirect_media = {directmedia}\naors = {name}\n\
             [{name}]\ntype = aor\ncontact = sip:{name}@127.0.0.1:{port}\n"
        )
    };
    let transport = format!("[udp]\ntype = transport\nprotocol = udp\nbind = 127.0.0.1:{}\n", ports.sip);
    Ok(transport + &account("3001", first?) + &account("3002", second?))
}

/// The stream that a phone sends.
struct Stream {
    ssrc: u32,
    number: u16,
    timestamp: u32,
}

impl Stream {
    fn voice(&mut self) -> Vec<u8> {
        self.packet(0x80, 0, &[], &[self.number as u8; 160], 160)
    }

    fn packet(&mut self, first: u8, second: u8, middle: &[u8], payload: &[u8], ticks: u32) -> Vec<u8> {
        let mut packet = vec![first, second];
        packet.extend_from_slice(&self.number.to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(middle);
        packet.extend_from_slice(payload);
        self.number = self.number.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(ticks);
        packet
    }

    /// A telephone-event of 40 ms, whose end comes twice.
    fn digit(&mut self, payload_type: u8, event: u8) -> Vec<Vec<u8>> {
        self.timestamp += 1000;
        let packets = [(0x80, [event, 10, 0, 160]), (0, [event, 0x8A, 1, 64]), (0, [event, 0x8A, 1, 64])];
        let packets = packets.map(|(marker, payload)| self.packet(0x80, marker | payload_type, &[], &payload, 0));
        self.timestamp += 1000;
        packets.into()
    }

    /// Everything that phones send, and a bridge has no reason to change.
    fn samples(&mut self, event: u8) -> Vec<Vec<u8>> {
        let mut packets = vec![self.voice(), self.voice()];
        packets.push(self.packet(0x80, 0x80, &[], &[1; 160], 160));
        packets.push(self.packet(0x90, 0, &[0xBE, 0xDE, 0, 1, 0x10, 0xFF, 0, 0], &[2; 160], 160));
        packets.push(self.packet(0xA1, 0, &[0, 0, 0, 9], &[3, 3, 3, 3, 0, 2], 160));
        packets.push(self.packet(0x80, 13, &[], &[64], 160));
        // 30 ms, then a gap in time and numbers.
        packets.push(self.packet(0x80, 0, &[], &[4; 240], 4000));
        self.number = self.number.wrapping_add(300);
        packets.push(self.packet(0x80, 0x80, &[], &[5; 160], 160));
        let repeated = self.voice();
        packets.extend([repeated.clone(), repeated]);
        packets.extend(self.digit(event, 17));
        packets.extend(self.digit(event, 5));
        packets.push(self.voice());
        // A phone that starts over.
        (self.ssrc, self.number, self.timestamp) = (self.ssrc + 1, 9, 77);
        packets.extend([self.voice(), self.voice()]);
        packets
    }
}

/// Sends voice until the other phone hears it with the SSRC of this one. Returns the first of those packets.
fn until_bridged(from: &Desk, to: &Desk, stream: &mut Stream) -> Result<Vec<u8>> {
    let ssrc = stream.ssrc.to_be_bytes();
    until_heard(from, to, stream, |packet| packet.get(8..12) == Some(&ssrc[..]))
}

/// Sends voice until the other phone hears such a packet, and returns that.
fn until_heard(from: &Desk, to: &Desk, stream: &mut Stream, such: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
    to.take();
    for _ in 0..500 {
        from.send(&stream.voice())?;
        thread::sleep(Duration::from_millis(20));
        if let Some(first) = to.heard().into_iter().find(|packet| such(packet)) {
            return Ok(first);
        }
    }
    Err(Failure::new(format!("the last packet heard is {:02x?}", to.heard().last())))
}

/// Sends packets and checks that the other phone hears exactly the expected ones, in this order.
fn passes(from: &Desk, to: &Desk, packets: &[Vec<u8>], expected: &[Vec<u8>]) -> Result {
    // Packets that were sent before have arrived by then.
    let quiet = || thread::sleep(Duration::from_millis(200));
    quiet();
    while !to.take().is_empty() {
        quiet();
    }
    for packet in packets {
        from.send(packet)?;
        thread::sleep(Duration::from_millis(10));
    }
    // All of them, or as many as will come.
    let _ = to.until("all packets", || to.heard().len() >= expected.len());
    same(&to.take(), expected)
}

fn with_payload_type(packets: &[Vec<u8>], from: u8, to: u8) -> impl Iterator<Item = Vec<u8>> {
    packets.iter().cloned().map(move |mut packet| {
        if packet[1] & 0x7F == from {
            packet[1] = packet[1] & 0x80 | to;
        }
        packet
    })
}

fn same(heard: &[Vec<u8>], expected: &[Vec<u8>]) -> Result {
    let shown = |packets: &[Vec<u8>]| -> Vec<String> {
        packets.iter().map(|packet| format!("{:02x?} +{}", &packet[..packet.len().min(20)], packet.len())).collect()
    };
    ensure(heard == expected, || format!("heard {:#?}, not {:#?}", shown(heard), shown(expected)))
}

/// Asterisk 16 and later send a phone the codec that it sends itself, unless `asymmetric_rtp_codec` says otherwise.
fn hears_the_codec_that_it_sends(from: &Desk, to: &Desk, stream: &mut Stream) -> Result {
    to.take();
    for _ in 0..25 {
        from.send(&stream.packet(0x80, 8, &[], &[0xD5; 160], 160))?;
        thread::sleep(Duration::from_millis(20));
    }
    let heard = to.take();
    let types: BTreeSet<_> = heard.iter().map(|packet| packet[1] & 0x7F).collect();
    ensure(types == BTreeSet::from([0]), || format!("heard {types:?} in {} packets", heard.len()))
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn packets_pass_as_they_are() -> Result {
    let office = Office::open("bridge", "exten => 3002,1,Dial(TECH/3002,20)\n")?;
    let Office { caller, called, .. } = &office;
    caller.call("3002")?;
    let (mut one, mut other) = (
        Stream { ssrc: 0xA000_0000, number: 100, timestamp: 1 << 20 },
        Stream { ssrc: 0xB000_0000, number: 7, timestamp: 5 },
    );
    let first = until_bridged(caller, called, &mut one)?;
    ensure(first[1] == 0x80, || format!("the marker is missing: {:02x?}", &first[..12]))?;
    let first = until_bridged(called, caller, &mut other)?;
    ensure(first[1] == 0x80, || format!("the marker is missing: {:02x?}", &first[..12]))?;
    // Asterisk 16 may make the bridge anew once both are in it, and then a packet is marked once more.
    thread::sleep(Duration::from_millis(300));
    until_bridged(caller, called, &mut one)?;
    until_bridged(called, caller, &mut other)?;
    // chan_pjsip does not offer comfort noise to the called phone, and the core makes nothing of it.
    let is_heard = |packet: &Vec<u8>| office.driver == Driver::ChanSip || packet[1] != 13;
    let (sent, back) = (one.samples(96), other.samples(101));
    let expected: Vec<_> = with_payload_type(&sent, 96, 101).filter(is_heard).collect();
    passes(caller, called, &sent, &expected)?;
    let expected: Vec<_> = with_payload_type(&back, 101, 96).collect();
    passes(called, caller, &back, &expected)?;
    if office.asterisk.version() >= Version::Sixteen {
        hears_the_codec_that_it_sends(caller, called, &mut one)?;
    }
    caller.hang_up()?;
    called.until("a BYE", || called.has_ended())
}

/// While a phone talks, a recording begins and ends, the other phone holds and resumes, and transfers the talking one.
#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn nothing_is_lost_or_repeated_when_the_bridge_comes_and_goes() -> Result {
    let dialplan = "exten => 3002,1,Dial(TECH/3002,20)\nexten => 77,1,Answer()\n same => n,Wait(30)\n";
    let office = Office::open("bridge-and-back", dialplan)?;
    let Office { caller, called, .. } = &office;
    caller.call("3002")?;
    let mut one = Stream { ssrc: 0xA000_0000, number: 100, timestamp: 1 << 20 };
    until_bridged(caller, called, &mut one)?;
    let talk = |one: &mut Stream, packets: usize, meanwhile: &mut dyn FnMut(usize) -> Result| {
        let first = one.number;
        called.take();
        for number in 0..packets {
            caller.send(&one.voice())?;
            thread::sleep(Duration::from_millis(20));
            meanwhile(number)?;
        }
        let _ = called.until("the last packet", || called.heard().len() >= packets);
        ensure_in_order(&called.take(), first, packets)
    };
    thread::sleep(Duration::from_millis(300));
    let recorded = office.channel("3001")?;
    talk(&mut one, 100, &mut |number| match number {
        20 => office.run(&format!("mixmonitor start {recorded} bridge.wav")),
        60 => office.run(&format!("mixmonitor stop {recorded}")),
        _ => Ok(()),
    })?;
    called.describe_again("a=sendonly\r\n")?;
    thread::sleep(Duration::from_millis(200));
    called.describe_again("a=sendrecv\r\n")?;
    let is_heard = |packet: &[u8]| packet.len() == 172 && packet[12..].iter().all(|byte| *byte == packet[12]);
    until_heard(caller, called, &mut one, is_heard)?;
    thread::sleep(Duration::from_millis(300));
    talk(&mut one, 40, &mut |_| Ok(()))?;
    called.request("REFER", "Refer-To: <sip:77@127.0.0.1>\r\nReferred-By: <sip:3002@127.0.0.1>\r\n", "")?;
    office.until_shown("core show channels concise", "!77!")?;
    ensure(!caller.has_ended(), || "the transferred call has ended".to_owned())?;
    caller.send(&one.voice())?;
    caller.hang_up()
}

/// The phones exchange media without Asterisk, until it has to hear it.
#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn direct_media_goes_past_asterisk_and_comes_back() -> Result {
    let office = Office::open_with("bridge-direct", "exten => 3002,1,Dial(TECH/3002,20)\n", "yes")?;
    let Office { caller, called, .. } = &office;
    caller.call("3002")?;
    let [first, second] = [caller.media()?, called.media()?];
    let are_direct = || caller.peer() == Some(second) && called.peer() == Some(first);
    caller.until("the description of the other phone", are_direct)?;
    office.run(&format!("mixmonitor start {} direct.wav", office.channel("3001")?))?;
    let are_back = || caller.peer() != Some(second) && called.peer() != Some(first);
    caller.until("Asterisk's description", are_back)?;
    let mut one = Stream { ssrc: 0xA000_0000, number: 100, timestamp: 1 << 20 };
    until_heard(caller, called, &mut one, |packet| packet.len() == 172)?;
    caller.hang_up()
}

/// The channel hears digits where features need them: the called phone ends the call by a code.
#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_feature_code_is_heard() -> Result {
    let office = Office::open("bridge-feature", "exten => 3002,1,Dial(TECH/3002,20,h)\n")?;
    let Office { caller, called, .. } = &office;
    caller.call("3002")?;
    let mut one = Stream { ssrc: 0xA000_0000, number: 100, timestamp: 1 << 20 };
    let mut other = Stream { ssrc: 0xB000_0000, number: 7, timestamp: 5 };
    until_heard(caller, called, &mut one, |packet| packet.len() == 172)?;
    let own = called.take().iter().any(|packet| packet[8..12] == one.ssrc.to_be_bytes());
    ensure(!own, || "packets pass by the channel that has to hear digits".to_owned())?;
    for event in [11, 1] {
        let digit = other.digit(101, event);
        let pause: Vec<_> = (0..5).map(|_| other.voice()).collect();
        for packet in digit.iter().chain(&pause) {
            called.send(packet)?;
            thread::sleep(Duration::from_millis(20));
        }
    }
    caller.until("a BYE", || caller.has_ended())
}

/// Checks that the packets are the voice of [`Stream`] from this number on, each once and in order.
fn ensure_in_order(heard: &[Vec<u8>], first: u16, packets: usize) -> Result {
    let numbers: Vec<_> = heard.iter().filter_map(|packet| packet.get(12).copied()).collect();
    let expected: Vec<_> = (0..packets).map(|number| first.wrapping_add(number as u16) as u8).collect();
    ensure(numbers == expected, || format!("heard {numbers:?} instead of {expected:?}"))
}
