//! Opus, which the host passes on without transcoding, and telephone-event with the clock of the media. Asterisk 11
//! does not support Opus, and with chan_sip telephone-event stays at 8000 Hz.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::Duration;

use e2e::driver::Driver;
use e2e::failure::{Failure, Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::plain::{OPUS_EVENT, PlainPhone};
use e2e::site::{Site, VOICE};
use serde_json::Value;

#[test]
#[cfg_attr(not(opus), ignore = "ASTERISK_PREFIX names no Asterisk that knows Opus")]
fn chromium_hears_itself_in_opus() -> Result {
    echo(Browser::Chromium, "opus-chromium")
}

#[test]
#[cfg_attr(not(opus), ignore = "ASTERISK_PREFIX names no Asterisk that knows Opus")]
fn firefox_hears_itself_in_opus() -> Result {
    echo(Browser::Firefox, "opus-firefox")
}

#[test]
#[cfg_attr(not(opus), ignore = "ASTERISK_PREFIX names no Asterisk that knows Opus")]
fn the_dialplan_reads_digits_of_chromium_beside_opus() -> Result {
    digits(Browser::Chromium, "opus-digits-chromium")
}

#[test]
#[cfg_attr(not(opus), ignore = "ASTERISK_PREFIX names no Asterisk that knows Opus")]
fn the_dialplan_reads_digits_of_firefox_beside_opus() -> Result {
    digits(Browser::Firefox, "opus-digits-firefox")
}

#[test]
#[cfg_attr(not(opus), ignore = "ASTERISK_PREFIX names no Asterisk that knows Opus")]
fn digits_of_the_dialplan_last_as_long_beside_opus() -> Result {
    let lab = lab("opus-presses")?;
    let received =
        PlainPhone::call_with_opus(&lab, "presses", Duration::from_secs(4))?.finish(Duration::from_secs(20))?;
    let (payload_type, clock) = match lab.driver() {
        Driver::ChanPjsip => (OPUS_EVENT, 48_000),
        Driver::ChanSip => (101, 8000),
    };
    for key in [5, 9] {
        let ends: Vec<_> = received.events.iter().filter(|event| event.event == key && event.end).collect();
        let holds = ends.len() == 3
            && ends.iter().all(|end| {
                let milliseconds = u32::from(end.duration) * 1000 / clock;
                // A busy machine presses longer; with the wrong clock it would be a sixth or six times of this.
                end.payload_type == payload_type && (190..=900).contains(&milliseconds)
            });
        ensure(holds, || format!("{key} was not pressed for 200 ms: {:?}", received.events))?;
    }
    Ok(())
}

fn lab(name: &str) -> Result<Lab> {
    Lab::start(name, &Site { opus: true, ari: true, ..Site::default() })
}

/// Checks the audio, and the host's own statistics of the call.
fn echo(browser: Browser, name: &str) -> Result {
    let lab = lab(name)?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    phone.call("mirror", RtcpMux::Require)?;
    phone.hears(VOICE)?;
    // Wait for reports in both directions.
    thread::sleep(Duration::from_secs(11));
    let (id, told) = statistics(&lab)?;
    let seen = phone.statistics()?;
    println!("{name}: {told}, {seen}\n{}", lab.asterisk().cli("rtp show sessions")?);
    ensure(told["channel_uniqueid"] == *id, || format!("the statistics are of another channel than {id}: {told}"))?;
    let number = |name: &str| told[name].as_f64().unwrap_or(f64::NAN);
    // Packets of Opus have at least three octets: a header and something else than silence. On a busy machine a browser sends half of the
    // fifty in a second.
    let counts = |packets: f64, octets: f64| packets > 200.0 && octets > 3.0 * packets && octets < 1000.0 * packets;
    let holds = counts(number("txcount"), number("txoctetcount"))
        && counts(number("rxcount"), number("rxoctetcount"))
        && (0.0..0.1).contains(&number("rxjitter"))
        && (0.0..0.1).contains(&number("txjitter"))
        && number("txploss") == 0.0
        && number("rxploss") == 0.0;
    ensure(holds, || format!("the statistics are not those of a good call: {told}"))?;
    if lab.driver() == Driver::ChanPjsip {
        let good = (80.0..=90.0).contains(&number("txmes")) && (80.0..=90.0).contains(&number("rxmes"));
        ensure(good, || format!("the quality is not that of a good call: {told}"))?;
    }
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

/// Short digits, and one that at 48000 Hz lasts longer than a segment of 0xFFFF ticks. chan_pjsip offers both clocks;
/// browsers choose 8000 if they can, and Firefox supports no other.
fn digits(browser: Browser, name: &str) -> Result {
    let lab = lab(name)?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    match (lab.driver(), browser) {
        (Driver::ChanPjsip, Browser::Chromium) => phone.call_without("telephone-event/8000", "digits")?,
        _ => phone.call("digits", RtcpMux::Require)?,
    }
    thread::sleep(Duration::from_secs(1));
    phone.dtmf("12*4")?;
    lab.until_logged("DTMF end '4' received", Duration::from_secs(10))?;
    phone.dtmf_held("7", Duration::from_secs(4))?;
    lab.until_logged("DTMF end '7' received", Duration::from_secs(10))?;
    phone.dtmf("#")?;
    lab.until_logged("digits read: 12*47.", Duration::from_secs(10))?;
    let log = lab.log()?;
    let ends = log.lines().filter_map(|line| line.split_once("DTMF end '")?.1.split_once("' received"));
    let held: Vec<(&str, u64)> = ends.filter_map(|(digit, rest)| Some((digit, duration(rest)?))).collect();
    println!("{name}: {held:?}");
    // In an event of 8000 Hz libwebrtc counts the ticks of Opus: one of four seconds is over after 0.7 s, and no digit is longer than the
    // time since it began, with a second for the network.
    let long = match (lab.driver(), browser) {
        (Driver::ChanPjsip, Browser::Chromium) => 3900..=6000,
        _ => 600..=3000,
    };
    ensure(held.len() == 6, || format!("{held:?}"))?;
    for (digit, milliseconds) in held {
        // A busy machine holds longer; with the wrong clock it would be a sixth or six times of this.
        let wanted = if digit == "7" { long.clone() } else { 90..=500 };
        ensure(wanted.contains(&milliseconds), || format!("{digit} was held for {milliseconds} ms"))?;
    }
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

/// Parses the number in `…, duration 120 ms`.
fn duration(line: &str) -> Option<u64> {
    line.split_once("duration ")?.1.split_once(" ms")?.0.parse().ok()
}

/// The id of the only channel, and its RTP statistics in ARI.
fn statistics(lab: &Lab) -> Result<(String, Value)> {
    let channels = ari(lab, "channels")?;
    let id = channels[0]["id"].as_str().unwrap_or_default().to_owned();
    let statistics = ari(lab, &format!("channels/{id}/rtp_statistics"))?;
    Ok((id, statistics))
}

fn ari(lab: &Lab, path: &str) -> Result<Value> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, lab.ports().ws))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET /ari/{path}?api_key=user:secret HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).map_err(|error| Failure::new(format!("{error}: {answer}")))
}
