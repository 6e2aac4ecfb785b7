//! Proves that a call works: the right tone at both ends, no packet lost, RTCP answered.

use std::ops::RangeInclusive;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::{Failure, Result, ensure};
use crate::lab::Lab;
use crate::phone::{Phone, RtcpMux};
use crate::site::{ANNOUNCEMENT, VOICE};

/// The settings of a call to `echo`.
#[derive(Clone, Copy, Debug)]
pub struct EchoCall {
    /// The minimum length of the call.
    pub length: Duration,
    /// Whether to put the call on hold and back by re-INVITEs.
    pub hold: bool,
    /// The browser's policy for rtcp-mux.
    pub rtcp: RtcpMux,
}

impl EchoCall {
    /// A call long enough for RTCP reports in both directions.
    pub const SHORT: Self = Self { length: Duration::from_secs(12), hold: false, rtcp: RtcpMux::Require };

    /// A call as users make it.
    pub const LONG: Self = Self { length: Duration::from_secs(40), hold: true, rtcp: RtcpMux::Require };

    /// A call that does not require rtcp-mux.
    pub fn negotiating(self) -> Self {
        Self { rtcp: RtcpMux::Negotiate, ..self }
    }

    /// Calls `number`, which leads to the dialplan's echo, and proves the call; returns the statistics.
    pub fn place(self, lab: &Lab, phone: &mut Phone, number: &str) -> Result<Value> {
        phone.call(number, self.rtcp)?;
        self.prove(lab, phone)
    }

    /// Proves a call to the dialplan's echo that was just set up, and ends it.
    pub fn prove(self, lab: &Lab, phone: &mut Phone) -> Result<Value> {
        let began = Instant::now();
        phone.hears(ANNOUNCEMENT)?;
        phone.hears(VOICE)?;
        let mut thrown_away = 0.0..=0.0;
        if self.hold {
            phone.hold()?;
            // Music on hold goes to the far end, which is an echo and returns nothing.
            phone.hears_nothing()?;
            phone.unhold()?;
            phone.hears(VOICE)?;
            let lost = phone.statistics()?["packetsLost"].as_f64().unwrap_or(f64::MAX);
            ensure(lost <= WHILE_IT_CHANGES, || format!("{lost} packets were lost on hold"))?;
            thrown_away = lost..=lost + ONE_MORE;
        }
        thread::sleep(self.length.saturating_sub(began.elapsed()));
        phone.hears(VOICE)?;
        let statistics = with_round_trip(phone)?;
        phone.hangup()?;
        lab.until_idle(Duration::from_secs(5))?;
        heard_by_asterisk(lab, Duration::from_secs(3))?;
        nothing_amiss(&thrown_away, &statistics)?;
        Ok(statistics)
    }
}

/// Returns the statistics once they have a round-trip time, or after ten seconds: reports come at random times (RFC 3550 §6.3), and ours has
/// to come after one of the browser's.
fn with_round_trip(phone: &mut Phone) -> Result<Value> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let statistics = phone.statistics()?;
        if statistics["roundTripTime"].is_number() || Instant::now() > end {
            return Ok(statistics);
        }
        thread::sleep(Duration::from_millis(500));
    }
}

/// Checks that the latest recording contains the browser's tone for this time.
pub fn heard_by_asterisk(lab: &Lab, least: Duration) -> Result {
    let recording = lab.recorded()?;
    let heard = recording.time_of_tone(VOICE);
    ensure(heard >= least, || {
        format!("Asterisk heard {VOICE} Hz for {heard:?} of {:?}: {}", recording.length(), lab.directory().display())
    })
}

/// Waits up to ten seconds until Asterisk hears the browser's tone in the call that is being recorded.
pub fn is_heard_by_asterisk(lab: &Lab) -> Result {
    let before = heard_so_far(lab);
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if heard_so_far(lab) >= before + Duration::from_secs(1) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err(Failure::new(format!("Asterisk does not hear {VOICE} Hz: {}", lab.directory().display())))
}

/// Waits up to ten seconds until Asterisk hears the browser's tone no longer.
pub fn is_not_heard_by_asterisk(lab: &Lab) -> Result {
    let (mut before, end) = (heard_so_far(lab), Instant::now() + Duration::from_secs(10));
    while Instant::now() < end {
        thread::sleep(Duration::from_secs(2));
        let now = heard_so_far(lab);
        if now == before {
            return Ok(());
        }
        before = now;
    }
    Err(Failure::new(format!("Asterisk still hears {VOICE} Hz: {}", lab.directory().display())))
}

/// The time of the browser's tone in the latest recording, which does not exist before the first packet.
fn heard_so_far(lab: &Lab) -> Duration {
    lab.recorded().map(|recording| recording.time_of_tone(VOICE)).unwrap_or_default()
}

/// The most packets that Firefox may count as lost per hold: it drops packets that arrive while it changes the
/// direction of media after a hold. Mostly none, but a second of them was seen even with a host's own modules, without
/// a gap on the wire.
const WHILE_IT_CHANGES: f64 = 50.0;

/// One further packet that Firefox sometimes counts later, also without a gap on the wire.
const ONE_MORE: f64 = 1.0;

/// Checks that packets flowed both ways, that none were lost except during a hold, and that RTCP gave a
/// round-trip time.
fn nothing_amiss(thrown_away: &RangeInclusive<f64>, statistics: &Value) -> Result {
    let number = |name: &str| statistics[name].as_f64();
    let holds = number("packetsReceived") > Some(100.0)
        && number("packetsSent") > Some(100.0)
        && number("packetsLost").is_some_and(|lost| thrown_away.contains(&lost))
        && number("remotePacketsLost") == Some(0.0)
        && number("roundTripTime").is_some();
    ensure(holds, || format!("the statistics are not those of a good call: {statistics}"))
}
