//! Linphone as a desk phone: it holds, presses digits and transfers; and as a phone that uses one RTP port for all its calls it gets
//! nothing of an earlier call.

use std::thread;
use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::linphone::Linphone;
use e2e::site::{MUSIC, Protection, Site};
use e2e::talker::{self, Talker};
use e2e::tone::Audio;

/// The line of linphone for a packet that the keys of its call do not fit.
const UNREADABLE: &str = "srtp_unprotect";

#[test]
#[cfg_attr(not(linphone), ignore = "ASTERISK_PREFIX names no Asterisk, or there is no linphonec")]
fn the_second_call_on_a_port_gets_no_packet_of_the_first() -> Result {
    let lab = Lab::start("linphone", &Site { plain: Protection::DtlsOverIce, ..Site::default() })?;
    let mut phone = Linphone::start(&lab)?;
    for _ in 0..2 {
        phone.call(&lab, "echo")?;
        // Longer than two intervals of RTCP.
        thread::sleep(Duration::from_secs(13));
        phone.hangup()?;
    }
    let unreadable = phone.count(UNREADABLE)?;
    ensure(unreadable == 0, || format!("linphone could not read {unreadable} packets: {}", lab.directory().display()))?;
    lab.until_idle(Duration::from_secs(5))
}

/// The voice of linphone, and those of the phones that it calls.
const VOICES: [f64; 3] = [700.0, 1000.0, 1300.0];

const A_WHILE: Duration = Duration::from_millis(500);

#[test]
#[cfg_attr(not(linphone), ignore = "ASTERISK_PREFIX names no Asterisk, or there is no linphonec")]
fn it_holds_presses_digits_and_transfers() -> Result {
    let lab = Lab::start("linphone-plain", &talker::site())?;
    let [voice, ear] = ["voice.wav", "ear.wav"].map(|file| lab.directory().join("log").join(file));
    Audio::tone(VOICES[0], Duration::from_secs(60)).write_wav(&voice)?;
    let mut callee = Talker::new(&lab, "callee", VOICES[1])?;
    let mut phone = Linphone::plain(&lab, &voice, &ear)?;
    let number = |talker: &Talker| format!("sip:core-{}@127.0.0.1:{}", talker.phone.port(), lab.ports().sip);

    phone.tell(&format!("call {}", number(&callee)))?;
    callee.is_called()?;
    callee.hears(VOICES[0], A_WHILE)?;
    phone.tell("pause")?;
    callee.hears(MUSIC, A_WHILE)?;
    phone.tell("resume")?;
    callee.hears(VOICES[0], A_WHILE)?;
    for (place, digit) in [7, 0, 4].into_iter().enumerate() {
        phone.tell(&digit.to_string())?;
        callee.has_digits(place + 1)?;
    }
    ensure(callee.digits() == [7, 0, 4], || format!("the callee was sent {:?}", callee.digits()))?;
    thread::sleep(Duration::from_millis(700));
    callee.presses(5);
    phone.until("Receiving dtmf 5", 0)?;

    let mut third = Talker::new(&lab, "third", VOICES[2])?;
    phone.tell("pause")?;
    callee.hears(MUSIC, A_WHILE)?;
    phone.tell(&format!("call {}", number(&third)))?;
    third.is_called()?;
    third.hears(VOICES[0], A_WHILE)?;
    phone.tell("transfer 1 --to-call 2")?;
    callee.hears(VOICES[2], A_WHILE)?;
    third.hears(VOICES[1], A_WHILE)?;
    third.phone.bye()?;
    lab.until_idle(Duration::from_secs(5))?;

    phone.tell(&format!("call {}", number(&callee)))?;
    callee.is_called()?;
    callee.hears(VOICES[0], A_WHILE)?;
    phone.tell(&format!("transfer sip:tone@127.0.0.1:{}", lab.ports().sip))?;
    callee.hears(440.0, A_WHILE)?;
    callee.phone.bye()?;
    lab.until_idle(Duration::from_secs(5))?;
    drop(phone);
    let heard = Audio::read_wav(&ear)?;
    let [_, first, second] = VOICES.map(|voice| heard.time_of_tone(voice));
    ensure(first > Duration::from_secs(1) && !second.is_zero(), || {
        format!("linphone heard the phones for {first:?} and {second:?}: {}", ear.display())
    })
}
