//! `contrib/samples`: the least of them is enough for a call.

use std::fs;
use std::path::Path;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone};
use e2e::prefix::{Prefix, Version};
use e2e::proof::EchoCall;
use e2e::site::{Driver, Site};

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_browser_hears_itself_with_the_shortest_sample_and_no_certificate() -> Result {
    let sample = shortest_sample()?;
    let accounts = fs::read_to_string(Path::new(SAMPLES).join(sample))?;
    let is_short = accounts.lines().count() < 20 || sample != MINIMAL;
    ensure(is_short && !accounts.contains("certfile"), || format!("{sample} is not the least any more"))?;
    let lab = Lab::start("samples", &Site { accounts: Some(accounts), ..Site::default() })?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    let statistics = EchoCall::SHORT.place(&lab, &mut phone, "echo")?;
    println!("{sample}: {statistics}");
    Ok(())
}

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contrib/samples");
const MINIMAL: &str = "minimal/sip.conf";

/// For the host that is tested on: `chan_pjsip` has one sample only.
fn shortest_sample() -> Result<&'static str> {
    let version = Prefix::from_env().transpose()?.map_or(Version::Eleven, |prefix| prefix.version());
    Ok(match Driver::of(version) {
        Driver::ChanSip => MINIMAL,
        Driver::ChanPjsip => "chan_pjsip/pjsip.conf",
    })
}
