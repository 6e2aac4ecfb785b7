//! Behaviour of our modules in a host apart from calls.

use std::time::Duration;

use e2e::asterisk::OUR_MODULES;
use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::manager::Manager;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::prefix::Version;
use e2e::site::{Site, VOICE};

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn modules_for_another_host_are_declined_in_one_line_that_names_both_versions() -> Result {
    let here = Lab::start("here", &Site::default())?.asterisk().version();
    for version in Version::ALL.into_iter().filter(|version| *version != here) {
        let lab = Lab::with_modules_of(version, &format!("foreign-{}", version.number()), &Site::default())?;
        for module in OUR_MODULES {
            let declined = format!(
                "{} is not loaded: it is built for {version}, but this is {here}.",
                module.trim_end_matches(".so")
            );
            // During its start, a host may try again for each module that depends on this one.
            let count = || -> Result<usize> { Ok(lab.log()?.matches(&declined).count()) };
            let at_the_start = count()?;
            lab.asterisk().cli(&format!("module load {module}"))?;
            lab.until_logged_more(&declined, at_the_start, Duration::from_secs(5))?;
            let more = count()? - at_the_start;
            let log = lab.asterisk().home().log();
            ensure(at_the_start > 0, || format!("no line says {declined:?}: {}", log.display()))?;
            ensure(more == 1, || format!("{more} more lines say {declined:?}: {}", log.display()))?;
            let running = lab.asterisk().cli(&format!("module show like {module}"))?;
            ensure(running.contains("0 modules loaded"), || format!("made for {version}, and loaded: {running}"))?;
        }
    }
    Ok(())
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn reports_of_both_ends_reach_the_manager_interface() -> Result {
    let lab = Lab::start("manager", &Site::default())?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    let mut manager = Manager::listen(&lab)?;
    phone.call("echo", RtcpMux::Require)?;
    phone.hears(VOICE)?;
    for (name, peer) in [("RTCPSent", "To: "), ("RTCPReceived", "From: ")] {
        let event = manager.event(name, Duration::from_secs(20))?;
        let names_the_peer = event.iter().any(|header| header.starts_with(peer));
        ensure(names_the_peer, || format!("{name} does not say {peer:?}: {event:?}"))?;
    }
    phone.hangup()
}
