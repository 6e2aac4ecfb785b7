//! The failure of a test, as one sentence.

use std::fmt;

/// The result type of the harness and the tests.
pub type Result<T = ()> = std::result::Result<T, Failure>;

/// A sentence for the person who reads the test's output.
pub struct Failure(String);

impl Failure {
    /// Makes a failure with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// `Ok` if `holds`, otherwise a failure with this sentence.
pub fn ensure(holds: bool, sentence: impl FnOnce() -> String) -> Result {
    if holds { Ok(()) } else { Err(Failure(sentence())) }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

// The test harness prints the `Debug` form of a returned error.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
