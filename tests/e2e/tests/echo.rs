//! A browser registers, calls `echo` and hears itself.

use e2e::failure::Result;
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, Transport};
use e2e::proof::EchoCall;
use e2e::site::Site;

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_hears_itself() -> Result {
    echo(Browser::Chromium, "echo-chromium", Transport::Plain, &Site::default(), EchoCall::SHORT)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_hears_itself() -> Result {
    echo(Browser::Firefox, "echo-firefox", Transport::Plain, &Site::default(), EchoCall::SHORT)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_hears_itself_registered_over_wss() -> Result {
    echo(Browser::Chromium, "wss-chromium", Transport::Tls, &Site::default(), EchoCall::SHORT)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_hears_itself_registered_over_wss() -> Result {
    echo(Browser::Firefox, "wss-firefox", Transport::Tls, &Site::default(), EchoCall::SHORT)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_that_negotiates_rtcp_mux_hears_itself() -> Result {
    echo(Browser::Chromium, "nego-chromium", Transport::Plain, &Site::default(), EchoCall::SHORT.negotiating())
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_that_negotiates_rtcp_mux_hears_itself() -> Result {
    echo(Browser::Firefox, "nego-firefox", Transport::Plain, &Site::default(), EchoCall::SHORT.negotiating())
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_hears_itself_without_rtcp_mux() -> Result {
    echo(Browser::Chromium, "nomux-chromium", Transport::Plain, &without_rtcp_mux(), EchoCall::SHORT.negotiating())
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_hears_itself_without_rtcp_mux() -> Result {
    echo(Browser::Firefox, "nomux-firefox", Transport::Plain, &without_rtcp_mux(), EchoCall::SHORT.negotiating())
}

fn without_rtcp_mux() -> Site {
    Site { without_rtcp_mux: true, ..Site::default() }
}

fn echo(browser: Browser, name: &str, transport: Transport, site: &Site, call: EchoCall) -> Result {
    let lab = Lab::start(name, site)?;
    let mut phone = Phone::open(&lab, browser, "1001")?;
    phone.register(&lab, transport)?;
    let statistics = call.place(&lab, &mut phone, "echo")?;
    println!("{name}: {statistics}");
    Ok(())
}
