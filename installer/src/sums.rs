//! SHA-256 sums, and the file of sums for `sha256sum --check`.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::read::read;
use crate::refusal::{Refusal, at};

/// The file beside the modules with the sums of all files as they were built.
const SUMS: &str = "SHA256SUMS";

/// A SHA-256 sum in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum(String);

impl Sum {
    /// The sum of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Parses a sum; `None` if it is not one.
    pub fn from_word(word: &str) -> Option<Self> {
        let is_sum = word.len() == 64 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_sum.then(|| Self(word.to_owned()))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Writes the sums of these files of a directory.
pub fn write_sums(directory: &Path, files: &[&str]) -> io::Result<()> {
    let line = |file: &&str| Ok(format!("{}  {file}\n", Sum::of(&fs::read(directory.join(file))?)));
    let lines: io::Result<String> = files.iter().map(line).collect();
    fs::write(directory.join(SUMS), lines?)
}

/// The content of a file of sums.
pub struct Sums(String);

impl Sums {
    /// Reads the file of sums in a directory.
    pub fn of(directory: &Path) -> Result<Self, Refusal> {
        let file = directory.join(SUMS);
        if let Err(error) = file.symlink_metadata() {
            return Err(match error.kind() {
                io::ErrorKind::NotFound => {
                    Refusal::BadFile { file, reason: "it is missing, so the directory is incomplete" }
                }
                _ => at(&file)(error),
            });
        }
        Ok(Self(String::from_utf8(read(&file)?).unwrap_or_default()))
    }

    /// Reads `file` and compares it with its sum; returns its content.
    pub fn check(&self, directory: &Path, file: &str) -> Result<Vec<u8>, Refusal> {
        let path = directory.join(file);
        let bytes = read(&path)?;
        if self.line(file).and_then(Sum::from_word) == Some(Sum::of(&bytes)) {
            Ok(bytes)
        } else {
            let reason =
                "it differs from what was built (SHA256SUMS has another sum): perhaps it was not copied completely";
            Err(Refusal::BadFile { file: path, reason })
        }
    }

    /// Whether they name this file.
    pub fn name(&self, file: &str) -> bool {
        self.line(file).is_some()
    }

    /// The sum in the line of this file.
    fn line(&self, file: &str) -> Option<&str> {
        let lines = self.0.lines().filter_map(|line| line.split_once("  "));
        lines.filter(|(_, name)| *name == file).map(|(sum, _)| sum).next()
    }
}
