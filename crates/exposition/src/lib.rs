//! Metrics as text, in the two formats that Prometheus scrapes: the text format 0.0.4, and OpenMetrics 1.0.0.
//!
//! This crate knows no clock, no socket and no registry. Whoever is scraped makes a [`Page`] and writes its families into it, one
//! after the other, from counters that it has anyway. A [`Histogram`] is the one thing that has to be kept between two scrapes.
//!
//! Left out: summaries, exemplars, timestamps and `_created`, which nobody here has; gauge histograms, info and state sets of
//! OpenMetrics, which 0.0.4 lacks.
//!
//! The registries of `prometheus-client` and `prometheus` are built on `parking_lot`, whose thread-local data would keep an
//! unloaded module mapped, and each writes one of the two formats.
#![forbid(unsafe_code)]

mod format;
mod histogram;
mod page;

pub use format::Format;
pub use histogram::{Histogram, Reading};
pub use page::{Family, Page};
