//! Statistics as this host wants them.

use crate::rtp::Statistics;
use crate::sys;

/// Of jitter or loss: the core takes the root of it before it shows it.
pub fn deviation(value: f64) -> f64 {
    value * value
}

/// There is nothing more to be filled in.
///
/// # Safety
/// A live instance.
pub unsafe fn fill_more(
    _instance: *mut sys::ast_rtp_instance,
    _counted: &Statistics,
    _wanted: sys::ast_rtp_instance_stat,
    _to: &mut sys::ast_rtp_instance_stats,
) {
}
