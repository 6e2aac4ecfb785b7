//! The fleet of `cargo xtask demo --fleet`, used as `--check` does: two Asterisks with the samples of `contrib/`, behind Kamailio,
//! with coturn and the page.

use std::path::PathBuf;

use e2e::demo::Fleet;
use e2e::failure::Result;
use e2e::lab;

#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn the_page_calls_through_kamailio_again_when_the_asterisk_of_its_call_was_killed() -> Result {
    let host = lab::installed()?;
    let modules = std::env::var_os("MODULES_DIR").map_or_else(|| host.modules().to_owned(), PathBuf::from);
    Fleet::start(lab::home_of("demo-fleet")?.root(), &host, &modules)?.check()
}
