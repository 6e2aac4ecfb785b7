//! What makes a call a call: the right tone at both ends, nothing lost, RTCP answered.

use std::ops::RangeInclusive;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::{Result, ensure};
use crate::lab::Lab;
use crate::phone::{Phone, RtcpMux};
use crate::site::{ANNOUNCEMENT, VOICE};

/// How thoroughly a call to `echo` is tried.
#[derive(Clone, Copy, Debug)]
pub struct EchoCall {
    /// At least this long.
    pub length: Duration,
    /// With a re-INVITE for hold, and one back.
    pub hold: bool,
    /// What the browser is told about RTCP.
    pub rtcp: RtcpMux,
}

impl EchoCall {
    /// Long enough for RTCP both ways.
    pub const SHORT: Self = Self { length: Duration::from_secs(12), hold: false, rtcp: RtcpMux::Require };

    /// What the browsers' users do.
    pub const LONG: Self = Self { length: Duration::from_secs(40), hold: true, rtcp: RtcpMux::Require };

    /// The same without asking for rtcp-mux.
    pub fn negotiating(self) -> Self {
        Self { rtcp: RtcpMux::Negotiate, ..self }
    }

    /// Calls `number`, which ends at the dialplan's echo, and proves it; returns the statistics.
    pub fn place(self, lab: &Lab, phone: &mut Phone, number: &str) -> Result<Value> {
        phone.call(number, self.rtcp)?;
        self.prove(lab, phone)
    }

    /// Proves a call to the dialplan's echo that has just been set up, and ends it.
    pub fn prove(self, lab: &Lab, phone: &mut Phone) -> Result<Value> {
        let began = Instant::now();
        phone.hears(ANNOUNCEMENT)?;
        phone.hears(VOICE)?;
        let mut thrown_away = 0.0..=0.0;
        if self.hold {
            phone.hold()?;
            // Music on hold is for the far end, which is an echo of nothing.
            phone.hears_nothing()?;
            phone.unhold()?;
            phone.hears(VOICE)?;
            let lost = phone.statistics()?["packetsLost"].as_f64().unwrap_or(f64::MAX);
            ensure(lost <= WHILE_IT_CHANGES, || format!("{lost} packets were lost on hold"))?;
            thrown_away = lost..=lost + ONE_MORE;
        }
        thread::sleep(self.length.saturating_sub(began.elapsed()));
        phone.hears(VOICE)?;
        let statistics = phone.statistics()?;
        phone.hangup()?;
        lab.until_idle(Duration::from_secs(5))?;
        heard_by_asterisk(lab, Duration::from_secs(3))?;
        nothing_amiss(&thrown_away, &statistics)?;
        Ok(statistics)
    }
}

/// The latest recording holds the browser's tone for so long.
pub fn heard_by_asterisk(lab: &Lab, least: Duration) -> Result {
    let recording = lab.recorded()?;
    let heard = recording.time_of_tone(VOICE);
    ensure(heard >= least, || {
        format!("Asterisk heard {VOICE} Hz for {heard:?} of {:?}: {}", recording.length(), lab.directory().display())
    })
}

/// Firefox throws away what arrives while it changes the direction of its media after a hold, and counts it as lost: mostly
/// nothing, but a second of it was seen, with a host's own modules. On the wire the sequence numbers have no gap there.
const WHILE_IT_CHANGES: f64 = 50.0;

/// And sometimes it counts one packet later, with no gap on the wire either.
const ONE_MORE: f64 = 1.0;

/// Packets both ways, none lost either way but what a hold may have had thrown away, and a round trip that RTCP told.
fn nothing_amiss(thrown_away: &RangeInclusive<f64>, statistics: &Value) -> Result {
    let number = |name: &str| statistics[name].as_f64();
    let holds = number("packetsReceived") > Some(100.0)
        && number("packetsSent") > Some(100.0)
        && number("packetsLost").is_some_and(|lost| thrown_away.contains(&lost))
        && number("remotePacketsLost") == Some(0.0)
        && number("roundTripTime").is_some();
    ensure(holds, || format!("something is amiss: {statistics}"))
}
