//! Opus and VP8 through the `chan_sip` of an Asterisk 11 that knows neither: they travel as G.719 and MPEG-4, and `codec_opus_g719`
//! translates Opus for phones, files and conferences.

use std::thread;
use std::time::{Duration, Instant};

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Colours, Phone, RtcpMux, Transport};
use e2e::plain::{Arrival, PLAIN_VOICE, PlainPhone, Received};
use e2e::proof::EchoCall;
use e2e::site::{Site, VOICE};
use serde_json::{Value, json};

/// A picture that is red on the left and blue on the right, and the expected measurement of [`Phone::sees`].
const FIRST: (Colours, [usize; 2]) = (["rgb(220, 0, 0)", "rgb(0, 0, 220)"], [0, 2]);

/// A second picture: green and red.
const SECOND: (Colours, [usize; 2]) = (["rgb(0, 200, 0)", "rgb(220, 0, 0)"], [1, 0]);

/// The tone of the second browser.
const OTHER_VOICE: f64 = 1500.0;

/// The most time after a hold until a decoder has pictures again, on a machine that does other things too. A browser sends a whole
/// picture by itself only when it is asked for one.
const AGAIN: Duration = Duration::from_secs(8);

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_hears_itself_in_opus() -> Result {
    echo(Browser::Chromium, "carriers-echo-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn firefox_hears_itself_in_opus() -> Result {
    echo(Browser::Firefox, "carriers-echo-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_calls_firefox_in_opus_and_vp8() -> Result {
    each_other(Browser::Chromium, Browser::Firefox, "carriers-chromium-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn firefox_calls_chromium_in_opus_and_vp8() -> Result {
    each_other(Browser::Firefox, Browser::Chromium, "carriers-firefox-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn the_dialplan_reads_digits_of_chromium_beside_opus() -> Result {
    digits(Browser::Chromium, "carriers-digits-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn the_dialplan_reads_digits_of_firefox_beside_opus() -> Result {
    digits(Browser::Firefox, "carriers-digits-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_takes_no_digit_of_the_dialplan_for_noise_beside_opus() -> Result {
    takes_a_digit(&lab("carriers-plays-opus-chromium", false)?, Browser::Chromium, "audio/opus")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn firefox_takes_no_digit_of_the_dialplan_for_noise_beside_opus() -> Result {
    takes_a_digit(&lab("carriers-plays-opus-firefox", false)?, Browser::Firefox, "audio/opus")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_takes_no_digit_of_the_dialplan_for_noise_beside_g711() -> Result {
    takes_a_digit(&Lab::start("carriers-plays-g711-chromium", &Site::default())?, Browser::Chromium, "audio/PCMU")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn firefox_takes_no_digit_of_the_dialplan_for_noise_beside_g711() -> Result {
    takes_a_digit(&Lab::start("carriers-plays-g711-firefox", &Site::default())?, Browser::Firefox, "audio/PCMU")
}

/// Without the carriers, for comparison: the picture is H.264 under its own name.
#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_calls_chromium_in_h264() -> Result {
    let name = "carriers-h264";
    let lab = Lab::start(name, &Site { video: true, ..Site::default() })?;
    let mut caller = Phone::registered(&lab, Browser::Chromium, "1001")?;
    let mut callee = Phone::with_voice(&lab, Browser::Chromium, "1002", OTHER_VOICE)?;
    callee.register(&lab, Transport::Plain)?;
    see_each_other(&lab, &mut caller, &mut callee, "video/H264", name)
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_hears_a_file_in_opus_and_is_recorded() -> Result {
    file(Browser::Chromium, "carriers-file-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn firefox_hears_a_file_in_opus_and_is_recorded() -> Result {
    file(Browser::Firefox, "carriers-file-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_in_opus_and_a_plain_phone_hear_each_other() -> Result {
    plain(Browser::Chromium, "carriers-plain-chromium", Duration::from_secs(60))
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn firefox_in_opus_and_a_plain_phone_hear_each_other() -> Result {
    plain(Browser::Firefox, "carriers-plain-firefox", Duration::from_secs(10))
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn three_codecs_are_in_one_conference() -> Result {
    conference("carriers-conference")
}

fn lab(name: &str, video: bool) -> Result<Lab> {
    Lab::start(name, &Site { carriers: true, video, ..Site::default() })
}

fn echo(browser: Browser, name: &str) -> Result {
    let lab = lab(name, false)?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    phone.call("mirror", RtcpMux::Require)?;
    phone.hears(VOICE)?;
    phone.hold()?;
    phone.unhold()?;
    phone.hears(VOICE)?;
    let statistics = phone.statistics()?;
    uses(&statistics, "audio/opus")?;
    let lost = statistics["packetsLost"].as_f64().unwrap_or(f64::MAX);
    ensure(lost <= 5.0, || format!("{lost} packets were lost: {statistics}"))?;
    let sessions = lab.asterisk().cli("rtp show sessions")?;
    println!("{name}: {statistics}\n{sessions}");
    ensure(sessions.contains("Opus (G.719 to Asterisk)"), || format!("it is not called Opus: {sessions}"))?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

fn each_other(caller: Browser, callee: Browser, name: &str) -> Result {
    let lab = lab(name, true)?;
    let mut caller = Phone::registered(&lab, caller, "1001")?;
    let mut callee = Phone::with_voice(&lab, callee, "1002", OTHER_VOICE)?;
    callee.register(&lab, Transport::Plain)?;
    see_each_other(&lab, &mut caller, &mut callee, "video/VP8", name)
}

/// A call with pictures of `codec`, which the caller holds and resumes.
fn see_each_other(lab: &Lab, caller: &mut Phone, callee: &mut Phone, codec: &str, name: &str) -> Result {
    let ((first, [first_left, first_right]), (second, [second_left, second_right])) = (FIRST, SECOND);
    caller.dial_with_picture("1002", first)?;
    callee.answer_with_picture(second)?;
    callee.connected(Duration::from_secs(15))?;
    caller.connected(Duration::from_secs(15))?;
    uses(&callee.sees(first_left, first_right)?, codec)?;
    uses(&caller.sees(second_left, second_right)?, codec)?;
    callee.hears(VOICE)?;
    caller.hears(OTHER_VOICE)?;
    caller.hold()?;
    thread::sleep(Duration::from_secs(2));
    caller.unhold()?;
    let resumed = Instant::now();
    let times = [has_pictures_again(caller, resumed)?, has_pictures_again(callee, resumed)?];
    println!("{name}: pictures again after {times:?}");
    callee.sees(first_left, first_right)?;
    caller.sees(second_left, second_right)?;
    callee.hears(VOICE)?;
    caller.hears(OTHER_VOICE)?;
    println!("{name}: {}, {}", caller.look()?, callee.look()?);
    if codec == "video/VP8" {
        uses(&caller.statistics()?, "audio/opus")?;
        uses(&callee.statistics()?, "audio/opus")?;
    }
    caller.hangup()?;
    callee.until(&["ended"], Duration::from_secs(5))?;
    lab.until_idle(Duration::from_secs(5))
}

fn file(browser: Browser, name: &str) -> Result {
    let lab = lab(name, false)?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    phone.call("echo", RtcpMux::Require)?;
    uses(&EchoCall { hold: true, ..EchoCall::SHORT }.prove(&lab, &mut phone)?, "audio/opus")
}

/// A call to a phone that has PCMU alone, and digits of the browser.
fn plain(browser: Browser, name: &str, length: Duration) -> Result {
    let lab = lab(name, false)?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    let plain = PlainPhone::answer(&lab, Duration::from_secs(1))?;
    phone.dial("2001", RtcpMux::Require)?;
    phone.connected(Duration::from_secs(15))?;
    phone.hears(PLAIN_VOICE)?;
    uses(&phone.statistics()?, "audio/opus")?;
    thread::sleep(length);
    phone.hears(PLAIN_VOICE)?;
    phone.dtmf("5")?;
    thread::sleep(Duration::from_secs(1));
    println!("{name}: {}", phone.statistics()?);
    phone.hangup()?;
    let received = plain.finish(Duration::from_secs(20))?;
    let heard = received.audio.time_of_tone(VOICE);
    ensure(heard + Duration::from_secs(3) >= length, || format!("the phone heard {heard:?} of {length:?}"))?;
    ensure(received.events.iter().any(|event| event.event == 5 && event.end), || format!("{:?}", received.events))?;
    is_on_one_clock(&received, name)?;
    lab.until_idle(Duration::from_secs(5))
}

/// Checks that packets have 20 ms each, and that their timestamps keep the time. A busy machine delays packets, and after a pause
/// timestamps jump, so this looks at the longest run of packets without a jump, and compares the least delay of its first quarter with
/// that of its last.
fn is_on_one_clock(received: &Received, name: &str) -> Result {
    let follows = |one: &Arrival, next: &Arrival| {
        let packets = next.sequence_number.wrapping_sub(one.sequence_number);
        next.timestamp.wrapping_sub(one.timestamp) == u32::from(packets) * 160
    };
    let run = received.arrivals.chunk_by(follows).max_by_key(|run| run.len()).unwrap_or_default();
    let quarter = run.len() / 4;
    let (Some(first), true) = (run.first(), quarter >= 25) else {
        return ensure(false, || format!("no more than {} packets have 20 ms each", run.len()));
    };
    let told = |arrival: &Arrival| f64::from(arrival.timestamp.wrapping_sub(first.timestamp)) / 8000.0;
    let delay = |arrival: &Arrival| (arrival.at - first.at).as_secs_f64() - told(arrival);
    let least = |some: &[Arrival]| some.iter().map(delay).fold(f64::MAX, f64::min);
    let length = run.last().map_or(0.0, told);
    let drift = (least(&run[3 * quarter..]) - least(&run[..quarter])) / length;
    println!("{name}: {length:.3} s of timestamps of {} packets, drift {:.4} %", received.packets, drift * 100.0);
    // All packets of a quarter may be some milliseconds late; over a minute that is nothing.
    ensure(drift.abs() < 0.001_f64.max(0.03 / length), || format!("drift {drift} in {length} s"))
}

/// Opus, A-law and µ-law, each with a tone of its own.
fn conference(name: &str) -> Result {
    let files = vec![("confbridge.conf", CONFBRIDGE.to_owned())];
    let lab = Lab::start(name, &Site { carriers: true, files, ..Site::default() })?;
    let mut opus = Phone::registered(&lab, Browser::Chromium, "1001")?;
    let mut alaw = Phone::with_voice(&lab, Browser::Firefox, "1002", OTHER_VOICE)?;
    alaw.register(&lab, Transport::Plain)?;
    opus.call("conference", RtcpMux::Require)?;
    alaw.call("conference-alaw", RtcpMux::Require)?;
    let plain = PlainPhone::call(&lab, "conference", Duration::from_secs(25))?;
    hears_both(&mut opus, OTHER_VOICE)?;
    hears_both(&mut alaw, VOICE)?;
    uses(&opus.statistics()?, "audio/opus")?;
    uses(&alaw.statistics()?, "audio/PCMA")?;
    let received = plain.finish(Duration::from_secs(40))?;
    ensure(received.packets > 1000, || format!("the phone received {} packets", received.packets))?;
    opus.hangup()?;
    alaw.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

/// Waits until a browser hears the plain phone, which is louder, and the other browser.
fn hears_both(phone: &mut Phone, other: f64) -> Result {
    let mut heard = None;
    for _ in 0..15 {
        let now = phone.listen(&[PLAIN_VOICE, other], Duration::from_secs(1))?;
        if now.rms > 0.01 && now.shares.len() == 2 && now.shares.iter().all(|share| *share > 0.03) {
            return Ok(());
        }
        heard = Some(now);
    }
    ensure(false, || format!("the two others are not heard but {heard:?}"))
}

const CONFBRIDGE: &str = "[general]\n[default_user]\ntype = user\nquiet = yes\nannounce_only_user = no\n\
    [default_bridge]\ntype = bridge\n";

/// Waits until new frames are decoded, and returns how long after the end of the hold that was.
fn has_pictures_again(phone: &mut Phone, resumed: Instant) -> Result<Duration> {
    let decoded = |phone: &mut Phone| phone.look().map(|seen| seen["decoded"].as_i64().unwrap_or(0));
    let before = decoded(phone)?;
    while resumed.elapsed() < AGAIN {
        if decoded(phone)? > before {
            return Ok(resumed.elapsed());
        }
        thread::sleep(Duration::from_millis(50));
    }
    ensure(false, || format!("no picture for {AGAIN:?} after the hold"))?;
    Ok(AGAIN)
}

fn digits(browser: Browser, name: &str) -> Result {
    let lab = lab(name, false)?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    phone.call("digits", RtcpMux::Require)?;
    thread::sleep(Duration::from_secs(1));
    phone.dtmf("12*4#")?;
    lab.until_logged("digits read: 12*4.", Duration::from_secs(10))?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

/// Neither browser plays a telephone-event (RFC 4733) or tells its page of one. So this proves that its packets arrive for six
/// seconds, that they are not played as noise, and that the audio behind them is whole.
fn takes_a_digit(lab: &Lab, browser: Browser, codec: &str) -> Result {
    let mut phone = Phone::registered(lab, browser, "1001")?;
    phone.call("presses-long", RtcpMux::Require)?;
    thread::sleep(Duration::from_secs(2));
    let packets = |phone: &mut Phone| phone.statistics().map(|seen| seen["packetsReceived"].as_i64().unwrap_or(0));
    let before = packets(&mut phone)?;
    let heard = phone.listen(&[], Duration::from_secs(1))?;
    let arrived = packets(&mut phone)? - before;
    ensure(arrived >= 20, || format!("{arrived} packets of the digit arrived"))?;
    ensure(heard.rms < 0.001, || format!("the digit is heard: {heard:?}"))?;
    thread::sleep(Duration::from_secs(4));
    phone.hears(VOICE)?;
    println!("{arrived} packets of the digit in a second, then {}", phone.statistics()?);
    uses(&phone.statistics()?, codec)?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))
}

/// Checks the format in both directions.
fn uses(statistics: &Value, codec: &str) -> Result {
    ensure(statistics["codecs"] == json!([codec, codec]), || format!("it does not use {codec}: {statistics}"))
}
