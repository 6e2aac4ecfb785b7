//! Asterisk's REST Interface sends its events on a WebSocket with its own path, `/ari/events`. Most clients request no
//! subprotocol.

mod common;

use common::{Client, Pbx, Whose, upgrade};
use e2e::failure::{Result, ensure};
use serde_json::Value;

#[test]
#[cfg_attr(not(ari), ignore = "ASTERISK_PREFIX names no Asterisk with ARI")]
fn events_reach_a_client_that_asks_for_no_subprotocol() -> Result {
    let (pbx, mut client) = watch("ari-unnamed", Whose::Ours, None)?;
    happens(&pbx, "hello")?;
    is_told(&mut client, "hello")
}

#[test]
#[cfg_attr(not(ari), ignore = "ASTERISK_PREFIX names no Asterisk with ARI")]
fn events_reach_a_client_that_asks_for_ari() -> Result {
    let (pbx, mut client) = watch("ari-named", Whose::Ours, Some("ari"))?;
    happens(&pbx, "hello")?;
    is_told(&mut client, "hello")
}

#[test]
#[cfg_attr(not(ari), ignore = "ASTERISK_PREFIX names no Asterisk with ARI")]
fn with_the_original_events_reach_a_client_that_asks_for_no_subprotocol_too() -> Result {
    let (pbx, mut client) = watch("ari-original", Whose::Original, None)?;
    happens(&pbx, "hello")?;
    is_told(&mut client, "hello")
}

#[test]
#[cfg_attr(not(ari), ignore = "ASTERISK_PREFIX names no Asterisk with ARI")]
fn a_client_that_asks_for_something_else_is_refused_and_hung_up_on() -> Result {
    let pbx = Pbx::start_with_ari("ari-refused", Whose::Ours)?;
    let (mut client, answer) = Client::send_request(pbx.ports.ws, &events(Some("sip")))?;
    ensure(answer.starts_with("HTTP/1.1 400 "), || answer.clone())?;
    ensure(client.is_at_the_end()?, || "the server did not close the connection".to_owned())
}

/// The body of the request is not taken for frames.
#[test]
#[cfg_attr(not(ari), ignore = "ASTERISK_PREFIX names no Asterisk with ARI")]
fn an_upgrade_with_a_body_is_an_upgrade() -> Result {
    let pbx = Pbx::start_with_ari("ari-body", Whose::Ours)?;
    let request = upgrade(EVENTS, "Content-Length: 4\r\n") + "body";
    let (mut client, answer) = Client::send_request(pbx.ports.ws, &request)?;
    ensure(answer.starts_with("HTTP/1.1 101 "), || answer.clone())?;
    happens(&pbx, "hello")?;
    is_told(&mut client, "hello")
}

const EVENTS: &str = "/ari/events?app=watched&api_key=watcher:secret";

fn events(protocol: Option<&str>) -> String {
    let protocol = protocol.map(|protocol| format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
    upgrade(EVENTS, &protocol.unwrap_or_default())
}

/// The response names the requested subprotocol, and none if none was requested.
fn watch(name: &str, whose: Whose, protocol: Option<&str>) -> Result<(Pbx, Client)> {
    let pbx = Pbx::start_with_ari(name, whose)?;
    let (client, answer) = Client::send_request(pbx.ports.ws, &events(protocol))?;
    ensure(answer.starts_with("HTTP/1.1 101 "), || answer.clone())?;
    let named = answer.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
    ensure(named == protocol, || answer.clone())?;
    Ok((pbx, client))
}

/// Sends an event to the application.
fn happens(pbx: &Pbx, what: &str) -> Result {
    let request = format!(
        "POST /ari/events/user/{what}?application=watched&api_key=watcher:secret HTTP/1.1\r\nHost: localhost\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let (_, answer) = Client::send_request(pbx.ports.ws, &request)?;
    ensure(answer.starts_with("HTTP/1.1 204 "), || answer.clone())
}

fn is_told(client: &mut Client, what: &str) -> Result {
    loop {
        let event: Value = serde_json::from_slice(&client.message()?)?;
        if event["type"] == "ChannelUserevent" {
            return ensure(event["eventname"] == what, || event.to_string());
        }
    }
}
