//! Selects the Asterisk for a command: that of `ASTERISK_PREFIX`, or Debian's.

use e2e::prefix::{Prefix, Version};

use crate::Failure;
use crate::debian;

/// The Asterisk of this version: the installed one if it has this version, otherwise Debian's.
pub fn of(version: Version) -> Result<Prefix, Failure> {
    match installed()? {
        Some(prefix) if prefix.version() == version => Ok(prefix),
        _ => debian(version),
    }
}

/// The Asterisk of the requested version; without a request, the installed one, or Debian's 16.
pub fn chosen(asked: Option<Version>) -> Result<Prefix, Failure> {
    match (installed()?, asked) {
        (Some(prefix), Some(version)) if prefix.version() != version => {
            Err(format!("ASTERISK_PREFIX names an {}: omit --host, or unset the variable.", prefix.version()))
        }
        (Some(prefix), _) => Ok(prefix),
        (None, asked) => debian(asked.unwrap_or(Version::Sixteen)),
    }
}

/// The Asterisk that `ASTERISK_PREFIX` names.
pub fn installed() -> Result<Option<Prefix>, Failure> {
    Prefix::from_env().transpose().map_err(|error| format!("ASTERISK_PREFIX: {error}."))
}

fn debian(version: Version) -> Result<Prefix, Failure> {
    let root = debian::unpacked(version)?;
    Prefix::find(&root)
        .map_err(|error| format!("Debian's {version}: {error}; remove that directory and try again to download it."))
}
