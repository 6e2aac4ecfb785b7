//! Calls of a browser that disappears: before they are answered, as by a closed tab, or while they are up. The reaction of
//! chan_sip to an unsent response depends on the reported error; chan_pjsip gets no error.

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{CLOSE, Pbx, TEXT, sip};
use e2e::driver::Driver;
use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux, Vanish};
use e2e::plain::{PLAIN_VOICE, PlainPhone};
use e2e::process::Footprint;
use e2e::site::{Site, VOICE};

/// SIP gives up a response that is not acknowledged for 32 s (RFC 3261 §13.3.1.4), and forgets the call 32 s later.
const PATIENCE: Duration = Duration::from_secs(100);

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn calls_that_cannot_be_answered_leave_nothing_behind() -> Result {
    let pbx = Pbx::start_with_calls("gone")?;
    ensure(pbx.driver == Driver::ChanSip, || "this host has no chan_sip".to_owned())?;
    let before = settled(&pbx)?;
    for number in 0..20 {
        let mut client = pbx.connect("sip")?;
        client.send(TEXT, invite(number).as_bytes())?;
        if number % 2 == 0 {
            client.send(CLOSE, &1001_u16.to_be_bytes())?;
        }
    }
    let began = Instant::now();
    // In this order: the console's connection is a descriptor too, for a moment.
    while pbx.footprint()?.descriptors > before.descriptors || !is_idle(&pbx)? {
        ensure(began.elapsed() < PATIENCE, || format!("{before:?}, {:?}: {}", pbx.footprint(), state(&pbx)))?;
        thread::sleep(Duration::from_millis(500));
    }
    let calls = pbx.asterisk.cli("core show channels count")?;
    let processed = calls.lines().find_map(|line| line.strip_suffix(" calls processed")?.trim().parse().ok());
    ensure(processed.is_some_and(|processed: usize| processed > 1), || format!("there were no calls: {calls}"))
}

/// The footprint once it has not changed for three seconds: a host that has just started still opens something on a busy machine.
fn settled(pbx: &Pbx) -> Result<Footprint> {
    let (mut last, mut same) = (pbx.footprint()?, 0);
    for _ in 0..40 {
        thread::sleep(Duration::from_millis(500));
        let now = pbx.footprint()?;
        same = if now.descriptors == last.descriptors { same + 1 } else { 0 };
        last = now;
        if same == 6 {
            break;
        }
    }
    Ok(last)
}

/// Consent is lost 30 s after the last answer (RFC 7675), and ends the call with the default of `consenttimeout`.
const GONE_WITHIN: Duration = Duration::from_secs(35);

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn when_the_tab_of_chromium_crashes_the_other_party_hears_the_hangup() -> Result {
    ends(Browser::Chromium, Vanish::Tab, "gone-tab-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn when_the_tab_of_firefox_crashes_the_other_party_hears_the_hangup() -> Result {
    ends(Browser::Firefox, Vanish::Tab, "gone-tab-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn when_chromium_is_killed_the_other_party_hears_the_hangup() -> Result {
    ends(Browser::Chromium, Vanish::Browser, "gone-browser-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn when_firefox_is_killed_the_other_party_hears_the_hangup() -> Result {
    ends(Browser::Firefox, Vanish::Browser, "gone-browser-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn when_the_network_of_chromium_is_gone_the_other_party_hears_the_hangup() -> Result {
    ends(Browser::Chromium, Vanish::Network, "gone-network-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn when_the_network_of_firefox_is_gone_the_other_party_hears_the_hangup() -> Result {
    ends(Browser::Firefox, Vanish::Network, "gone-network-firefox")
}

/// An AGI script reads no media, so chan_sip's `rtptimeout` would not notice either.
#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_dialplan_that_reads_nothing_does_not_keep_the_call_of_a_browser_that_is_gone() -> Result {
    let lab = Lab::start("gone-script", &Site::default())?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    phone.call("script", RtcpMux::Require)?;
    thread::sleep(Duration::from_secs(2));
    phone.vanish(Vanish::Network)?;
    lab.until_idle(GONE_WITHIN)?;
    tells_the_story(&lab)
}

/// Consent is lost meanwhile, and comes back before the time is over.
#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_laptop_that_wakes_up_in_time_keeps_its_call() -> Result {
    let lab = Lab::start("gone-and-back", &Site { rtp: "consenttimeout = 90\n".to_owned(), ..Site::default() })?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    phone.call("echo", RtcpMux::Require)?;
    phone.hears(VOICE)?;
    phone.vanish(Vanish::Network)?;
    lab.until_logged("the peer is gone: consent lost", GONE_WITHIN)?;
    phone.come_back()?;
    phone.hears(VOICE)?;
    // Longer than the time that was left when it came back.
    thread::sleep(Duration::from_secs(70));
    phone.hears(VOICE)?;
    let log = lab.log()?;
    ensure(!log.contains("hanging up"), || format!("it was hung up: {}", lab.directory().display()))
}

/// The browser calls a plain phone and vanishes.
fn ends(browser: Browser, vanish: Vanish, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    let plain = PlainPhone::answer(&lab, Duration::ZERO)?;
    phone.dial("2001", RtcpMux::Require)?;
    phone.connected(Duration::from_secs(15))?;
    phone.hears(PLAIN_VOICE)?;
    phone.vanish(vanish)?;
    let vanished = Instant::now();
    plain.finish(GONE_WITHIN)?;
    lab.until_idle(GONE_WITHIN.saturating_sub(vanished.elapsed()))?;
    tells_the_story(&lab)
}

fn tells_the_story(lab: &Lab) -> Result {
    // A thread of the host's writes the log.
    let mut told = ["the peer is gone: ", "consenttimeout", "hanging up SIP/1001-"].into_iter();
    told.try_for_each(|text| lab.until_logged(text, Duration::from_secs(10)))
}

fn invite(number: usize) -> String {
    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                       m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
    let request = sip("INVITE", "gone", number, "WS").replacen("sip:127.0.0.1", "sip:600@127.0.0.1", 1);
    let body = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len());
    request.replace("Content-Length: 0\r\n\r\n", &body)
}

fn is_idle(pbx: &Pbx) -> Result<bool> {
    Ok(state(pbx).lines().any(|line| line.starts_with("0 active SIP dialog")))
}

fn state(pbx: &Pbx) -> String {
    pbx.asterisk.cli("sip show channels").unwrap_or_else(|error| error.to_string())
}
