//! `cargo xtask nat`: calls of real browsers through all kinds of NAT, and the table of them.

use e2e::page;
use e2e::prefix::{Prefix, Version};

use crate::Failure;
use crate::host;
use crate::modules;
use crate::packages;
use crate::run::{cargo, run, workspace};
use crate::test::{drivers, install_libraries, may_do_what_root_does};

/// The document, from the workspace's root.
const DOCUMENT: &str = "contrib/docs/nat.md";

/// Writes the document, and fails if a call has no audio though a path exists.
pub fn write() -> Result<(), Failure> {
    let host = host::installed()?.filter(|host| host.version() == Version::Eleven);
    let host = host.ok_or("ASTERISK_PREFIX names no Asterisk 11, with which the table is made.")?;
    if !may_do_what_root_does() {
        return Err("This user may not create network namespaces.".to_owned());
    }
    packages::ensure(&[packages::TO_BUILD, packages::TO_TEST, packages::TO_ROUTE])?;
    install_libraries(&drivers())?;
    install_libraries(&page::sources())?;
    let document = workspace().join(DOCUMENT);
    if let Some(directory) = document.parent() {
        std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    place_calls(&host, &document)
}

fn place_calls(host: &Prefix, document: &std::path::Path) -> Result<(), Failure> {
    let mut calls = cargo();
    calls.args(["test", "--package", "e2e", "--test", "nat", "--", "--ignored", "--exact", "table", "--nocapture"]);
    calls.env("ASTERISK_PREFIX", host.root()).env("MODULES_DIR", modules::build(host.version())?);
    run(calls.env("NAT_TABLE", document))
}
