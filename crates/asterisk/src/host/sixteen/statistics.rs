//! Statistics as Asterisk 16 and later expect them. The host also shows all of them as JSON (ARI's `rtp_statistics`).

use std::ffi::{CStr, c_char};

use crate::rtp::{Statistics, fill};
use crate::sys;

/// Converts a deviation of jitter or loss: the core takes the square root before it shows the value.
#[cfg(feature = "host-16")]
pub fn deviation(value: f64) -> f64 {
    value * value
}

/// Converts a deviation of jitter or loss: the core shows the value unchanged.
#[cfg(feature = "host-22")]
pub fn deviation(value: f64) -> f64 {
    value
}

/// Fills in statistics that older hosts do not have.
///
/// # Safety
/// A live instance.
pub unsafe fn fill_more(
    instance: *mut sys::ast_rtp_instance,
    counted: &Statistics,
    wanted: sys::ast_rtp_instance_stat,
    to: &mut sys::ast_rtp_instance_stats,
) {
    fill!(wanted, counted, to;
        AST_RTP_INSTANCE_STAT_TXOCTETCOUNT in AST_RTP_INSTANCE_STAT_TXOCTETCOUNT => txoctetcount,
        AST_RTP_INSTANCE_STAT_RXOCTETCOUNT in AST_RTP_INSTANCE_STAT_RXOCTETCOUNT => rxoctetcount,
    );
    #[cfg(feature = "host-22")]
    fill!(wanted, counted, to;
        AST_RTP_INSTANCE_STAT_TXMES in AST_RTP_INSTANCE_STAT_COMBINED_MES => txmes,
        AST_RTP_INSTANCE_STAT_RXMES in AST_RTP_INSTANCE_STAT_COMBINED_MES => rxmes,
        AST_RTP_INSTANCE_STAT_REMOTE_MAXMES in AST_RTP_INSTANCE_STAT_COMBINED_MES => remote_maxmes,
        AST_RTP_INSTANCE_STAT_REMOTE_MINMES in AST_RTP_INSTANCE_STAT_COMBINED_MES => remote_minmes,
        AST_RTP_INSTANCE_STAT_REMOTE_NORMDEVMES in AST_RTP_INSTANCE_STAT_COMBINED_MES => remote_normdevmes,
        AST_RTP_INSTANCE_STAT_REMOTE_STDEVMES in AST_RTP_INSTANCE_STAT_COMBINED_MES => remote_stdevmes,
        AST_RTP_INSTANCE_STAT_LOCAL_MAXMES in AST_RTP_INSTANCE_STAT_COMBINED_MES => local_maxmes,
        AST_RTP_INSTANCE_STAT_LOCAL_MINMES in AST_RTP_INSTANCE_STAT_COMBINED_MES => local_minmes,
        AST_RTP_INSTANCE_STAT_LOCAL_NORMDEVMES in AST_RTP_INSTANCE_STAT_COMBINED_MES => local_normdevmes,
        AST_RTP_INSTANCE_STAT_LOCAL_STDEVMES in AST_RTP_INSTANCE_STAT_COMBINED_MES => local_stdevmes,
    );
    if [sys::AST_RTP_INSTANCE_STAT_CHANNEL_UNIQUEID, sys::AST_RTP_INSTANCE_STAT_ALL].contains(&wanted) {
        // SAFETY: guaranteed by our caller; the id lives as long as the instance.
        let id = unsafe { CStr::from_ptr(sys::ast_rtp_instance_get_channel_id(instance)) };
        copy(id, &mut to.channel_uniqueid);
    }
}

/// Copies as much of the text as there is room for.
fn copy(text: &CStr, to: &mut [c_char]) {
    let room = to.len().saturating_sub(1);
    to.fill(0);
    for (byte, place) in text.to_bytes().iter().zip(to.iter_mut().take(room)) {
        *place = byte.cast_signed();
    }
}
