//! The demo page's report of a call, and `/webrtc/call`, from which it gets the part of Asterisk.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use e2e::failure::{Failure, Result, ensure};
use e2e::lab::Lab;
use e2e::phone::Browser;
use e2e::site::Site;
use e2e::user::{Microphone, Screen, User};

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn chromium_copies_a_report_with_the_timeline_of_asterisk() -> Result {
    report(Browser::Chromium, Screen::Telephone, "page-report-chromium")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn firefox_copies_a_report_with_the_timeline_of_asterisk() -> Result {
    report(Browser::Firefox, Screen::Desk, "page-report-firefox")
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn a_stranger_gets_no_report_of_a_call_that_is_not_his() -> Result {
    let lab = Lab::start("page-report-strangers", &site())?;
    let mut user = User::open(&lab, Browser::Chromium, Screen::Desk, Microphone::Given)?;
    user.notes_requests()?;
    user.registers(PASSWORD, "Registered as 1001")?;
    calls_echo(&mut user)?;
    user.copies_the_report()?;
    let asked = user.request_for("/webrtc/call")?;
    let (path, query) = asked.split_once('?').ok_or_else(|| Failure::new(asked.clone()))?;
    let [id, from, to] = ["id=", "from-tag=", "to-tag="]
        .map(|name| query.split('&').find(|parameter| parameter.starts_with(name)).unwrap_or_default().to_owned());
    let right = get(&lab, &asked)?;
    ensure(right.starts_with("HTTP/1.1 200 "), || right.clone())?;
    ensure(!right.to_ascii_lowercase().contains("access-control-"), || right.clone())?;
    has(&right, &["Cache-Control: no-store", "Cross-Origin-Resource-Policy: same-origin", "\"user\":\"1001\""])?;
    ensure(!right.contains(PASSWORD), || right.clone())?;
    // Twenty wrong ones are answered, and then none for a minute.
    let wrong = [
        "".to_owned(),
        id.clone(),
        format!("{id}&{from}"),
        format!("{id}&{to}"),
        format!("{id}&{from}&{to}0"),
        format!("{id}0&{from}&{to}"),
        format!("{id}&{}&{}", to.replace("to-", "from-"), from.replace("from-", "to-")),
    ];
    for query in wrong.iter().cycle().take(20) {
        let answer = get(&lab, &format!("{path}?{query}"))?;
        ensure(answer.starts_with("HTTP/1.1 404 "), || format!("{query}: {answer}"))?;
        ensure(!answer.contains("1001"), || answer.clone())?;
    }
    let answer = get(&lab, &asked)?;
    ensure(answer.starts_with("HTTP/1.1 429 "), || answer.clone())
}

const PASSWORD: &str = "demo-1001";

/// Parts of every report of a call that was up.
const BROWSER: [&str; 5] =
    ["Browser: Mozilla/", "Received audio: audio/PCM", "DTLS: connected", "Pair in use: ", "In call with echo."];

fn site() -> Site {
    Site { rtp: "callreport = yes\n".to_owned(), ..Site::default() }
}

fn report(browser: Browser, screen: Screen, name: &str) -> Result {
    let lab = Lab::start(name, &site())?;
    let mut user = User::open(&lab, browser, screen, Microphone::Given)?;
    user.registers(PASSWORD, "Registered as 1001")?;
    user.finds("#reporting", "hidden", "")?;

    // During a call.
    user.calls("echo", "In call with echo")?;
    user.sees_level("hearing", -40, 0)?;
    user.sees_it_all(screen)?;
    let text = user.copies_the_report()?;
    has(&text, &BROWSER)?;
    has(&text, &["Call: to echo, ", " ms  ", "Verdict: "])?;
    user.hangs_up(&lab)?;

    // After it, and after one that Asterisk has begun, and one that it refused.
    let text = user.copies_the_report()?;
    has(&text, &BROWSER)?;
    has(&text, &["You have hung up.", " ms  ", "Verdict: ", "\"codec\":\"PCM", "BYE"])?;
    lab.originate("1001", "echo")?;
    user.is_told("is calling")?;
    user.goes_to("answer")?;
    user.presses("Enter")?;
    user.is_told("In call with")?;
    user.sees_level("hearing", -40, 0)?;
    user.hangs_up(&lab)?;
    let text = user.copies_the_report()?;
    has(&text, &["Call: from ", "Verdict: ", " ms  "])?;
    user.goes_to("number")?;
    user.calls("nowhere", "nowhere was not reached: 404")?;
    let text = user.copies_the_report()?;
    has(&text, &["nowhere was not reached: 404", "Nothing: the call was never up.", "Verdict: "])?;
    user.sees_it_all(screen)?;
    user.takes_picture("report")?;
    user.met_no_error()
}

fn calls_echo(user: &mut User) -> Result {
    user.calls("echo", "In call with echo")?;
    user.sees_level("hearing", -40, 0)?;
    user.presses("Escape")?;
    user.is_told("You have hung up")
}

fn has(text: &str, parts: &[&str]) -> Result {
    let missing = parts.iter().find(|part| !text.contains(**part));
    ensure(missing.is_none(), || format!("{missing:?} is missing in {text}"))
}

fn get(lab: &Lab, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, lab.ports().ws))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
