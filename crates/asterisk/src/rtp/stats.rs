//! The statistics of a session in the host's units, and the groups in which the host requests them.

use super::Instance;
use crate::{host, sys};

/// The statistics of a session. The names are the host's: `local` is what we measured, `remote` what the peer
/// reported, `norm` a mean, `mes` the media experience score.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[allow(missing_docs, reason = "the host's names, explained as a whole")]
pub struct Statistics {
    pub txcount: u32,
    pub rxcount: u32,
    pub txoctetcount: u32,
    pub rxoctetcount: u32,
    pub txjitter: f64,
    pub rxjitter: f64,
    pub remote_maxjitter: f64,
    pub remote_minjitter: f64,
    pub remote_normdevjitter: f64,
    pub remote_stdevjitter: f64,
    pub local_maxjitter: f64,
    pub local_minjitter: f64,
    pub local_normdevjitter: f64,
    pub local_stdevjitter: f64,
    pub txploss: u32,
    pub rxploss: u32,
    pub remote_maxrxploss: f64,
    pub remote_minrxploss: f64,
    pub remote_normdevrxploss: f64,
    pub remote_stdevrxploss: f64,
    pub local_maxrxploss: f64,
    pub local_minrxploss: f64,
    pub local_normdevrxploss: f64,
    pub local_stdevrxploss: f64,
    pub rtt: f64,
    pub maxrtt: f64,
    pub minrtt: f64,
    pub normdevrtt: f64,
    pub stdevrtt: f64,
    pub txmes: f64,
    pub rxmes: f64,
    pub remote_maxmes: f64,
    pub remote_minmes: f64,
    pub remote_normdevmes: f64,
    pub remote_stdevmes: f64,
    pub local_maxmes: f64,
    pub local_minmes: f64,
    pub local_normdevmes: f64,
    pub local_stdevmes: f64,
    pub local_ssrc: u32,
    pub remote_ssrc: u32,
}

/// Copies a value if it is requested, by itself or with its group or with all.
macro_rules! fill {
    ($wanted:expr, $from:expr, $to:expr; $($stat:ident in $group:ident => $field:ident,)+) => {
        $(if [$crate::sys::$stat, $crate::sys::$group, $crate::sys::AST_RTP_INSTANCE_STAT_ALL].contains(&$wanted) {
            $to.$field = $from.$field;
        })+
    };
}
pub(crate) use fill;

impl Statistics {
    /// Copies the requested values: one, a group, or all.
    pub(super) fn tell(
        &self,
        instance: Instance<'_>,
        wanted: sys::ast_rtp_instance_stat,
        to: &mut sys::ast_rtp_instance_stats,
    ) {
        self.fill(wanted, to);
        // SAFETY: the instance is lent to us.
        unsafe { host::statistics::fill_more(instance.as_ptr(), self, wanted, to) };
    }

    fn fill(&self, wanted: sys::ast_rtp_instance_stat, to: &mut sys::ast_rtp_instance_stats) {
        let told = Self {
            remote_stdevjitter: host::statistics::deviation(self.remote_stdevjitter),
            local_stdevjitter: host::statistics::deviation(self.local_stdevjitter),
            remote_stdevrxploss: host::statistics::deviation(self.remote_stdevrxploss),
            local_stdevrxploss: host::statistics::deviation(self.local_stdevrxploss),
            ..*self
        };
        super::fill!(wanted, told, to;
            AST_RTP_INSTANCE_STAT_TXCOUNT in AST_RTP_INSTANCE_STAT_TXCOUNT => txcount,
            AST_RTP_INSTANCE_STAT_RXCOUNT in AST_RTP_INSTANCE_STAT_RXCOUNT => rxcount,
            AST_RTP_INSTANCE_STAT_TXPLOSS in AST_RTP_INSTANCE_STAT_COMBINED_LOSS => txploss,
            AST_RTP_INSTANCE_STAT_RXPLOSS in AST_RTP_INSTANCE_STAT_COMBINED_LOSS => rxploss,
            AST_RTP_INSTANCE_STAT_REMOTE_MAXRXPLOSS in AST_RTP_INSTANCE_STAT_COMBINED_LOSS => remote_maxrxploss,
            AST_RTP_INSTANCE_STAT_REMOTE_MINRXPLOSS in AST_RTP_INSTANCE_STAT_COMBINED_LOSS => remote_minrxploss,
            AST_RTP_INSTANCE_STAT_REMOTE_NORMDEVRXPLOSS in AST_RTP_INSTANCE_STAT_COMBINED_LOSS => remote_normdevrxploss,
            AST_RTP_INSTANCE_STAT_REMOTE_STDEVRXPLOSS in AST_RTP_INSTANCE_STAT_COMBINED_LOSS => remote_stdevrxploss,
            AST_RTP_INSTANCE_STAT_LOCAL_MAXRXPLOSS in AST_RTP_INSTANCE_STAT_COMBINED_LOSS => local_maxrxploss,
            AST_RTP_INSTANCE_STAT_LOCAL_MINRXPLOSS in AST_RTP_INSTANCE_STAT_COMBINED_LOSS => local_minrxploss,
            AST_RTP_INSTANCE_STAT_LOCAL_NORMDEVRXPLOSS in AST_RTP_INSTANCE_STAT_COMBINED_LOSS => local_normdevrxploss,
            AST_RTP_INSTANCE_STAT_LOCAL_STDEVRXPLOSS in AST_RTP_INSTANCE_STAT_COMBINED_LOSS => local_stdevrxploss,
            AST_RTP_INSTANCE_STAT_TXJITTER in AST_RTP_INSTANCE_STAT_COMBINED_JITTER => txjitter,
            AST_RTP_INSTANCE_STAT_RXJITTER in AST_RTP_INSTANCE_STAT_COMBINED_JITTER => rxjitter,
            AST_RTP_INSTANCE_STAT_REMOTE_MAXJITTER in AST_RTP_INSTANCE_STAT_COMBINED_JITTER => remote_maxjitter,
            AST_RTP_INSTANCE_STAT_REMOTE_MINJITTER in AST_RTP_INSTANCE_STAT_COMBINED_JITTER => remote_minjitter,
            AST_RTP_INSTANCE_STAT_REMOTE_NORMDEVJITTER in AST_RTP_INSTANCE_STAT_COMBINED_JITTER => remote_normdevjitter,
            AST_RTP_INSTANCE_STAT_REMOTE_STDEVJITTER in AST_RTP_INSTANCE_STAT_COMBINED_JITTER => remote_stdevjitter,
            AST_RTP_INSTANCE_STAT_LOCAL_MAXJITTER in AST_RTP_INSTANCE_STAT_COMBINED_JITTER => local_maxjitter,
            AST_RTP_INSTANCE_STAT_LOCAL_MINJITTER in AST_RTP_INSTANCE_STAT_COMBINED_JITTER => local_minjitter,
            AST_RTP_INSTANCE_STAT_LOCAL_NORMDEVJITTER in AST_RTP_INSTANCE_STAT_COMBINED_JITTER => local_normdevjitter,
            AST_RTP_INSTANCE_STAT_LOCAL_STDEVJITTER in AST_RTP_INSTANCE_STAT_COMBINED_JITTER => local_stdevjitter,
            AST_RTP_INSTANCE_STAT_RTT in AST_RTP_INSTANCE_STAT_COMBINED_RTT => rtt,
            AST_RTP_INSTANCE_STAT_MAX_RTT in AST_RTP_INSTANCE_STAT_COMBINED_RTT => maxrtt,
            AST_RTP_INSTANCE_STAT_MIN_RTT in AST_RTP_INSTANCE_STAT_COMBINED_RTT => minrtt,
            AST_RTP_INSTANCE_STAT_NORMDEVRTT in AST_RTP_INSTANCE_STAT_COMBINED_RTT => normdevrtt,
            AST_RTP_INSTANCE_STAT_STDEVRTT in AST_RTP_INSTANCE_STAT_COMBINED_RTT => stdevrtt,
            AST_RTP_INSTANCE_STAT_LOCAL_SSRC in AST_RTP_INSTANCE_STAT_LOCAL_SSRC => local_ssrc,
            AST_RTP_INSTANCE_STAT_REMOTE_SSRC in AST_RTP_INSTANCE_STAT_REMOTE_SSRC => remote_ssrc,
        );
    }
}

#[cfg(all(test, not(any(feature = "host-16", feature = "host-22"))))]
mod tests {
    use super::*;

    #[test]
    fn asterisk_11_takes_the_root_of_some_deviations() {
        let counted =
            Statistics { local_stdevjitter: 3.0, remote_stdevrxploss: 2.0, stdevrtt: 5.0, ..Statistics::default() };
        let mut all = sys::ast_rtp_instance_stats::default();
        counted.fill(sys::AST_RTP_INSTANCE_STAT_ALL, &mut all);
        assert_eq!((all.local_stdevjitter, all.remote_stdevrxploss, all.stdevrtt), (9.0, 4.0, 5.0));
    }

    #[test]
    fn only_requested_values_are_filled_in() {
        let counted = Statistics { txcount: 7, rtt: 0.25, maxrtt: 0.5, remote_ssrc: 9, ..Statistics::default() };
        let mut one = sys::ast_rtp_instance_stats::default();
        counted.fill(sys::AST_RTP_INSTANCE_STAT_TXCOUNT, &mut one);
        assert_eq!((one.txcount, one.rtt, one.remote_ssrc), (7, 0.0, 0));
        let mut group = sys::ast_rtp_instance_stats::default();
        counted.fill(sys::AST_RTP_INSTANCE_STAT_COMBINED_RTT, &mut group);
        assert_eq!((group.txcount, group.rtt, group.maxrtt), (0, 0.25, 0.5));
        let mut all = sys::ast_rtp_instance_stats::default();
        counted.fill(sys::AST_RTP_INSTANCE_STAT_ALL, &mut all);
        assert_eq!((all.txcount, all.rtt, all.remote_ssrc), (7, 0.25, 9));
    }
}
