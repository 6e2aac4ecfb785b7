//! Statistics for the host: `CHANNEL(rtpqos)`, the `RTPAUDIOQOS` variables, `sip show channelstats`.
//!
//! "Received" means received by us, as in chan_sip's column headings. Jitter is in seconds. Asterisk's own module exchanges sent
//! and received here, and reports the peer's jitter as practically zero.

use asterisk::rtp::Statistics;

use crate::state::State;

/// Returns the current statistics of a session.
pub fn statistics(state: &State) -> Statistics {
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
