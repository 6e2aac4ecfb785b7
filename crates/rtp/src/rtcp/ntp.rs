//! The time of day as RTCP carries it (RFC 3550 §4): seconds since 1900 and a fraction.

use std::time::Duration;

/// A 64-bit NTP timestamp: seconds since 1900 in the upper 32 bits, a binary fraction in the lower 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NtpTimestamp(pub u64);

impl NtpTimestamp {
    /// Converts a time of day, given as time since 1970.
    pub fn from_unix(since_1970: Duration) -> Self {
        let seconds = since_1970.as_secs().wrapping_add(SECONDS_1900_TO_1970);
        let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
        Self(seconds << 32 | fraction)
    }

    /// Converts to the time since 1970, for times between 1970 and 2106. The seconds wrap in 2036.
    pub fn to_unix(self) -> Duration {
        let seconds = self.seconds().wrapping_sub(SECONDS_1900_TO_1970 as u32);
        let nanoseconds = (u64::from(self.fraction()) * 1_000_000_000) >> 32;
        Duration::new(seconds.into(), nanoseconds as u32)
    }

    /// Seconds since 1900, modulo 2^32.
    pub fn seconds(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Fraction of a second in units of 2^-32.
    pub fn fraction(self) -> u32 {
        self.0 as u32
    }

    /// The middle 32 bits, which a report block quotes as LSR (§6.4.1).
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

const SECONDS_1900_TO_1970: u64 = 2_208_988_800;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_comes_back_also_after_2036() {
        for time in [Duration::new(816_003_205, 125_000_000), Duration::new(2_500_000_000, 500_000_000)] {
            assert_eq!(NtpTimestamp::from_unix(time).to_unix(), time);
        }
    }

    #[test]
    fn rfc3550_section_4_epoch_and_fraction() {
        let ntp = NtpTimestamp::from_unix(Duration::new(0, 500_000_000));
        assert_eq!((ntp.seconds(), ntp.fraction()), (2_208_988_800, 0x8000_0000));
        // RFC 3550 figure 2: 10 Nov 1995 11:33:25.125 UTC is b44d:b705 : 2000:0000.
        let figure = NtpTimestamp::from_unix(Duration::new(816_003_205, 125_000_000));
        assert_eq!((figure.0, figure.middle()), (0xB44D_B705_2000_0000, 0xB705_2000));
    }
}
