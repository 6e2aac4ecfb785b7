//! Text phones (T.140, RFC 4103) through `chan_sip`: what is typed at one end is read at the other, with redundancy, without, and
//! with different payload types at both ends.

use std::thread;
use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::site::Site;
use e2e::text::{Account, Offer, Received, TextPhone};

const RED: Offer = Offer { red: Some(100), t140: 98, loses: false };
const PLAIN: Offer = Offer { red: None, t140: 96, loses: false };

/// The time that text needs through Asterisk: an interval for each packet, and the repetitions.
const ON_ITS_WAY: Duration = Duration::from_millis(1500);

/// A bridge of Asterisk 16 drops the text of one channel until the other has joined, which is after the caller's 200.
const UNTIL_BRIDGED: Duration = Duration::from_millis(1500);

fn lab(name: &str) -> Result<Lab> {
    Lab::start(name, &Site { text: true, ..Site::default() })
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn what_is_typed_comes_back_in_red() -> Result {
    let lab = lab("text-echo")?;
    let phone = TextPhone::call(&lab, Account::First, "mirror", RED)?;
    phone.types_slowly(&["Olá, ", "mundo ", "€!"]);
    thread::sleep(ON_ITS_WAY);
    let received = phone.hang_up()?;
    reads(&received, "Olá, mundo €!")?;
    let packets = &received.packets;
    ensure(packets.iter().all(|packet| packet.payload_type == 100), || format!("not in RED: {packets:?}"))?;
    ensure(packets.first().is_some_and(|packet| packet.marker), || format!("no marker: {packets:?}"))?;
    let steps: Vec<_> = packets.windows(2).map(|two| two[1].timestamp.wrapping_sub(two[0].timestamp)).collect();
    ensure(steps.iter().all(|step| (300..700).contains(step)), || format!("timestamps: {steps:?}"))?;
    lab.until_idle(Duration::from_secs(5))
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn no_character_is_lost_when_one_in_ten_packets_is() -> Result {
    let lab = lab("text-loss")?;
    let called = TextPhone::answer(&lab, Account::Second, Offer { red: Some(112), t140: 111, loses: true })?;
    let caller = TextPhone::call(&lab, Account::First, "2004", Offer { loses: true, ..RED })?;
    let words: Vec<String> = (0..16).map(|number| format!("word {number}, ")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    thread::sleep(UNTIL_BRIDGED);
    caller.types_slowly(&words[..8]);
    called.types("hello ");
    caller.types_slowly(&words[8..]);
    called.types("goodbye");
    thread::sleep(ON_ITS_WAY);
    reads(&caller.hang_up()?, "hello goodbye")?;
    reads(&called.finish()?, &words.concat())?;
    lab.until_idle(Duration::from_secs(5))
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_phone_with_redundancy_and_one_without_read_each_other() -> Result {
    let lab = lab("text-plain")?;
    let called = TextPhone::answer(&lab, Account::Second, PLAIN)?;
    let caller = TextPhone::call(&lab, Account::First, "2004", RED)?;
    thread::sleep(UNTIL_BRIDGED);
    caller.types_slowly(&["to ", "plain ", "text"]);
    called.types_slowly(&["and ", "back"]);
    thread::sleep(ON_ITS_WAY);
    let received = caller.hang_up()?;
    reads(&received, "and back")?;
    ensure(received.packets.iter().all(|packet| packet.payload_type == 100), || format!("{received:?}"))?;
    let received = called.finish()?;
    reads(&received, "to plain text")?;
    let steps: Vec<_> =
        received.packets.windows(2).map(|two| two[1].timestamp.wrapping_sub(two[0].timestamp)).collect();
    ensure(steps.iter().all(|step| (250..700).contains(step)), || format!("timestamps: {steps:?}"))
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn text_of_the_dialplan_arrives_also_the_last_before_the_hangup() -> Result {
    let lab = lab("text-dialplan")?;
    let phone = TextPhone::call(&lab, Account::First, "says", RED)?;
    reads(&phone.finish()?, "Olá, mundo €!")?;
    let plain = TextPhone::call(&lab, Account::First, "says", PLAIN)?;
    reads(&plain.finish()?, "Olá, mundo €!")
}

fn reads(received: &Received, expected: &str) -> Result {
    ensure(received.text == expected, || format!("{received:?} instead of {expected:?}"))
}
