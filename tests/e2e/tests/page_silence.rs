//! The demo page with a server that falls silent and closes nothing: keepalives of CRLF tell. On 16, chan_sip answers none.

use e2e::failure::Result;
use e2e::forwarder::Forwarder;
use e2e::lab::Lab;
use e2e::phone::Browser;
use e2e::site::Site;
use e2e::user::{Microphone, Screen, User};
use serde_json::json;

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn a_server_that_falls_silent_without_closing_the_socket_is_given_up() -> Result {
    let lab = Lab::start("page-servers-silent", &Site::default())?;
    let (first, second) = (lab.ports().proxy, lab.ports().plain + 1);
    let servers = [first, second].map(|port| format!("ws://localhost:{port}/ws"));
    let one = Forwarder::start(first, lab.ports().ws)?;
    let _other = Forwarder::start(second, lab.ports().ws)?;
    let mut user = User::open(&lab, Browser::Chromium, Screen::Desk, Microphone::Given)?;
    User::is_given_servers(&lab, &json!({ "servers": servers }).to_string())?;
    user.opens_again(&lab)?;
    user.registers(PASSWORD, &format!("Registered as 1001 at localhost:{first}."))?;
    // The first keepalive is answered meanwhile.
    user.calls("echo", "In call with echo")?;
    user.sees_level("hearing", -40, 0)?;
    one.freeze();
    user.is_told_in_a_minute("does not answer any more; the phone goes to the next server")?;
    user.reads("#registration", &format!("1001 at localhost:{second}"))?;
    user.is_told("In call with echo")?;
    user.hangs_up(&lab)?;
    user.met_no_error()
}

const PASSWORD: &str = "demo-1001";
