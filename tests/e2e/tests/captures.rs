//! `rtp set capture`: what tshark sees in the file is the call, and its audio is the audio that was sent.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::Duration;

use e2e::baresip::Baresip;
use e2e::capture::{Capture, Packet, audio, payloads, read, tshark};
use e2e::failure::{Failure, Result, ensure};
use e2e::g711;
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::plain::{PLAIN_VOICE, PlainPhone};
use e2e::site::{ANNOUNCEMENT, MUSIC, Protection, Site, VOICE};
use e2e::talker::{self, VOICES, connected, hear_each_other};
use e2e::tone::Audio;

const PATIENCE: Duration = Duration::from_secs(40);

/// Long enough for a report of either side.
const TALK: Duration = Duration::from_secs(9);

#[test]
#[cfg_attr(not(tshark), ignore = "ASTERISK_PREFIX names no Asterisk, or there is no tshark")]
fn a_call_of_chromium_is_captured_in_clear() -> Result {
    of_a_browser(Browser::Chromium, "captures-chromium")
}

#[test]
#[cfg_attr(not(tshark), ignore = "ASTERISK_PREFIX names no Asterisk, or there is no tshark")]
fn a_call_of_firefox_is_captured_in_clear() -> Result {
    of_a_browser(Browser::Firefox, "captures-firefox")
}

#[test]
#[cfg_attr(not(all(tshark, baresip)), ignore = "ASTERISK_PREFIX names no Asterisk, or there is no tshark or baresip")]
fn a_call_with_keys_in_the_description_is_captured_in_clear() -> Result {
    let lab = Lab::start("captures-sdes", &Site { plain: Protection::SdesOverIce, ..Site::default() })?;
    let capture = Capture::begin(&lab, "all")?;
    let phone = Baresip::call(&lab, "music", Protection::SdesOverIce, RtcpMux::Negotiate)?;
    thread::sleep(TALK);
    lab.asterisk().cli("channel request hangup all")?;
    lab.until_idle(Duration::from_secs(5))?;
    drop(phone);
    let packets = capture.end()?;
    has_only(&packets, &["RTP", "RTCP", "STUN"])?;
    has(&packets, "STUN", 2)?;
    reported(&packets)?;
    // The phone returns what it hears.
    sounds_like(&packets, true, MUSIC)?;
    sounds_like(&packets, false, MUSIC)
}

/// The phone's packets are known octet by octet.
#[test]
#[cfg_attr(not(tshark), ignore = "ASTERISK_PREFIX names no Asterisk, or there is no tshark")]
fn a_call_of_a_plain_phone_is_captured_octet_by_octet() -> Result {
    let lab = Lab::start("captures-plain", &Site::default())?;
    let capture = Capture::begin(&lab, "all")?;
    let received = PlainPhone::call(&lab, "echo", TALK)?.finish(PATIENCE)?;
    let packets = capture.end()?;
    has_only(&packets, &["RTP", "RTCP"])?;
    has(&packets, "RTCP", 1)?;
    let (heard, said) = (audio(&packets, false), payloads(&packets, true));
    let voice: Vec<i16> = Audio::tone(PLAIN_VOICE, Duration::from_secs(1))
        .samples()
        .iter()
        .map(|sample| g711::decode(g711::encode(*sample)))
        .collect();
    let expected = voice.iter().cycle();
    let wrong = heard.samples().iter().zip(expected).filter(|(heard, sent)| heard != sent).count();
    ensure(heard.length() > Duration::from_secs(7) && wrong == 0, || {
        format!("{wrong} samples of {:?} are not the phone's", heard.length())
    })?;
    ensure(said.samples() == received.audio.samples(), || {
        format!("the phone heard {:?}, and {:?} are captured", received.audio.length(), said.length())
    })?;
    sounds_like(&packets, true, ANNOUNCEMENT)
}

/// Threads of ours pass the packets on, past the channels.
#[test]
#[cfg_attr(not(tshark), ignore = "ASTERISK_PREFIX names no Asterisk, or there is no tshark")]
fn one_phone_of_a_bridge_is_captured_alone() -> Result {
    let lab = Lab::start("captures-bridge", &talker::site())?;
    let (mut caller, callee) = connected(&lab, "bridge")?;
    hear_each_other(&caller, &callee)?;
    let channel = first_channel(&lab)?;
    let capture = Capture::begin(&lab, &channel)?;
    thread::sleep(Duration::from_secs(4));
    let packets = capture.end()?;
    caller.phone.bye()?;
    // No description is in the file, and yet tshark knows what is RTP.
    has_only(&packets, &["RTP", "RTCP"])?;
    sounds_like(&packets, false, VOICES[0])?;
    sounds_like(&packets, true, VOICES[1])?;
    lab.until_idle(Duration::from_secs(5))
}

#[test]
#[cfg_attr(not(tshark), ignore = "ASTERISK_PREFIX names no Asterisk, or there is no tshark")]
fn a_capture_overwrites_nothing_and_ends_at_its_limits() -> Result {
    let rtp = "capture_size = 2GB\ncapture_time = 1s\n".to_owned();
    let lab = Lab::start("captures-limits", &Site { rtp, ..Site::default() })?;
    let log = lab.directory().join("log");
    let (file, link, existing) = (log.join("file"), log.join("link"), log.join("existing"));
    fs::write(&existing, "mine")?;
    symlink(log.join("elsewhere"), &link)?;
    let refused = |arguments: &str, words: &str| {
        let answer = lab.asterisk().cli(&format!("rtp set capture {arguments}"))?;
        ensure(answer.contains(words), || format!("rtp set capture {arguments}: {answer}"))
    };
    refused(&format!("all {}", existing.display()), "exists already")?;
    refused(&format!("all {}", link.display()), "exists already")?;
    refused("all file", "'file' is not an absolute path")?;
    refused(&format!("SIP/nobody-00000001 {}", file.display()), "No call has the channel")?;
    refused(&format!("all {} 10m", file.display()), "'10m' is neither a size")?;
    refused(&format!("all {} 0MB", file.display()), "is not between")?;
    refused("all", "Usage: rtp set capture")?;
    refused("off", "No capture is on")?;
    refused(&format!("all {}/none/file", log.display()), "cannot be written")?;
    ensure(fs::read_to_string(&existing)? == "mine" && !log.join("elsewhere").exists() && !file.exists(), || {
        "a file was made or changed".to_owned()
    })?;
    refused(&format!("all {} 20KB 1min", file.display()), "it ends after 20 kB or 60 s")?;
    refused(&format!("all {}", log.join("second").display()), "A capture into")?;
    PlainPhone::call(&lab, "echo", Duration::from_secs(3))?.finish(PATIENCE)?;
    lab.until_logged("because the file has reached its size of 20 kB", Duration::from_secs(5))?;
    ensure(!lab.log()?.contains("; 0 packets were lost"), || "what did not fit is not counted".to_owned())?;
    let size = fs::metadata(&file)?.len();
    ensure((15_000..21_000).contains(&size), || format!("the file has {size} octets"))?;
    ensure(!read(&file)?.is_empty(), || "tshark reads nothing".to_owned())?;
    refused(&format!("all {}", log.join("short").display()), "it ends after 2000000 kB or 1 s")?;
    lab.until_logged("because its time of 1 s is over", Duration::from_secs(5))?;
    refused("off", "No capture is on")
}

fn of_a_browser(browser: Browser, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    let capture = Capture::begin(&lab, "all")?;
    let file = capture.file().to_owned();
    phone.call("echo", RtcpMux::Require)?;
    phone.hears(ANNOUNCEMENT)?;
    phone.hears(VOICE)?;
    thread::sleep(TALK);
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))?;
    let packets = capture.end()?;
    has_only(&packets, &["SIP", "SIP/SDP", "RTP", "RTCP", "STUN", "DTLS"])?;
    for (protocol, least) in [("RTP", 500), ("STUN", 4), ("DTLS", 4)] {
        has(&packets, protocol, least)?;
    }
    reported(&packets)?;
    dialog(&packets)?;
    sounds_like(&packets, true, ANNOUNCEMENT)?;
    sounds_like(&packets, true, VOICE)?;
    sounds_like(&packets, false, VOICE)?;
    let streams = tshark(&file, &["-q", "-z", "rtp,streams"])?;
    ensure(streams.matches("g711U").count() == 2, || format!("two streams of µ-law are not in {streams}"))?;
    let statistics = tshark(&file, &["-q", "-z", "sip,stat"])?;
    ensure(statistics.contains("INVITE"), || statistics.clone())
}

/// The dialog begins, is answered, and ends.
fn dialog(packets: &[Packet]) -> Result {
    let has = |method: &str, status: &str| {
        packets
            .iter()
            .any(|packet| packet.protocol.starts_with("SIP") && packet.method == method && packet.status == status)
    };
    for (method, status) in [("INVITE", ""), ("", "200"), ("ACK", ""), ("BYE", "")] {
        ensure(has(method, status), || format!("no {method}{status} was captured"))?;
    }
    Ok(())
}

/// Nothing is taken for another protocol, or for encrypted.
fn has_only(packets: &[Packet], protocols: &[&str]) -> Result {
    let is_expected = |packet: &Packet| {
        protocols
            .iter()
            .any(|known| packet.protocol == *known || *known == "DTLS" && packet.protocol.starts_with("DTLS"))
    };
    let other = packets.iter().find(|packet| !is_expected(packet));
    ensure(other.is_none() && !packets.is_empty(), || format!("{other:?} is none of {protocols:?}"))
}

fn has(packets: &[Packet], protocol: &str, least: usize) -> Result {
    let found = packets.iter().filter(|packet| packet.protocol.starts_with(protocol)).count();
    ensure(found >= least, || format!("{found} packets of {protocol}, not {least}"))
}

/// Both have sent reports.
fn reported(packets: &[Packet]) -> Result {
    let by = |is_sent| packets.iter().filter(|packet| packet.protocol == "RTCP" && packet.is_sent == is_sent).count();
    ensure(by(true) > 0 && by(false) > 0, || format!("{} reports were sent, {} received", by(true), by(false)))
}

/// The audio of a direction is this tone for two seconds, with a correlation above 0.99.
fn sounds_like(packets: &[Packet], is_sent: bool, frequency: f64) -> Result {
    let audio = audio(packets, is_sent);
    let time = audio.time_like_tone(frequency);
    ensure(time >= Duration::from_secs(2), || {
        format!("{frequency} Hz is {time:?} of {:?} that were captured (sent: {is_sent})", audio.length())
    })
}

/// The channel that was made first: its name ends with the lowest number.
fn first_channel(lab: &Lab) -> Result<String> {
    let channels = lab.asterisk().cli("core show channels concise")?;
    let names = channels.lines().filter_map(|line| line.split('!').next()).filter(|name| name.contains('/'));
    let first = names.min_by_key(|name| name.rsplit('-').next().map(str::to_owned));
    first.map(str::to_owned).ok_or_else(|| Failure::new(format!("there is no channel: {channels}")))
}
