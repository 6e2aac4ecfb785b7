//! Metrics for Prometheus: `/metrics` in the host's HTTP server, with the counters of all our modules.
//!
//! This module has most of them and is in every installation of ours, so it serves the page. The others write their part when asked
//! ([`asterisk::metrics`]). Packets cost nothing here: their counts are those that sessions keep anyway, summed up when somebody
//! asks; a session adds its own to [`totals`] when it ends. [`kept`] has what happens a few times in a call.

pub mod kept;
mod page;
mod responder;
pub mod settings;
pub mod steps;
pub mod totals;

pub use responder::{configure, stop};
