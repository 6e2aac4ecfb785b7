//! Texts that operators and their scripts read about a plain call: answers of the console, lines of `rtp set debug` and `rtcp set debug`,
//! notices, events of the manager interface, and statistics. The shapes are those of Asterisk's own module. The tests pass with it
//! too, apart from those about `statistics` and `rtp set detail`.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::failure::{Failure, Result, ensure};
use e2e::lab::Lab;
use e2e::manager::Manager;
use e2e::plain::{PlainPhone, Received};
use e2e::prefix::Version;
use e2e::site::Site;

/// The length of a call: the announcement takes 4 s, and then the phone hears itself.
const CALL: Duration = Duration::from_secs(6);

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn scripts_read_the_same_answers_and_lines() -> Result {
    let lab = Lab::start("operator", &site(""))?;
    answers(&lab)?;
    for command in ["rtp set debug on", "rtcp set debug ON"] {
        lab.asterisk().cli(command)?;
    }
    let mut manager = Manager::listen(&lab)?;
    let call = call(&lab)?;
    events(lab.asterisk().version(), &mut manager)?;
    call.finish(PATIENCE)?;
    // The host writes its log on a thread of its own.
    let end = Instant::now() + PATIENCE;
    loop {
        let missing = missing_shapes(&lab)?;
        if missing.is_empty() {
            return Ok(());
        }
        ensure(Instant::now() < end, || format!("no line is like one of {missing:#?}"))?;
        thread::sleep(Duration::from_millis(100));
    }
}

/// The shapes of lines that the log lacks.
fn missing_shapes(lab: &Lab) -> Result<Vec<&'static str>> {
    let log = lab.log()?;
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("res_rtp_asterisk.c")).collect();
    let is_missing = |shape: &&str| !lines.iter().any(|line| is_shape(line, shape));
    Ok(shapes(lab.asterisk().version()).into_iter().filter(is_missing).collect())
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn jitter_and_round_trip_are_what_their_names_say() -> Result {
    let (lab, figures) = figures("operator-correct", "")?;
    ensure(figures.sent_jitter == "0.0200", || format!("{figures:?}"))?;
    ensure(is_shape(&figures.round_trip, "0.0###") || is_shape(&figures.round_trip, "0.0###(sec)"), || {
        format!("{figures:?}")
    })?;
    let refused = lab.asterisk().cli("rtp show sessions")?;
    ensure(refused.contains("RTP sessions"), || refused)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_dashboard_may_have_the_figures_of_the_original() -> Result {
    let (lab, figures) = figures("operator-original", "statistics = original\n")?;
    let round_trip = if lab.asterisk().version() == Version::Eleven { "##(sec)" } else { "0.0###" };
    ensure(figures.received_jitter == "0.0000" && figures.sent_jitter != "0.0200", || format!("{figures:?}"))?;
    ensure(is_shape(&figures.round_trip, round_trip), || format!("{figures:?}"))
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn managers_get_the_story_of_a_call_as_json() -> Result {
    let lab = Lab::start("operator-manager", &site(""))?;
    let mut manager = Manager::listen(&lab)?;
    let call = call(&lab)?;
    manager.event("RTCPReceived", PATIENCE)?;
    let channels = lab.asterisk().cli("core show channels concise")?;
    let channel = channels.split('!').next().unwrap_or_default().to_owned();
    let told = stories(manager.list("RTPShowSession", &format!("Session: {channel}"), PATIENCE)?)?;
    let [story] = told.as_slice() else { return Err(Failure::new(format!("{channel}: {told:?}"))) };
    ensure(story["channel"] == *channel && story["codec"] == "PCMU", || story.to_string())?;
    let events = story["events"].as_array().map_or(0, Vec::len);
    ensure(events > 1 && story["received"]["packets"].as_u64() > Some(0), || story.to_string())?;
    call.finish(PATIENCE)?;
    let port = story["port"].to_string();
    let mut ended = Vec::new();
    // chan_sip keeps the session for 32 s behind the BYE.
    let end = Instant::now() + 2 * PATIENCE;
    while ended.is_empty() && Instant::now() < end {
        thread::sleep(Duration::from_millis(500));
        ended = stories(manager.list("RTPShowHistory", "Unused: 1", PATIENCE)?)?;
    }
    ensure(ended.len() == 1 && ended[0]["port"] == story["port"], || format!("{ended:?}"))?;
    let again = stories(manager.list("RTPShowSession", &format!("Session: {port}"), PATIENCE)?)?;
    ensure(again == ended, || format!("{again:?}, not {ended:?}"))?;
    let refused = manager.list("RTPShowSession", "Session: 1", PATIENCE).map(drop);
    let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
    ensure(refused.contains("No such session"), || refused)
}

/// The JSON of the events of a list.
fn stories(list: Vec<Vec<String>>) -> Result<Vec<serde_json::Value>> {
    let json = |item: &Vec<String>| {
        let line = item.iter().find_map(|header| header.strip_prefix("JSON: ")).unwrap_or_default();
        serde_json::from_str(line).map_err(|error| Failure::new(format!("{error}: {item:?}")))
    };
    list.iter().map(json).collect()
}

fn site(rtp: &str) -> Site {
    Site { rtp: format!("rtcpinterval = 500\n{rtp}"), ..Site::default() }
}

fn answers(lab: &Lab) -> Result {
    let packet = if lab.asterisk().version() == Version::Eleven { "" } else { "Packet " };
    let expected = [
        ("rtp set debug on", format!("RTP {packet}Debugging Enabled\n")),
        ("rtp set debug OFF", format!("RTP {packet}Debugging Disabled\n")),
        ("rtp set debug ip 192.0.2.1", format!("RTP {packet}Debugging Enabled for address: 192.0.2.1:0\n")),
        ("rtcp set debug on", format!("RTCP {packet}Debugging Enabled\n")),
        ("rtcp set debug off", format!("RTCP {packet}Debugging Disabled\n")),
        ("rtcp set debug ip 192.0.2.1:4000", format!("RTCP {packet}Debugging Enabled for address: 192.0.2.1:4000\n")),
        ("rtcp set stats on", "RTCP Stats Enabled\n".to_owned()),
        ("rtcp set stats off", "RTCP Stats Disabled\n".to_owned()),
    ];
    for (command, answer) in expected {
        let answered = lab.asterisk().cli(command)?;
        ensure(answered == answer, || format!("{command}: {answered:?}, not {answer:?}"))?;
    }
    let failed = lab.asterisk().cli("rtp set debug ip no-host.invalid")?;
    ensure(failed.starts_with("Lookup failed for 'no-host.invalid'\n"), || format!("{failed:?}"))?;
    let usage = lab.asterisk().cli("rtp set debug ip")?;
    ensure(usage.starts_with("Usage: rtp set debug {on|off|ip host[:port]}\n"), || format!("{usage:?}"))
}

/// The shapes of lines that the call causes, in the language of [`is_shape`].
fn shapes(version: Version) -> Vec<&'static str> {
    let mut shapes = vec![
        "Sent RTP packet to      127.0.0.1:#+ (type 00, seq #####+, ts #####+, len 000160)",
        "Sent RTP DTMF packet to 127.0.0.1:#+ (type 101, seq #####+, ts #####+, len 000004)",
        "Got  RTP packet from    127.0.0.1:#+ (type 00, seq 000001, ts 000160, len 000160)",
        "Got  RTP packet from    127.0.0.1:#+ (type 101, seq 000###, ts 038400, len 000004)",
        "Got  RTP RFC2833 from   127.0.0.1:#+ (type 101, seq 000###, ts 038400, len 000004, mark 1, event 00000005, end 0, \
         duration 00160) ",
        "Got  RTP RFC2833 from   127.0.0.1:#+ (type 101, seq 000###, ts 038400, len 000004, mark 0, event 00000005, end 1, \
         duration 00480) ",
        "- RTP 2833 Event: 00000005 (len = 4)",
        "Unknown RTP codec 35 received from '127.0.0.1:#+'",
        "RTP Read too short",
        "* Sent RTCP SR to 127.0.0.1:#+",
        "  Our SSRC: #+",
        "  Sent(RTP): #+",
        "  Sent packets: #+",
        "  Sent octets: #+",
        "  Report block:",
        "RTCP from 127.0.0.1:#+",
        "Reception reports: 1",
        "SSRC of sender: 1886547810",
        "RTP timestamp: 8000",
        "SPC: 50\tSOC: 8000",
        "  Fraction lost: 64",
        "  Packets lost so far: 3",
        "  Highest sequence number: 7",
        "  Sequence number cycles: 1",
        "  DLSR: 0.0000 (sec)",
        "Received an SDES from 127.0.0.1:#+",
        "RTCP from 127.0.0.1:#+: 204(Unknown) skipping record",
    ];
    shapes.extend(match version {
        Version::Eleven => &[
            "  Sent(NTP): ##########.##########",
            "  Fraction lost: 0",
            "  Cumulative loss: 0",
            "  IA jitter: 0.####",
            "  Their last SR: #+",
            "  DLSR: #+.#### (sec)",
            "PT: 200(Sender Report)",
            "PT: 202(Source Description)",
            "  Interarrival jitter: 160",
        ][..],
        Version::Sixteen => &[
            "  Sent(NTP): ##########.######",
            "    Their SSRC: 1886547810",
            "    Fraction lost: 0",
            "    Cumulative loss: 0",
            "    Highest seq no: #+",
            "    IA jitter: 0.####",
            "    Their last SR: #+",
            "    DLSR: #+.#### (sec)",
            "PT: 200 (Sender Report)",
            "PT: 202 (Source Description)",
            "  Interarrival jitter: 160",
            "  RTT: 0.0###(sec)",
        ],
        Version::TwentyTwo => &[
            "  Sent(NTP): ##########.######",
            "    Their SSRC: 1886547810",
            "    IA jitter (samp): #+",
            "    IA jitter (secs): 0.######",
            "PT: 200 (Sender Report)",
            "  Interarrival jitter (samp): 160",
            "  RTT: 0.0###(sec)",
        ],
    });
    shapes
}

/// Checks names, order and shapes of the headers of the events about reports.
fn events(version: Version, manager: &mut Manager) -> Result {
    let (sent, received): (&[&str], &[&str]) = match version {
        Version::Eleven => (
            &[
                "To: 127.0.0.1:#+",
                "OurSSRC: #+",
                "SentNTP: ##########.##########",
                "SentRTP: #+",
                "SentPackets: #+",
                "SentOctets: #+",
                "ReportBlock:",
                "FractionLost: #+",
                "CumulativeLoss: #+",
                "IAJitter: 0.####",
                "TheirLastSR: #+",
                "DLSR: #+.#### (sec)",
            ],
            &[
                "From: 127.0.0.1:#+",
                "PT: 200(Sender Report)",
                "ReceptionReports: 1",
                "SenderSSRC: #+",
                "FractionLost: 64",
                "PacketsLost: 3",
                "HighestSequence: 7",
                "SequenceNumberCycles: 1",
                "IAJitter: 160",
                "LastSR: #+.#########+",
                "DLSR: 0.0000(sec)",
            ],
        ),
        _ => (
            &[
                "To: 127.0.0.1:#+",
                "From: 127.0.0.1:#+",
                "SSRC: 0x&&&&&&&&",
                "PT: 200(SR)",
                "ReportCount: 1",
                "SentNTP: ##########.######",
                "SentRTP: #+",
                "SentPackets: #+",
                "SentOctets: #+",
                "Report0SourceSSRC: 0x70726f62",
                "Report0FractionLost: 0",
                "Report0CumulativeLost: 0",
                "Report0HighestSequence: #+",
                "Report0SequenceNumberCycles: 0",
                "Report0IAJitter: #+",
                "Report0LSR: #+",
                "Report0DLSR: #+.####",
            ],
            &[
                "To: 127.0.0.1:#+",
                "From: 127.0.0.1:#+",
                "RTT: 0.0###",
                "SSRC: 0x&&&&&&&&",
                "PT: 200(SR)",
                "ReportCount: 1",
                "SentNTP: 816003205.125000",
                "SentRTP: 8000",
                "SentPackets: 50",
                "SentOctets: 8000",
                "Report0SourceSSRC: 0x&&&&&&&&",
                "Report0FractionLost: 64",
                "Report0CumulativeLost: 3",
                "Report0HighestSequence: 7",
                "Report0SequenceNumberCycles: 1",
                "Report0IAJitter: 160",
                "Report0LSR: #+",
                "Report0DLSR: 0.0000",
            ],
        ),
    };
    for (name, shapes) in [("RTCPSent", sent), ("RTCPReceived", received)] {
        let event = manager.event(name, PATIENCE)?;
        let mut rest = event.iter();
        let missing = shapes.iter().find(|shape| !rest.any(|header| is_shape(header, shape)));
        ensure(missing.is_none(), || format!("{missing:?} is not, or not in this place, in {event:#?}"))?;
    }
    Ok(())
}

/// The figures that dashboards read.
#[derive(Debug)]
struct Figures {
    received_jitter: String,
    sent_jitter: String,
    round_trip: String,
}

/// Places a call and reads its figures.
fn figures(name: &str, rtp: &str) -> Result<(Lab, Figures)> {
    let lab = Lab::start(name, &site(rtp))?;
    let mut manager = Manager::listen(&lab)?;
    let call = call(&lab)?;
    let event = manager.event("RTCPReceived", PATIENCE)?;
    let round_trip = event.iter().find_map(|header| header.strip_prefix("RTT: ")).unwrap_or_default().to_owned();
    thread::sleep(Duration::from_secs(1));
    let (received_jitter, sent_jitter) = jitters(&lab)?;
    call.finish(PATIENCE)?;
    Ok((lab, Figures { received_jitter, sent_jitter, round_trip }))
}

/// The two columns of jitter that the console shows: of the stream that Asterisk receives, and of the one that the phone does.
fn jitters(lab: &Lab) -> Result<(String, String)> {
    let stats = lab.asterisk().cli("sip show channelstats")?;
    let line = stats.lines().find(|line| line.starts_with("127.0.0.1"));
    let mut columns = line
        .into_iter()
        .flat_map(|line| line.split(')'))
        .map(|part| part.split_whitespace().next().unwrap_or_default().to_owned());
    match (columns.nth(1), columns.next()) {
        (Some(received), Some(sent)) => Ok((received, sent)),
        _ => Err(Failure::new(format!("sip show channelstats: {stats}"))),
    }
}

/// Calls the echo: a phone that presses 5, sends what Asterisk does not know, and reports about what it receives.
fn call(lab: &Lab) -> Result<PlainPhone> {
    let (media, reports) = sockets()?;
    PlainPhone::call_with(lab, "echo", CALL, media, move |media, ended| talk(media, &reports, ended))
}

/// Two sockets with neighbouring ports, the first one even.
fn sockets() -> Result<(UdpSocket, UdpSocket)> {
    for _ in 0..100 {
        let media = UdpSocket::bind("127.0.0.1:0")?;
        let port = media.local_addr()?.port();
        if port % 2 == 0
            && let Ok(reports) = UdpSocket::bind(("127.0.0.1", port + 1))
        {
            return Ok((media, reports));
        }
    }
    Err(Failure::new("there are no two neighbouring ports"))
}

/// The phone's SSRC.
const SSRC: u32 = 0x7072_6f62;

/// A round trip as over the Internet.
const ROUND_TRIP: Duration = Duration::from_millis(25);

fn talk(media: &UdpSocket, reports: &UdpSocket, ended: &AtomicBool) -> Received {
    let (mut peer, mut sent, mut next) = (None, 0, Instant::now());
    let mut buffer = [0; 2048];
    let _ = media.set_read_timeout(Some(Duration::from_millis(2)));
    let _ = reports.set_read_timeout(Some(Duration::from_millis(2)));
    // Where Asterisk listens is in its answer, which SIPp has; its reports come from there, one port higher.
    while !ended.load(Ordering::Relaxed) {
        if let Ok((_, from)) = media.recv_from(&mut buffer) {
            peer = Some(from);
        }
        if let Ok((length, from)) = reports.recv_from(&mut buffer) {
            peer = peer.or(Some(SocketAddr::new(from.ip(), from.port() - 1)));
            thread::sleep(ROUND_TRIP);
            let _ = buffer.get(..length).and_then(report).map(|report| reports.send_to(&report, from));
        }
        if let Some(peer) = peer
            && Instant::now() >= next
        {
            for packet in packets(sent) {
                let _ = media.send_to(&packet, peer);
            }
            sent += 1;
            next += Duration::from_millis(20);
        }
    }
    Received::default()
}

/// The packets that the phone sends in this 20 ms.
fn packets(number: u16) -> Vec<Vec<u8>> {
    let timestamp = u32::from(number) * 160;
    match number {
        // A digit of 60 ms, whose end is sent three times.
        240 => vec![packet(0x80 | 101, number, 38_400, &[5, 10, 0, 160])],
        241 => vec![packet(101, number, 38_400, &[5, 10, 1, 64])],
        242..=244 => vec![packet(101, number, 38_400, &[5, 0x8A, 1, 0xE0])],
        80 => vec![packet(35, number, timestamp, &[0; 20])],
        90 => vec![packet(0, number, timestamp, &[0xFF; 160]), vec![0x80, 0, 0, 0]],
        _ => vec![packet(0, number, timestamp, &[0xFF; 160])],
    }
}

/// Makes an RTP packet (RFC 3550 §5.1).
fn packet(second: u8, number: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, second];
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&SSRC.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// Answers a sender report of Asterisk (RFC 3550 §6.4.1) with one whose block is about Asterisk's stream, SDES, and APP.
fn report(theirs: &[u8]) -> Option<Vec<u8>> {
    let word = |number: usize| theirs.get(4 * number..4 * number + 4);
    if *theirs.get(1)? != 200 {
        return None;
    }
    let mut report = vec![0x81, 200, 0, 12];
    report.extend_from_slice(&SSRC.to_be_bytes());
    // NTP and RTP timestamps, 50 packets, 8000 octets.
    for value in [0xB44D_B705_u32, 0x2000_0000, 8000, 50, 8000] {
        report.extend_from_slice(&value.to_be_bytes());
    }
    report.extend_from_slice(word(1)?);
    // 64/256 and 3 packets lost, one cycle, 20 ms of jitter.
    for value in [0x4000_0003_u32, 0x0001_0007, 160] {
        report.extend_from_slice(&value.to_be_bytes());
    }
    // LSR is the middle of their NTP timestamp. A DLSR of zero would say that there is none.
    report.extend_from_slice(theirs.get(10..14)?);
    report.extend_from_slice(&1_u32.to_be_bytes());
    report.extend_from_slice(&[0x81, 202, 0, 2]);
    report.extend_from_slice(&SSRC.to_be_bytes());
    report.extend_from_slice(&[1, 0, 0, 0]);
    report.extend_from_slice(&[0x80, 204, 0, 2]);
    report.extend_from_slice(&SSRC.to_be_bytes());
    report.extend_from_slice(b"name");
    Some(report)
}

/// Whether a line ends with text of this shape: `#` stands for a digit, `+` behind it for any number of further ones, `&` for a
/// hexadecimal digit. A line of the
/// log has its date and place in front of the text, with a space between.
fn is_shape(line: &str, shape: &str) -> bool {
    line.char_indices().any(|(start, _)| matches_whole(&line.as_bytes()[start..], shape.as_bytes()))
}

fn matches_whole(text: &[u8], shape: &[u8]) -> bool {
    match (text, shape) {
        ([], []) => true,
        (_, [b'+', rest @ ..]) => {
            let more =
                text.split_first().is_some_and(|(first, more)| first.is_ascii_digit() && matches_whole(more, shape));
            more || matches_whole(text, rest)
        }
        ([first, text @ ..], [b'#', shape @ ..]) => first.is_ascii_digit() && matches_whole(text, shape),
        ([first, text @ ..], [b'&', shape @ ..]) => first.is_ascii_hexdigit() && matches_whole(text, shape),
        ([first, text @ ..], [expected, shape @ ..]) => first == expected && matches_whole(text, shape),
        _ => false,
    }
}
