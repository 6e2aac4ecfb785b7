//! Broken set-ups, each of which the history of calls names rightly, with the setting to change.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use e2e::certificate;
use e2e::failure::{Failure, Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::site::{Edit, Site, VOICE};

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn a_healthy_call_has_its_story_its_line_of_json_and_nothing_to_change() -> Result {
    let log = std::env::temp_dir().join(format!("verdicts-{}.json", std::process::id()));
    let lab =
        Lab::start("verdict-healthy", &Site { rtp: format!("calllog = {}\n", log.display()), ..Site::default() })?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    phone.call("echo", RtcpMux::Require)?;
    phone.hears(VOICE)?;
    let history = "1 calls have ended";
    ensure(!lab.asterisk().cli("rtp show history")?.contains(history), || "it has not ended yet".to_owned())?;
    phone.hangup()?;
    let told = lab.until_told(history)?;
    ensure(told.contains("media flows both ways"), || told.clone())?;
    let id = told.lines().find_map(|line| line.split_once("Call-ID ")?.1.split_once(": ")).map(|(id, _)| id.to_owned());
    let id = id.ok_or_else(|| Failure::new(format!("no Call-ID: {told}")))?;
    let story = lab.asterisk().cli(&format!("rtp show session {id}"))?;
    for event in
        ["WebSocket: accepted (ws): ", "SDP: offer by the client", "SDP: answer by Asterisk", "SIP: BYE by the client"]
    {
        ensure(story.contains(event), || format!("{event} is missing: {story}"))?;
    }
    let line = std::fs::read_to_string(&log)?;
    let call: serde_json::Value = serde_json::from_str(line.trim()).map_err(|error| Failure::new(error.to_string()))?;
    ensure(call["codec"] == "PCMU" && call["mos"].as_f64().is_some_and(|mos| mos > 3.5), || line.clone())?;
    ensure(call["setting"].is_null() && call["call_id"] == *id, || line.clone())?;
    std::fs::remove_file(&log).map_err(Failure::from)
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn a_file_that_is_no_certificate() -> Result {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    fails("verdict-certificate", Site { certificate: Some(file), ..Site::default() }, "dtlscertfile")
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn a_key_of_another_certificate() -> Result {
    let (_, key) = certificate::make("other", "30")?;
    fails("verdict-key", Site { key: Some(key), ..Site::default() }, "dtlsprivatekey")
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn an_expired_certificate() -> Result {
    let (certificate, key) = certificate::make("expired", "-1")?;
    let site = Site { certificate: Some(certificate), key: Some(key), ..Site::default() };
    fails("verdict-expired", site, "renew dtlscertfile")
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn dtlsenable_is_missing() -> Result {
    fails(
        "verdict-dtlsenable",
        Site::edited("sip.conf", |text| text.replace("dtlsenable = yes\n", "")),
        "dtlsenable = yes",
    )
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn no_codec_in_common() -> Result {
    fails(
        "verdict-allow",
        Site::edited("sip.conf", |text| text.replace("allow = ulaw,alaw", "allow = gsm")),
        "set allow",
    )
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn icesupport_is_off_in_rtp_conf() -> Result {
    let site = Site::edited("rtp.conf", |text| text.replace("icesupport = yes", "icesupport = no"));
    fails("verdict-ice-rtp", site, "icesupport = yes in rtp.conf")
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn icesupport_is_off_in_sip_conf() -> Result {
    let site = Site::edited("sip.conf", |text| text.replace("icesupport = yes", "icesupport = no"));
    fails("verdict-ice-sip", site, "icesupport = yes in [1001] of sip.conf")
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn a_stun_server_that_is_none() -> Result {
    fails("verdict-stun", Site { rtp: "stunaddr = stun.invalid\n".to_owned(), ..Site::default() }, "correct stunaddr")
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn the_password_is_wrong() -> Result {
    is_not_registered("verdict-secret", |text| text.replace("demo-1001", "other"), "secret in [1001] of sip.conf")
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn the_account_admits_other_addresses() -> Result {
    let edit =
        |text: &str| text.replace("[1001](browser)\n", "[1001](browser)\ndeny = 0.0.0.0/0\npermit = 192.0.2.0/24\n");
    is_not_registered("verdict-permit", edit, "see deny, permit, and compare secret, in [1001] of sip.conf")
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn the_account_has_an_address_of_its_own() -> Result {
    let edit = |text: &str| text.replace("host = dynamic", "host = 192.0.2.9");
    is_not_registered("verdict-host", edit, "set host = dynamic in [1001] of sip.conf")
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn there_is_no_such_account() -> Result {
    let edit = |text: &str| text.replace("[1001](browser)", "[1009](browser)");
    is_not_registered("verdict-account", edit, "or has no such account; compare the section's name")
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn the_account_is_for_udp_alone() -> Result {
    let edit = |text: &str| text.replace("transport = ws,wss", "transport = udp");
    is_not_registered("verdict-transport", edit, "add it in [1001] of sip.conf")
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn all_ports_are_in_use() -> Result {
    let lab = Lab::start("verdict-ports", &Site::edited("rtp.conf", two_ports))?;
    let mut first = Phone::registered(&lab, Browser::Chromium, "1001")?;
    first.call("echo", RtcpMux::Require)?;
    let mut second = Phone::registered(&lab, Browser::Chromium, "1002")?;
    second.dial("echo", RtcpMux::Require)?;
    lab.until_told("widen the range in rtp.conf").map(drop)
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn no_file_descriptors_are_left() -> Result {
    let lab = Lab::start("verdict-descriptors", &Site::default())?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    let pid = lab.asterisk().pid();
    let is_free = |number: &u32| !Path::new(&format!("/proc/{pid}/fd/{number}")).exists();
    let lowest = || (0..).find(is_free).unwrap_or_default();
    // Descriptors of the commands before may be closed only now.
    let mut limit = lowest();
    loop {
        limit_descriptors(pid, limit)?;
        thread::sleep(Duration::from_secs(1));
        match lowest() {
            freed if freed < limit => limit = freed,
            _ => break,
        }
    }
    phone.dial("echo", RtcpMux::Require)?;
    phone.until(&["failed"], Duration::from_secs(20))?;
    // The console wants one for each command.
    limit_descriptors(pid, 1000)?;
    let told = lab.until_told("no file descriptors are left; raise maxfiles in asterisk.conf")?;
    ensure(!told.contains("are in use"), || told)
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn bindaddr_is_no_address_of_this_machine() -> Result {
    let site = Site::edited("sip.conf", |text| text.replace("udpbindaddr = 0.0.0.0", "udpbindaddr = 192.0.2.1"));
    fails("verdict-bindaddr", site, "192.0.2.1 is no address of this machine; correct bindaddr in sip.conf")
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn avpf_is_missing() -> Result {
    let lab = Lab::start("verdict-avpf", &Site::edited("sip.conf", |text| text.replace("avpf = yes", "avpf = no")))?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    phone.dial("echo", RtcpMux::Require)?;
    phone.until(&["accepted", "failed"], Duration::from_secs(20))?;
    thread::sleep(Duration::from_secs(2));
    let was_up = phone.hangup().is_ok();
    // 11.0 refuses a profile with feedback then; 11.25 switches avpf on by itself, and there is nothing to name.
    lab.until_told(if was_up { "media flows both ways" } else { "avpf = yes in [1001]" }).map(drop)
}

/// A browser calls, and hangs up if it has not been refused.
fn fails(name: &str, site: Site, told: &str) -> Result {
    let lab = Lab::start(name, &site)?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    phone.dial("echo", RtcpMux::Require)?;
    phone.until(&["accepted", "failed", "ended"], Duration::from_secs(20))?;
    thread::sleep(Duration::from_secs(2));
    // It is not up if it was refused.
    let _ = phone.hangup();
    lab.until_told(told).map(drop)
}

/// A browser whose account has this fault cannot register.
fn is_not_registered(name: &str, edit: Edit, told: &str) -> Result {
    let lab = Lab::start(name, &Site::edited("sip.conf", edit))?;
    Phone::is_not_registered(&lab, Browser::Chromium, "1001", told)
}

/// Lets a process have no descriptor of this number or a higher one, beside those that it has.
fn limit_descriptors(pid: u32, number: u32) -> Result {
    let status = Command::new("prlimit").args([format!("--pid={pid}"), format!("--nofile={number}:")]).status()?;
    ensure(status.success(), || format!("prlimit: {status}"))
}

/// Leaves one pair of the range.
fn two_ports(text: &str) -> String {
    let first = text.lines().find_map(|line| line.strip_prefix("rtpstart = ")?.parse::<u16>().ok()).unwrap_or(10_000);
    let first = first.next_multiple_of(2);
    let lines = text.lines().map(|line| match line.split_once(" = ") {
        Some(("rtpstart", _)) => format!("rtpstart = {first}"),
        Some(("rtpend", _)) => format!("rtpend = {}", first + 1),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}
