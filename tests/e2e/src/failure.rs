//! Why a test could not go on, in one sentence.

use std::fmt;

/// What the harness and the scenarios answer with.
pub type Result<T = ()> = std::result::Result<T, Failure>;

/// One sentence for the person who reads the test's output.
pub struct Failure(String);

impl Failure {
    /// A failure that reads like this.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// `Ok` when `holds`, else a failure with this sentence.
pub fn ensure(holds: bool, sentence: impl FnOnce() -> String) -> Result {
    if holds { Ok(()) } else { Err(Failure(sentence())) }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

// What a test that returns an error prints.
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
