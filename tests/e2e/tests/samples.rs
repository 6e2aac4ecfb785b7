//! Each configuration in `contrib/samples`: a browser calls from the demo page, with the page's default values.

use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

use e2e::driver::Driver;
use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::Browser;
use e2e::prefix::{Prefix, Version};
use e2e::samples::Samples;
use e2e::site::Site;
use e2e::user::{Microphone, Screen, User};

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_browser_hears_itself_with_the_samples_and_no_certificate() -> Result {
    let version = Prefix::from_env().transpose()?.map_or(Version::Eleven, |prefix| prefix.version());
    let driver = Driver::of(version);
    hears_itself("samples", Samples::explained(driver))?;
    match driver {
        Driver::ChanSip => hears_itself("samples-minimal", Samples::minimal()?),
        // There are no minimal samples for it.
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
    is_for_this_machine(&lab)?;
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
    // Both ends have counted packets. Losses on a busy machine stay in the count, so compare the last
    // moment without loss.
    for packets in ["#received", "#sent"] {
        user.reads(packets, " lost")?;
    }
    user.reads("#graph .loss .value", "0.0 %")?;
    user.presses("Escape")?;
    user.is_told("You have hung up")?;
    user.met_no_error()
}

/// The passwords are public, and `chan_sip` does not check the transport of a caller.
fn is_for_this_machine(lab: &Lab) -> Result {
    for (address, answer) in [("127.0.0.1", "401"), ("127.0.0.2", "403")] {
        let given = calls_over_udp(lab, address)?;
        ensure(given.starts_with(&format!("SIP/2.0 {answer}")), || format!("a call from {address}: {given}"))?;
    }
    Ok(())
}

/// The response to an unauthenticated call to `echo` that claims to come from 1001.
fn calls_over_udp(lab: &Lab, address: &str) -> Result<String> {
    let socket = UdpSocket::bind((address, 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let here = socket.local_addr()?;
    let invite = format!(
        "INVITE sip:echo@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{port}\r\nMax-Forwards: 70\r\n\
         From: <sip:1001@127.0.0.1>;tag={port}\r\nTo: <sip:echo@127.0.0.1>\r\nContact: <sip:1001@{here}>\r\n\
         Call-ID: {here}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
        port = here.port()
    );
    socket.send_to(invite.as_bytes(), ("127.0.0.1", lab.ports().sip))?;
    let mut answer = [0; 4096];
    let length = socket.recv(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}
