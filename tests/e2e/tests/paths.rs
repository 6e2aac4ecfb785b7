//! For Asterisk 22, which `restarts` and `strangers` leave out: the network of a page changes, and a stranger floods its call.

use std::time::Duration;

use e2e::failure::Result;
use e2e::lab::Lab;
use e2e::moving::{Judged, rebinds, restarts_when_the_old_path_is_dead};
use e2e::phone::Browser;
use e2e::site::Site;
use e2e::stranger::a_browser_is_not_disturbed;

/// The stranger forges packets of IPv4, and chan_pjsip offers both.
const NO_IPV6: &str = "ice_deny = ::/0\n";

mod as_root {
    use super::*;

    #[test]
    #[ignore = "creates network namespaces"]
    fn chromium_restarts_when_the_old_path_is_dead() -> Result {
        restarts_when_the_old_path_is_dead(Browser::Chromium, Judged::One)
    }

    #[test]
    #[ignore = "creates network namespaces"]
    fn chromium_behind_a_nat_that_forgets() -> Result {
        rebinds(Browser::Chromium, Judged::One)
    }

    #[test]
    #[ignore = "raw sockets need root"]
    fn an_encrypted_call_goes_on_through_a_flood() -> Result {
        let lab = Lab::start("stranger-short", &Site { rtp: NO_IPV6.into(), ..Site::default() })?;
        a_browser_is_not_disturbed(&lab, Duration::from_secs(8))
    }
}
