//! How large a capture may become, and how long it may last.

use std::fmt;
use std::time::Duration;

/// The limits of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most octets of the file.
    pub octets: u64,
    /// The longest time.
    pub time: Duration,
}

/// A word that is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Neither a size nor a time.
    #[error("'{0}' is neither a size, as in 500MB, nor a time, as in 90s, 30min or 2h")]
    Unknown(String),
    /// More than is allowed, or nothing.
    #[error("'{0}' is not between 1KB and 100GB, or 1s and 24h")]
    OutOfRange(String),
}

impl Default for Limits {
    /// 100 MB and 10 minutes.
    fn default() -> Self {
        Self { octets: 100_000_000, time: Duration::from_secs(600) }
    }
}

impl Limits {
    /// Returns the limits with those that words such as `500MB` and `30min` set, in any order and case.
    pub fn with_words(self, words: &[&str]) -> Result<Self, LimitError> {
        words.iter().try_fold(self, |limits, word| limits.with(word))
    }

    /// Returns the limits with the one that a word such as `500MB` or `30min` sets.
    pub fn with(mut self, word: &str) -> Result<Self, LimitError> {
        let unknown = || LimitError::Unknown(word.to_owned());
        let end = word.find(|character: char| !character.is_ascii_digit()).unwrap_or(word.len());
        let (number, unit) = word.split_at(end);
        let number: u64 = number.parse().map_err(|_| unknown())?;
        let is_size = match unit.to_ascii_lowercase().as_str() {
            "kb" => self.set_octets(number, 1000),
            "mb" => self.set_octets(number, 1_000_000),
            "gb" => self.set_octets(number, 1_000_000_000),
            "s" => self.set_time(number, 1),
            "min" => self.set_time(number, 60),
            "h" => self.set_time(number, 3600),
            _ => return Err(unknown()),
        };
        is_size.map(|()| self).ok_or_else(|| LimitError::OutOfRange(word.to_owned()))
    }

    fn set_octets(&mut self, number: u64, unit: u64) -> Option<()> {
        self.octets = number.checked_mul(unit).filter(|octets| (1000..=MOST_OCTETS).contains(octets))?;
        Some(())
    }

    fn set_time(&mut self, number: u64, unit: u64) -> Option<()> {
        let seconds = number.checked_mul(unit).filter(|seconds| (1..=MOST_SECONDS).contains(seconds))?;
        self.time = Duration::from_secs(seconds);
        Some(())
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kB or {} s", self.octets / 1000, self.time.as_secs())
    }
}

const MOST_OCTETS: u64 = 100_000_000_000;
const MOST_SECONDS: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_in_any_order_and_case() {
        let from = |words: &[&str]| Limits::default().with_words(words);
        let limits = |octets, seconds| Ok::<_, LimitError>(Limits { octets, time: Duration::from_secs(seconds) });
        assert_eq!(from(&[]), limits(100_000_000, 600));
        assert_eq!(from(&["500MB", "30min"]), limits(500_000_000, 1800));
        assert_eq!(from(&["2h", "1gb"]), limits(1_000_000_000, 7200));
        assert_eq!(from(&["90S"]), limits(100_000_000, 90));
        let others = limits(5000, 7).unwrap();
        assert_eq!(others.with_words(&["90s"]), limits(5000, 90), "a limit that no word sets stays");
        for word in ["", "10", "10m", "MB", "-1s", "1.5GB", "1e3MB", "ten"] {
            assert_eq!(from(&[word]), Err(LimitError::Unknown(word.to_owned())));
        }
        for word in ["0s", "0MB", "25h", "101GB", "99999999999999999GB"] {
            assert_eq!(from(&[word]), Err(LimitError::OutOfRange(word.to_owned())));
        }
    }
}
