//! The demo page with several servers in `servers.json`: it goes on when one of them dies.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::failure::{Result, ensure};
use e2e::forwarder::Forwarder;
use e2e::lab::Lab;
use e2e::phone::Browser;
use e2e::site::Site;
use e2e::user::{Microphone, Screen, User};
use serde_json::json;

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn in_chromium_a_call_goes_on_when_the_server_dies_and_the_next_one_takes_over() -> Result {
    two_servers(Browser::Chromium, Screen::Telephone, "page-servers-chromium")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn in_firefox_a_call_goes_on_when_the_server_dies_and_the_next_one_takes_over() -> Result {
    two_servers(Browser::Firefox, Screen::Desk, "page-servers-firefox")
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_file_that_cannot_be_used_is_named_and_the_page_calls_all_the_same() -> Result {
    let lab = Lab::start("page-servers-malformed", &Site::default())?;
    let mut user = User::open(&lab, Browser::Chromium, Screen::Desk, Microphone::Given)?;
    for (text, fault) in [
        ("{\"servers\": [", "it is no JSON"),
        ("{\"servers\": \"ws://a.example/ws\"}", "“servers” is no list"),
        ("{\"servers\": [\"https://a.example/ws\"]}", "“https://a.example/ws” is not the address of a WebSocket"),
        ("{\"iceServers\": [{\"urls\": \"turn:a.example\"}]}", "username"),
    ] {
        User::is_given_servers(&lab, text)?;
        user.opens_again(&lab)?;
        user.is_told("The file servers.json beside this page cannot be used: ")?;
        user.is_told(fault)?;
        user.sees_it_all(Screen::Desk)?;
    }
    user.registers(PASSWORD, "Registered as 1001.")?;
    user.calls("echo", "In call with echo")?;
    user.is_advised("servers.json")?;
    user.met_no_error()
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn the_password_for_turn_is_read_anew_for_each_call() -> Result {
    let lab = Lab::start("page-servers-turn", &Site::default())?;
    let mut user = User::open(&lab, Browser::Chromium, Screen::Desk, Microphone::Given)?;
    user.notes_connections()?;
    user.registers(PASSWORD, "Registered as 1001.")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    for (expires, password) in [(now + 3600, "first"), (now + 7200, "second"), (now - 60, "third")] {
        // No server listens there.
        let servers = json!([{
            "urls": format!("turn:127.0.0.1:{}", lab.ports().plain),
            "username": format!("{expires}:1001"),
            "credential": password,
        }]);
        User::is_given_servers(&lab, &json!({ "iceServers": servers }).to_string())?;
        user.calls("echo", "In call with echo")?;
        let used = user.ice_servers()?;
        ensure(used == servers, || format!("{used} in place of {servers}"))?;
        if expires < now {
            user.is_advised("The password for TURN in servers.json expired on")?;
        }
        user.hangs_up(&lab)?;
    }
    user.met_no_error()
}

const PASSWORD: &str = "demo-1001";

fn two_servers(browser: Browser, screen: Screen, name: &str) -> Result {
    let lab = Lab::start(name, &Site::default())?;
    let (first, second) = (lab.ports().proxy, lab.ports().plain + 1);
    let servers = [first, second].map(|port| format!("ws://localhost:{port}/ws"));
    let start = |port| Forwarder::start(port, lab.ports().ws);
    let (one, other) = (start(first)?, start(second)?);
    let mut user = User::open(&lab, browser, screen, Microphone::Given)?;
    User::is_given_servers(&lab, &json!({ "servers": servers }).to_string())?;
    user.opens_again(&lab)?;
    user.reads("#others", &format!("If it cannot be reached: {}", servers[1]))?;
    user.sees_it_all(screen)?;
    user.registers(PASSWORD, &format!("Registered as 1001 at localhost:{first}."))?;
    user.reads("#registration", &format!("1001 at localhost:{first}"))?;

    user.calls("echo", "In call with echo")?;
    user.sees_level("hearing", -40, 0)?;
    one.kill();
    user.is_told(&format!("The socket {} was closed; the phone goes to the next server", servers[0]))?;
    user.reads("#registration", &format!("1001 at localhost:{second}"))?;
    user.is_told("In call with echo")?;
    user.sees_level("hearing", -40, 0)?;
    user.presses("Escape")?;
    user.is_told("You have hung up")?;
    // The BYE has gone by way of the other server.
    lab.until_idle(Duration::from_secs(10))?;

    is_called(&lab, &mut user)?;
    other.kill();
    user.is_told("None of the 2 servers can be reached; the phone keeps trying.")?;
    user.reads("#registration", "not registered")?;
    user.sees_it_all(screen)?;
    let _one = start(first)?;
    user.reads("#registration", &format!("1001 at localhost:{first}"))?;
    is_called(&lab, &mut user)?;
    // Firefox tells each attempt that fails as an error of the page.
    if browser == Browser::Chromium { user.met_no_error() } else { Ok(()) }
}

fn is_called(lab: &Lab, user: &mut User) -> Result {
    lab.originate("1001", "echo")?;
    user.is_told("is calling")?;
    user.presses("Escape")?;
    user.is_told("You have declined")?;
    lab.until_idle(Duration::from_secs(10))
}
