//! A browser registers, calls `echo` and hears itself.

use e2e::failure::Result;
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, Transport};
use e2e::proof::EchoCall;
use e2e::site::Site;

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_hears_itself() -> Result {
    echo(Browser::Chromium, "echo-chromium", Transport::Plain, None, EchoCall::SHORT)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_hears_itself() -> Result {
    echo(Browser::Firefox, "echo-firefox", Transport::Plain, None, EchoCall::SHORT)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_hears_itself_registered_over_wss() -> Result {
    echo(Browser::Chromium, "wss-chromium", Transport::Tls, None, EchoCall::SHORT)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_hears_itself_registered_over_wss() -> Result {
    echo(Browser::Firefox, "wss-firefox", Transport::Tls, None, EchoCall::SHORT)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_that_negotiates_rtcp_mux_hears_itself() -> Result {
    echo(Browser::Chromium, "nego-chromium", Transport::Plain, None, EchoCall::SHORT.negotiating())
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_that_negotiates_rtcp_mux_hears_itself() -> Result {
    echo(Browser::Firefox, "nego-firefox", Transport::Plain, None, EchoCall::SHORT.negotiating())
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_hears_itself_without_rtcp_mux() -> Result {
    echo(Browser::Chromium, "nomux-chromium", Transport::Plain, Some("no"), EchoCall::SHORT.negotiating())
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_hears_itself_without_rtcp_mux() -> Result {
    echo(Browser::Firefox, "nomux-firefox", Transport::Plain, Some("no"), EchoCall::SHORT.negotiating())
}

fn echo(browser: Browser, name: &str, transport: Transport, rtcpmux: Option<&'static str>, call: EchoCall) -> Result {
    let lab = Lab::start(name, &Site { rtcpmux, ..Site::default() })?;
    let mut phone = Phone::open(&lab, browser, "1001")?;
    phone.register(&lab, transport)?;
    let statistics = call.place(&lab, &mut phone, "echo")?;
    println!("{name}: {statistics}");
    Ok(())
}
