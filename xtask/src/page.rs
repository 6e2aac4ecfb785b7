//! `cargo xtask page`: installs the demo page into an existing Asterisk.

use std::path::Path;

use e2e::page;

use crate::Failure;
use crate::packages;
use crate::test::install_libraries;

/// Builds the page into its own directory below `served`, Asterisk's `static-http`.
pub fn put(served: &str) -> Result<(), Failure> {
    let failed = |error| format!("The page could not be put into {served}: {error}");
    // Fail on a misspelt path instead of creating it.
    Path::new(served).read_dir().map_err(failed)?;
    packages::ensure(&[packages::TO_BUNDLE])?;
    install_libraries(&page::sources())?;
    let page = page::bundle(Path::new(served)).map_err(failed)?;
    println!(
        "The page is in {}; Asterisk serves it at {}. To uninstall it, remove that directory.",
        page.display(),
        page::PATH
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_directory_is_not_created() {
        let misspelt = std::env::temp_dir().join(format!("{}-page/static-htpp", std::process::id()));
        let failure = put(misspelt.to_str().unwrap()).unwrap_err();
        assert!(failure.contains("static-htpp: No such file"), "{failure}");
        assert!(!misspelt.exists());
    }
}
