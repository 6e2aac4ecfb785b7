//! The demo page of `contrib/demo`, served by Asterisk and used with the keyboard only.

use std::path::Path;
use std::time::Duration;
use std::{fs, thread};

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::page;
use e2e::phone::Browser;
use e2e::prefix::Version;
use e2e::site::Site;
use e2e::user::{Microphone, Screen, User};

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_day_at_the_phone_in_chromium_at_390_pixels() -> Result {
    a_day(Browser::Chromium, Screen::Telephone, "page-chromium-390")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_day_at_the_phone_in_chromium_at_1280_pixels() -> Result {
    a_day(Browser::Chromium, Screen::Desk, "page-chromium-1280")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_day_at_the_phone_in_firefox_at_390_pixels() -> Result {
    a_day(Browser::Firefox, Screen::Telephone, "page-firefox-390")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_day_at_the_phone_in_firefox_at_1280_pixels() -> Result {
    a_day(Browser::Firefox, Screen::Desk, "page-firefox-1280")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_says_in_a_sentence_what_went_wrong() -> Result {
    sentences(Browser::Chromium, Screen::Telephone, "page-sentences-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_says_in_a_sentence_what_went_wrong() -> Result {
    sentences(Browser::Firefox, Screen::Desk, "page-sentences-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn chromium_says_that_the_microphone_was_refused() -> Result {
    no_microphone(Browser::Chromium, Screen::Desk, "page-refused-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn firefox_says_that_the_microphone_was_refused() -> Result {
    no_microphone(Browser::Firefox, Screen::Telephone, "page-refused-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn with_the_originals_of_11_the_page_says_why_there_is_no_call() -> Result {
    let lab = Lab::with_originals("page-originals", &Site::default())?;
    let mut user = User::open(&lab, Browser::Chromium, Screen::Desk, Microphone::Given)?;
    user.registers(PASSWORD, "Registered as 1001")?;
    match lab.asterisk().version() {
        Version::Eleven => {
            user.calls(
                "echo",
                "The browser refused Asterisk’s answer: The m= section with mid='0' is invalid. RTCP-MUX",
            )?;
            user.is_advised("install the modules that this page belongs to")?;
            user.takes_picture("originals-of-11")
        }
        Version::Sixteen | Version::TwentyTwo => user.calls("echo", "In call with echo"),
    }
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk, so that nothing has installed the libraries")]
fn the_licences_of_its_libraries_go_along_with_the_page() -> Result {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let licences = fs::read_to_string(page::bundle(&directory)?.join("licences.txt"))?;
    fs::remove_dir_all(directory)?;
    let parts: Vec<&str> = licences.split("\n---- ").skip(1).collect();
    let names: Vec<&str> = parts.iter().filter_map(|part| part.split(' ').next()).collect();
    ensure(names == ["debug", "events", "jssip", "ms", "sdp-transform"], || format!("{names:?}"))?;
    ensure(parts.iter().all(|part| part.contains("Permission is hereby granted")), || licences.clone())
}

const PASSWORD: &str = "demo-1001";

fn a_day(browser: Browser, screen: Screen, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut user = User::open(&lab, browser, screen, Microphone::Given)?;
    user.sees_it_all(screen)?;
    user.registers(PASSWORD, "Registered as 1001")?;
    user.sees_it_all(screen)?;

    presses_digits(&lab, &mut user)?;
    calls(&lab, &mut user, browser, screen)?;
    is_called(&lab, &mut user, screen)?;
    declines(&lab, &mut user)?;
    user.met_no_error()
}

fn presses_digits(lab: &Lab, user: &mut User) -> Result {
    user.calls("digits", "In call with digits")?;
    user.has_the_focus_on("peer")?;
    user.types("12")?;
    // Keys typed elsewhere, or meant for the browser, are not digits.
    user.presses("Alt+5")?;
    user.goes_to("change")?;
    user.presses("6")?;
    user.presses("Enter")?;
    user.goes_to("server")?;
    user.types("7")?;
    user.presses("Escape")?;
    user.goes_to("change")?;
    user.presses("Enter")?;
    user.goes_to("hangup")?;
    user.types("*4#")?;
    user.reads("#digits", "12*4#")?;
    lab.until_logged("digits read: 12*4.", Duration::from_secs(20))?;
    user.presses("Escape")?;
    user.is_told("You have hung up")?;
    lab.until_idle(Duration::from_secs(10))
}

fn calls(lab: &Lab, user: &mut User, browser: Browser, screen: Screen) -> Result {
    user.calls("echo", "In call with echo")?;
    // First the announcement is heard, then the echo.
    user.sees_level("hearing", -40, 0)?;
    sees_the_graph(user)?;
    user.sees_it_all(screen)?;
    if User::is_asked_for_pictures() {
        // Wait for as long as the graph is wide.
        thread::sleep(Duration::from_secs(60));
    }
    if browser == Browser::Chromium {
        // Firefox measures the microphone only if there is a sound card.
        user.sees_level("speaking", -40, 0)?;
    }
    user.takes_picture(&format!("call-{}-{}", browser.name(), screen.width()))?;
    user.goes_to("mute")?;
    user.presses("Enter")?;
    user.finds("#mute", "aria-pressed", "true")?;
    // Nothing is heard.
    user.sees_level("hearing", -60, -60)?;
    user.presses("Escape")?;
    user.is_told("You have hung up")?;
    lab.until_idle(Duration::from_secs(10))
}

fn sees_the_graph(user: &mut User) -> Result {
    for (line, unit) in [("loss", "%"), ("jitter", "ms"), ("roundTrip", "ms")] {
        user.reads(&format!("#graph .{line} .value"), unit)?;
        // The graph has more than one point.
        user.finds(&format!("#graph .{line} path"), "d", "L")?;
    }
    user.reads("#received", "packets")
}

fn is_called(lab: &Lab, user: &mut User, screen: Screen) -> Result {
    lab.originate("1001", "echo")?;
    user.is_told("is calling")?;
    user.sees_it_all(screen)?;
    user.goes_to("answer")?;
    user.presses("Enter")?;
    user.is_told("In call with")?;
    user.sees_level("hearing", -40, 0)?;
    user.goes_to("hangup")?;
    user.presses("Enter")?;
    user.is_told("You have hung up")?;
    lab.until_idle(Duration::from_secs(10))
}

fn declines(lab: &Lab, user: &mut User) -> Result {
    lab.originate("1001", "echo")?;
    user.is_told("is calling")?;
    user.presses("Escape")?;
    user.is_told("You have declined")?;
    user.has_the_focus_on("number")
}

fn sentences(browser: Browser, screen: Screen, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut user = User::open(&lab, browser, screen, Microphone::Given)?;
    user.registers("a guess", "1001 was not registered: 40")?;
    user.is_told("the password is wrong")?;
    user.sees_it_all(screen)?;

    // No server listens there.
    let nowhere = format!("ws://localhost:{}/ws", lab.ports().plain);
    user.fills_in("server", &nowhere)?;
    user.presses("Enter")?;
    user.is_told(&format!("The socket {nowhere} cannot be opened"))?;
    user.is_advised("http show status")?;
    user.sees_it_all(screen)?;

    let server = format!("ws://localhost:{}/ws", lab.ports().ws);
    user.fills_in("server", &server)?;
    user.registers(PASSWORD, "Registered as 1001")?;
    changes_the_account(&mut user, &server)?;
    loses_the_socket_in_a_call(&lab, &mut user)?;
    user.calls("nowhere", "nowhere was not reached: 404")?;
    user.calls("busy", "busy was not reached: 486, it is busy")?;
    user.calls("goodbye", "goodbye has hung up")?;
    user.calls("mute", "No audio for three seconds: the way is open, but no packet arrives")?;
    user.is_advised("rtp show sessions")?;
    user.sees_it_all(screen)?;
    user.presses("Escape")?;
    user.is_told("You have hung up")?;
    user.calls("hush", "No audio for three seconds: packets arrive, but they are silent")?;
    user.presses("Escape")?;
    user.is_told("You have hung up")?;
    user.calls("falters", "No audio for three seconds: packets have stopped arriving")?;
    user.is_advised("rtp show sessions")?;
    user.presses("Escape")?;
    user.is_told("You have hung up")?;
    user.loses_the_keys()?;
    user.calls("echo", "No audio for three seconds: ICE has found a way, but the DTLS handshake is not done")?;
    user.is_advised("rtp show sessions")?;
    user.presses("Escape")?;
    user.is_told("You have hung up")?;
    user.loses_the_way()?;
    user.calls("echo", "No audio for three seconds: ICE has found no way")?;
    user.is_advised("rtp show sessions")?;
    user.presses("Escape")?;
    user.is_told("You have hung up")?;
    drop(lab);
    user.is_told(&format!("The socket {server} was closed"))
}

/// The page has registered, then notices that the connection is gone when it cannot be opened again.
fn changes_the_account(user: &mut User, server: &str) -> Result {
    user.goes_to("change")?;
    user.presses("Enter")?;
    for (field, nonsense, sentence, right) in [
        ("server", "localhost", "“localhost” is not the address of a WebSocket", server),
        ("account", "10 01", "“10 01” cannot be an account", "1001"),
    ] {
        user.fills_in(field, nonsense)?;
        user.presses("Enter")?;
        user.is_told(sentence)?;
        user.reads("#registration", "not registered")?;
        user.finds("#call", "disabled", "")?;
        user.finds("#keypad", "disabled", "")?;
        user.has_the_focus_on(field)?;
        user.fills_in(field, right)?;
    }
    user.presses("Enter")?;
    user.is_told("Registered as 1001")
}

fn loses_the_socket_in_a_call(lab: &Lab, user: &mut User) -> Result {
    user.calls("digits", "In call with digits")?;
    user.loses_the_socket(lab)?;
    user.is_told("cannot be opened; the phone keeps trying")?;
    user.reads("#registration", "not registered")?;
    // Digits are sent with the media.
    user.types("12*4#")?;
    user.reads("#digits", "12*4#")?;
    lab.until_logged("digits read: 12*4.", Duration::from_secs(20))?;
    user.presses("Escape")?;
    user.is_told("You have hung up")?;
    user.finds("#keypad", "disabled", "")?;

    // If the user types while it is opened again, the focus stays.
    user.has_the_focus_on("number")?;
    user.types("no")?;
    user.regains_the_socket()?;
    user.reads("#registration", "1001 at localhost")?;
    user.calls("where", "nowhere was not reached: 404")
}

fn no_microphone(browser: Browser, screen: Screen, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let mut user = User::open(&lab, browser, screen, Microphone::Refused)?;
    user.registers(PASSWORD, "Registered as 1001")?;
    user.calls("echo", "The microphone was refused")?;
    user.is_advised("Allow it for this page")?;
    user.sees_it_all(screen)?;
    // The phone goes on ringing, because the microphone may still be allowed.
    lab.originate("1001", "echo")?;
    user.is_told("is calling")?;
    user.goes_to("answer")?;
    user.presses("Enter")?;
    user.is_told("The microphone was refused")?;
    user.presses("Escape")?;
    user.is_told("You have declined")?;

    user.opens_insecurely(&lab)?;
    user.registers(PASSWORD, "Registered as 1001")?;
    user.calls("echo", "This page gets no microphone")?;
    user.is_advised("only to pages on https or on localhost")
}
