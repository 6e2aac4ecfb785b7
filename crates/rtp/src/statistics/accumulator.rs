//! Minimum, maximum, mean and standard deviation of a series whose samples are not kept. The host asks for them for
//! loss, jitter and round trip ("normdev" is its word for the mean).

/// Computes the statistics of a series of numbers in constant space (Welford's method).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Accumulator {
    count: u64,
    last: f64,
    min: f64,
    max: f64,
    mean: f64,
    squares: f64,
}

impl Accumulator {
    /// Takes in one sample.
    pub fn add(&mut self, sample: f64) {
        self.min = if self.count == 0 { sample } else { self.min.min(sample) };
        self.max = if self.count == 0 { sample } else { self.max.max(sample) };
        self.count += 1;
        self.last = sample;
        let before = sample - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (sample - self.mean);
    }

    /// The number of samples.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The newest sample, 0 before the first.
    pub fn last(&self) -> f64 {
        self.last
    }

    /// The smallest sample, 0 before the first.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The largest sample, 0 before the first.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// The arithmetic mean, 0 before the first sample.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The variance of the whole series, 0 before the second sample.
    pub fn variance(&self) -> f64 {
        if self.count < 2 { 0.0 } else { (self.squares / self.count as f64).max(0.0) }
    }

    /// The standard deviation of the whole series, 0 before the second sample.
    pub fn standard_deviation(&self) -> f64 {
        self.variance().sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_measured_is_all_zero() {
        let empty = Accumulator::default();
        assert_eq!((empty.min(), empty.max(), empty.mean(), empty.standard_deviation()), (0.0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn textbook_series() {
        let mut series = Accumulator::default();
        [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter().for_each(|sample| series.add(sample));
        assert_eq!((series.min(), series.max(), series.mean()), (2.0, 9.0, 5.0));
        assert!((series.standard_deviation() - 2.0).abs() < 1e-12);
        assert_eq!((series.count(), series.last()), (8, 9.0));
    }

    proptest! {
        #[test]
        fn agrees_with_two_passes(samples in prop::collection::vec(-1e6f64..1e6, 2..100)) {
            let mut series = Accumulator::default();
            samples.iter().for_each(|sample| series.add(*sample));
            let count = samples.len() as f64;
            let mean = samples.iter().sum::<f64>() / count;
            let variance = samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>() / count;
            prop_assert!((series.mean() - mean).abs() < 1e-6);
            prop_assert!((series.standard_deviation() - variance.sqrt()).abs() < 1e-4);
        }
    }
}
