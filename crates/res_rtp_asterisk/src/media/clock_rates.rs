//! RTP clock rates of payload types, needed to measure jitter (RFC 3550 §6.4.1).

/// RTP clock rates by payload type. Only the channel's thread may ask the host for them, so they are stored here for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockRates([Option<u32>; 128]);

impl Default for ClockRates {
    fn default() -> Self {
        Self([None; 128])
    }
}

impl ClockRates {
    /// Stores the clock rate of a payload type in Hz; 0 if its timestamps cannot be used for jitter. Returns whether the entry
    /// changed.
    pub fn learn(&mut self, payload_type: u8, rate: u32) -> bool {
        let known = self.0.get_mut(usize::from(payload_type));
        known.is_some_and(|known| known.replace(rate) != Some(rate))
    }

    /// Returns whether a rate is stored for the payload type.
    pub fn knows(&self, payload_type: u8) -> bool {
        self.0.get(usize::from(payload_type)).is_some_and(Option::is_some)
    }

    /// Returns whether it is known that the timestamps of the payload type cannot be used for jitter.
    pub fn is_without_clock(&self, payload_type: u8) -> bool {
        self.0.get(usize::from(payload_type)) == Some(&Some(0))
    }

    /// Returns the clock rate in Hz, if it is known and not 0.
    pub fn of(&self, payload_type: u8) -> Option<u32> {
        self.0.get(usize::from(payload_type)).copied().flatten().filter(|rate| *rate > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_news_once() {
        let mut rates = ClockRates::default();
        assert!(!rates.knows(101));
        assert!(rates.learn(0, 8000) && rates.learn(101, 0));
        assert!(!rates.learn(0, 8000) && !rates.learn(101, 0));
        assert_eq!((rates.of(0), rates.of(101)), (Some(8000), None));
        assert_eq!([0, 101, 102].map(|payload_type| rates.is_without_clock(payload_type)), [false, true, false]);
        assert!(rates.knows(101));
        assert!(rates.learn(0, 16_000));
        assert!(!rates.learn(128, 8000), "there are 128 payload types");
    }
}
