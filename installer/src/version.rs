//! Major versions of Asterisk.

use std::fmt;

/// A major version of Asterisk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Version {
    /// The major version of a release such as `11.25.3`, `certified/11.6-cert18`, `GIT-11-0a1b2c3` or
    /// `16.28.0~dfsg-0+deb11u4`.
    pub fn from_release(release: &str) -> Option<Self> {
        let words = ["certified/", "GIT-", "SVN-branch-"];
        let number = words.iter().find_map(|word| release.strip_prefix(word)).unwrap_or(release);
        let (major, _) = number.split_once(['.', '-'])?;
        major.parse().ok().map(Self)
    }
}
