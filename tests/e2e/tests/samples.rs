//! `contrib/samples`, each configuration as it is: a browser calls from the demo page, with what that has in its fields.

use std::fs;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::Browser;
use e2e::prefix::{Prefix, Version};
use e2e::samples::Samples;
use e2e::site::{Driver, Site};
use e2e::user::{Microphone, Screen, User};

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_browser_hears_itself_with_the_samples_and_no_certificate() -> Result {
    let version = Prefix::from_env().transpose()?.map_or(Version::Eleven, |prefix| prefix.version());
    let driver = Driver::of(version);
    hears_itself("samples", Samples::explained(driver))?;
    match driver {
        Driver::ChanSip => hears_itself("samples-minimal", Samples::minimal()?),
        // It has no shorter ones.
        Driver::ChanPjsip => Ok(()),
    }
}

#[test]
fn the_least_that_a_browser_needs_of_sip_conf_is_less_than_20_lines() -> Result {
    let samples = Samples::minimal()?;
    let sip = samples.files().iter().find(|file| file.ends_with("sip.conf")).map(fs::read_to_string).transpose()?;
    let lines = sip.unwrap_or_default().lines().count();
    ensure((1..20).contains(&lines), || format!("{lines} lines"))
}

fn hears_itself(name: &str, samples: Samples) -> Result {
    let lab = Lab::start(name, &Site { samples: Some(samples), ..Site::default() })?;
    let mut user = User::open(&lab, Browser::Chromium, Screen::Desk, Microphone::Given)?;
    user.goes_to("password")?;
    user.presses("Enter")?;
    user.is_told("Registered as 1001")?;
    user.has_the_focus_on("number")?;
    user.presses("Enter")?;
    user.is_told("In call with echo")?;
    for meter in ["speaking", "hearing"] {
        user.sees_level(meter, -40, 0)?;
    }
    // Both ends have counted. What a busy machine drops stays in the count, so it is the last moment that lost nothing.
    for packets in ["#received", "#sent"] {
        user.reads(packets, " lost")?;
    }
    user.reads("#graph .loss .value", "0.0 %")?;
    user.presses("Escape")?;
    user.is_told("You have hung up")?;
    user.met_no_error()
}
