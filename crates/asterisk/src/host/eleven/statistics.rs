//! Statistics as Asterisk 11 expects them.

use crate::rtp::Statistics;
use crate::sys;

/// Converts a deviation of jitter or loss: the core takes the square root before it shows the value.
pub fn deviation(value: f64) -> f64 {
    value * value
}

/// Fills in statistics that only some hosts have: none.
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
