//! A stranger that knows everything but the keys floods a call with 10,000 datagrams per second, half of them under the peer's
//! address. Both parties go on hearing each other, and the log stays readable.
//!
//! Raw sockets need root. Times are judged by those of the packets that come in, and by what the machine has time for, so that a
//! busy machine does not fail the call.

use std::fs;
use std::thread;
use std::time::Duration;

use e2e::failure::{Failure, Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::plain::{PLAIN_VOICE, PlainPhone};
use e2e::site::Site;
use e2e::stranger::{Eavesdropper, Protection, Spray, Stranger, Times, longest_gap};

/// The longest gap of a call that nobody disturbs is 20 ms and what a scheduler adds.
const GAP: Duration = Duration::from_millis(40);

/// The time of a packet.
const PACKET: Duration = Duration::from_millis(20);

/// Lines that a flood of 20 s may write.
const LINES: usize = 12;

/// Growth of the process that is no leak: arenas of threads that begin meanwhile.
const GROWTH: u64 = 4 << 20;

mod as_root {
    use super::*;

    #[test]
    #[ignore = "raw sockets need root"]
    fn an_encrypted_call_goes_on_through_a_flood() -> Result {
        let lab = Lab::start("stranger-webrtc", &Site::default())?;
        let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
        let plain = PlainPhone::answer(&lab, Duration::ZERO)?;
        let eavesdropper = Eavesdropper::start(&lab, Some(plain.port()))?;
        phone.dial("2001", RtcpMux::Require)?;
        phone.connected(Duration::from_secs(15))?;
        phone.hears(PLAIN_VOICE)?;
        let flood = Flood::of(&lab, &eavesdropper, Protection::Encrypted, Duration::from_secs(20))?;
        phone.hears(PLAIN_VOICE)?;
        phone.hangup()?;
        plain.finish(Duration::from_secs(20))?;
        eavesdropper.finish()?;
        flood.is_not_felt(&lab, |times| (&times.peer_to_asterisk, &times.asterisk_to_other))?;
        flood.is_not_felt(&lab, |times| (&times.other_to_asterisk, &times.asterisk_to_peer))
    }

    #[test]
    #[ignore = "raw sockets need root"]
    fn an_encrypted_call_is_set_up_in_a_flood() -> Result {
        let lab = Lab::start("stranger-first", &Site::default())?;
        let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
        let plain = PlainPhone::answer(&lab, Duration::from_secs(1))?;
        let eavesdropper = Eavesdropper::start(&lab, Some(plain.port()))?;
        let stranger = Stranger::start(&lab, &eavesdropper, Protection::Encrypted)?;
        phone.dial("2001", RtcpMux::Require)?;
        phone.connected(Duration::from_secs(15))?;
        phone.hears(PLAIN_VOICE)?;
        let spray = stranger.finish()?;
        println!("{spray:?}");
        phone.hangup()?;
        plain.finish(Duration::from_secs(20))?;
        eavesdropper.finish()
    }

    #[test]
    #[ignore = "raw sockets need root"]
    fn a_plain_call_goes_on_through_a_flood() -> Result {
        let lab = Lab::start("stranger-plain", &Site::default())?;
        let eavesdropper = Eavesdropper::start(&lab, None)?;
        let plain = PlainPhone::call(&lab, "echo", Duration::from_secs(18))?;
        thread::sleep(Duration::from_secs(6));
        let flood = Flood::of(&lab, &eavesdropper, Protection::None, Duration::from_secs(8))?;
        plain.finish(Duration::from_secs(40))?;
        eavesdropper.finish()?;
        flood.is_not_felt(&lab, |times| (&times.peer_to_asterisk, &times.asterisk_to_peer))
    }
}

/// A flood and what was measured meanwhile.
struct Flood {
    spray: Spray,
    times: Times,
    lines: Vec<String>,
    /// Memory before and after, in octets.
    memory: [u64; 2],
    /// Time of the processor.
    busy: Duration,
}

impl Flood {
    fn of(lab: &Lab, eavesdropper: &Eavesdropper, protection: Protection, length: Duration) -> Result<Self> {
        let (log, memory, busy) = (lab.log()?.lines().count(), memory(lab)?, processor_time(lab)?);
        eavesdropper.start_over();
        let stranger = Stranger::start(lab, eavesdropper, protection)?;
        thread::sleep(length);
        let times = eavesdropper.times();
        let spray = stranger.finish()?;
        let flood = Self {
            spray,
            times,
            lines: lab.log()?.lines().skip(log).map(str::to_owned).collect(),
            memory: [memory, self::memory(lab)?],
            busy: processor_time(lab)?.saturating_sub(busy),
        };
        println!("{spray:?}, {:?} of the processor, memory {:?}", flood.busy, flood.memory);
        println!("{}", flood.lines.join("\n"));
        Ok(flood)
    }

    /// Checks the way of media through Asterisk that `way` names: packets in, packets out.
    fn is_not_felt(&self, lab: &Lab, way: impl Fn(&Times) -> (&Vec<Duration>, &Vec<Duration>)) -> Result {
        let (came, went) = way(&self.times);
        let gaps = [came, went].map(|times| longest_gap(times));
        println!("longest gaps {gaps:?}, packets {} and {}", came.len(), went.len());
        let at = || lab.directory().display().to_string();
        let longest = GAP.max(gaps[0] + PACKET) + self.spray.late;
        ensure(gaps[1] <= longest, || format!("a gap of {:?}, where {longest:?} is allowed: {}", gaps[1], at()))?;
        ensure(went.len() * 20 >= came.len() * 19, || {
            format!("of {} packets {} went on: {}", came.len(), went.len(), at())
        })?;
        ensure(self.lines.len() <= LINES, || format!("{} lines in the log: {}", self.lines.len(), at()))?;
        let [before, after] = self.memory;
        ensure(after <= before + GROWTH, || format!("{before} octets of memory became {after}: {}", at()))?;
        let rate = f64::from(self.spray.sent) / self.spray.length.as_secs_f64();
        ensure(rate > 5_000.0, || format!("the stranger sent {rate} datagrams per second only"))
    }
}

/// The memory of Asterisk in octets (proc(5)).
fn memory(lab: &Lab) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", lab.asterisk().pid()))?;
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.map(|kilobytes: u64| kilobytes << 10).ok_or_else(|| Failure::new("Asterisk has no memory"))
}

/// The time that Asterisk has used the processor (proc(5)), in ticks of 10 ms.
fn processor_time(lab: &Lab) -> Result<Duration> {
    let status = fs::read_to_string(format!("/proc/{}/stat", lab.asterisk().pid()))?;
    let fields = status.rsplit_once(')').map(|(_, fields)| fields.split_whitespace()).into_iter().flatten();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}
