//! A flood of a call, and what was measured meanwhile.

use std::thread;
use std::time::Duration;

use super::{Eavesdropper, Spray, Stranger, Times, longest_gap};
use crate::failure::{Result, ensure};
use crate::lab::Lab;
use crate::phone::{Browser, Phone, RtcpMux};
use crate::plain::{PLAIN_VOICE, PlainPhone};
use crate::prefix::Version;
use crate::process::{self, Footprint};
use crate::site::Protection;

/// The longest gap of a call that nobody disturbs is 20 ms and what a scheduler adds.
const GAP: Duration = Duration::from_millis(40);

/// The time of a packet.
const PACKET: Duration = Duration::from_millis(20);

/// Lines that a flood of 20 s may write.
const LINES: usize = 12;

/// Growth of the process that is no leak: arenas of threads that begin meanwhile.
const GROWTH: u64 = 4 << 20;

/// A flood and what was measured meanwhile.
pub struct Flood {
    spray: Spray,
    times: Times,
    lines: Vec<String>,
    /// Memory before and after, in octets.
    memory: [u64; 2],
    /// Time of the processor.
    busy: Duration,
}

impl Flood {
    /// Floods the call for so long.
    pub fn of(lab: &Lab, eavesdropper: &Eavesdropper, protection: Protection, length: Duration) -> Result<Self> {
        let (log, memory, busy) = (lab.log()?.lines().count(), memory(lab)?, processor_time(lab)?);
        eavesdropper.start_over();
        let stranger = Stranger::start(lab, eavesdropper, protection)?;
        thread::sleep(length);
        let times = eavesdropper.times();
        let spray = stranger.finish()?;
        let flood = Self {
            spray,
            times,
            lines: lab.log()?.lines().skip(log).filter(|line| counts(line, lab)).map(str::to_owned).collect(),
            memory: [memory, self::memory(lab)?],
            busy: processor_time(lab)?.saturating_sub(busy),
        };
        println!("{spray:?}, {:?} of the processor, memory {:?}", flood.busy, flood.memory);
        println!("{}", flood.lines.join("\n"));
        Ok(flood)
    }

    /// Checks the way of media through Asterisk that `way` names: packets in, packets out.
    pub fn is_not_felt(&self, lab: &Lab, way: impl Fn(&Times) -> (&Vec<Duration>, &Vec<Duration>)) -> Result {
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

/// Whether a line of the log counts. Later hosts tell in their own debugging lines what they do with each packet.
fn counts(line: &str, lab: &Lab) -> bool {
    lab.asterisk().version() == Version::Eleven
        || ["WARNING[", "ERROR[", "NOTICE["].iter().any(|level| line.contains(level))
}

/// The resident memory of Asterisk in octets.
fn memory(lab: &Lab) -> Result<u64> {
    Ok((Footprint::of(lab.asterisk().pid())?.resident_kib as u64) << 10)
}

/// The time that Asterisk has used the processor.
fn processor_time(lab: &Lab) -> Result<Duration> {
    Ok(process::cpu(lab.asterisk().pid())?)
}

/// Checks that a call between a browser and a plain phone goes on through a flood of this length.
///
/// # Errors
/// When it does not, or more is logged than may be.
pub fn a_browser_is_not_disturbed(lab: &Lab, length: Duration) -> Result {
    let mut phone = Phone::registered(lab, Browser::Chromium, "1001")?;
    let plain = PlainPhone::answer(lab, Duration::ZERO)?;
    let eavesdropper = Eavesdropper::start(lab, Some(plain.port()))?;
    phone.dial("2001", RtcpMux::Require)?;
    phone.connected(Duration::from_secs(15))?;
    phone.hears(PLAIN_VOICE)?;
    let flood = Flood::of(lab, &eavesdropper, Protection::DtlsOverIce, length)?;
    phone.hears(PLAIN_VOICE)?;
    phone.hangup()?;
    plain.finish(Duration::from_secs(20))?;
    eavesdropper.finish()?;
    flood.is_not_felt(lab, |times| (&times.peer_to_asterisk, &times.asterisk_to_other))?;
    flood.is_not_felt(lab, |times| (&times.other_to_asterisk, &times.asterisk_to_peer))
}
