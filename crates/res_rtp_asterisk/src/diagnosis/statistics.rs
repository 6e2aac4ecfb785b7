//! Statistics for the host: `CHANNEL(rtpqos)`, the `RTPAUDIOQOS` variables, `sip show channelstats`.
//!
//! "Received" means received by us, as in chan_sip's column headings. Jitter is in seconds. Asterisk 11's own module exchanges sent
//! and received here, reports the peer's jitter as practically zero and its extremes in timestamp units; `statistics = original` in
//! `rtp.conf` does the same.

use asterisk::rtp::{Figures, Statistics};

use crate::state::State;

/// Returns the current statistics of a session, as the host is to be told them.
pub fn told(state: &State) -> Statistics {
    let known = statistics(state);
    match state.settings().figures {
        Figures::Correct => known,
        Figures::Original => {
            let sender = state.source().statistics();
            let reported = sender.remote().last.map_or(0, |block| block.jitter_in_timestamp_units);
            as_original(known, reported, sender.clock_rate())
        }
    }
}

/// Exchanges the two jitters and converts the peer's to timestamp units of `clock_rate`. `reported` is the jitter of the peer's last
/// report, in the same units.
fn as_original(known: Statistics, reported: u32, clock_rate: Option<u32>) -> Statistics {
    let ticks = |seconds: f64| seconds * f64::from(clock_rate.unwrap_or(0));
    Statistics {
        txjitter: known.rxjitter,
        rxjitter: f64::from(reported / 65_536),
        remote_maxjitter: ticks(known.remote_maxjitter),
        remote_minjitter: ticks(known.remote_minjitter),
        remote_normdevjitter: ticks(known.remote_normdevjitter),
        remote_stdevjitter: ticks(known.remote_stdevjitter),
        ..known
    }
}

/// Returns the current statistics of a session.
fn statistics(state: &State) -> Statistics {
    let (receiver, sender) = (state.receiver(), state.source().statistics());
    let remote = sender.remote();
    let (here, there) = (&state.rtcp().scores().here, &state.rtcp().scores().there);
    let (ours, loss) = (receiver.jitter_statistics(), receiver.loss_statistics());
    Statistics {
        txcount: count(sender.packets()),
        rxcount: count(receiver.packets()),
        txoctetcount: count(sender.octets()),
        rxoctetcount: count(receiver.octets()),
        txjitter: remote.jitter.last(),
        rxjitter: receiver.jitter().as_secs_f64(),
        remote_maxjitter: remote.jitter.max(),
        remote_minjitter: remote.jitter.min(),
        remote_normdevjitter: remote.jitter.mean(),
        remote_stdevjitter: remote.jitter.standard_deviation(),
        local_maxjitter: ours.max(),
        local_minjitter: ours.min(),
        local_normdevjitter: ours.mean(),
        local_stdevjitter: ours.standard_deviation(),
        txploss: remote.last.map_or(0, |block| u32::try_from(block.cumulative_lost).unwrap_or(0)),
        rxploss: u32::try_from(receiver.cumulative_lost().max(0)).unwrap_or(u32::MAX),
        remote_maxrxploss: remote.lost.max(),
        remote_minrxploss: remote.lost.min(),
        remote_normdevrxploss: remote.lost.mean(),
        remote_stdevrxploss: remote.lost.standard_deviation(),
        local_maxrxploss: loss.max(),
        local_minrxploss: loss.min(),
        local_normdevrxploss: loss.mean(),
        local_stdevrxploss: loss.standard_deviation(),
        rtt: remote.round_trip.last(),
        maxrtt: remote.round_trip.max(),
        minrtt: remote.round_trip.min(),
        normdevrtt: remote.round_trip.mean(),
        stdevrtt: remote.round_trip.standard_deviation(),
        txmes: there.last(),
        rxmes: here.last(),
        remote_maxmes: there.max(),
        remote_minmes: there.min(),
        remote_normdevmes: there.mean(),
        remote_stdevmes: there.standard_deviation(),
        local_maxmes: here.max(),
        local_minmes: here.min(),
        local_normdevmes: here.mean(),
        local_stdevmes: here.standard_deviation(),
        local_ssrc: state.source().ssrc(),
        // The host compares this value to notice that a new description names another SSRC.
        remote_ssrc: state.bundle().marks().described_ssrc.or(receiver.ssrc()).unwrap_or(0),
    }
}

/// Returns the line that `rtcp set stats on` shows when a session ends.
pub fn summary(state: &State) -> String {
    let known = statistics(state);
    format!(
        "RTP statistics: sent {} packets (lost {}, jitter {:.4} s), received {} packets (lost {}, jitter {:.4} s), round trip {:.4} s",
        known.txcount, known.txploss, known.txjitter, known.rxcount, known.rxploss, known.rxjitter, known.rtt
    )
}

/// Converts a count to the 32 bits of the host's statistics; larger counts become the maximum.
fn count(packets_or_octets: u64) -> u32 {
    u32::try_from(packets_or_octets).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashboards_may_have_jitter_as_the_original_tells_it() {
        let known = Statistics {
            rxjitter: 0.004,
            txjitter: 0.0125,
            remote_maxjitter: 0.02,
            remote_minjitter: 0.005,
            local_maxjitter: 0.007,
            rtt: 0.025,
            ..Statistics::default()
        };
        let told = as_original(known, 100, Some(8000));
        assert_eq!((told.txjitter, told.rxjitter), (0.004, 0.0));
        assert_eq!((told.remote_maxjitter, told.remote_minjitter), (160.0, 40.0));
        assert_eq!((told.local_maxjitter, told.rtt), (0.007, 0.025));
        assert_eq!(as_original(known, 70_000, None).rxjitter, 1.0);
    }
}
