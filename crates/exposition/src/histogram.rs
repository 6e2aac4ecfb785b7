//! Counts of observations by size, kept in atomics so that any thread may add to them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A histogram with `N` upper bounds, and the bucket above them.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: [f64; N],
    /// Observations by bucket, not cumulative.
    counts: [AtomicU64; N],
    above: AtomicU64,
    /// In millionths.
    sum: AtomicU64,
}

/// The content of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Upper bounds and the observations up to each.
    pub buckets: Vec<(f64, u64)>,
    /// All observations.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl<const N: usize> Histogram<N> {
    /// Creates an empty histogram. `bounds` ascend.
    pub const fn new(bounds: [f64; N]) -> Self {
        Self { bounds, counts: [const { AtomicU64::new(0) }; N], above: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    /// Counts one observation. Those below zero and those that are no numbers count as zero.
    pub fn observe(&self, value: f64) {
        let value = value.max(0.0);
        let bucket = self.bounds.iter().position(|bound| value <= *bound).and_then(|place| self.counts.get(place));
        bucket.unwrap_or(&self.above).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add((value * MILLION) as u64, Ordering::Relaxed);
    }

    /// Reads the histogram. Observations that are counted meanwhile may be in the sum alone.
    pub fn read(&self) -> Reading {
        let sum = self.sum.load(Ordering::Relaxed) as f64 / MILLION;
        let mut count = 0;
        let buckets = self.bounds.iter().zip(&self.counts).map(|(bound, of)| {
            count += of.load(Ordering::Relaxed);
            (*bound, count)
        });
        let buckets = buckets.collect();
        Reading { buckets, count: count + self.above.load(Ordering::Relaxed), sum }
    }
}

const MILLION: f64 = 1e6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_observation_is_in_every_bucket_that_it_fits_into() {
        static TIMES: Histogram<3> = Histogram::new([0.1, 1.0, 10.0]);
        for value in [0.05, 0.1, 0.5, 5.0, 50.0, -1.0, f64::NAN] {
            TIMES.observe(value);
        }
        let read = TIMES.read();
        assert_eq!(read.buckets, [(0.1, 4), (1.0, 5), (10.0, 6)]);
        assert_eq!(read.count, 7);
        assert!((read.sum - 55.65).abs() < 1e-6, "{}", read.sum);
    }
}
