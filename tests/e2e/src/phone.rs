//! A browser used as a phone, through `browser/driver.mjs`.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Failure, Result, ensure};
use crate::lab::Lab;
use crate::nat::Namespace;
use crate::puppet::Puppet;
use crate::site::VOICE;

pub use crate::puppet::{Browser, Vanish};
pub use kinds::{Checks, Colours, Direction, Heard, Library, RtcpMux, Transport};

mod kinds;

/// Whether a browser reveals its own addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Addresses {
    Shown,
    Hidden,
}

/// The longest time that a page waits for candidates from its servers before it sends its offer.
const GATHERING: Duration = Duration::from_secs(2);

/// A browser with one account.
pub struct Phone {
    puppet: Puppet,
    account: String,
    source: Value,
    library: Library,
    /// Options of the library for the registration.
    options: Value,
    record: Option<PathBuf>,
}

impl Phone {
    /// Starts a browser that sends [`VOICE`]. Its console is logged to `<account>-<browser>.log` in the
    /// lab's directory.
    pub fn open(lab: &Lab, browser: Browser, account: &str) -> Result<Self> {
        Self::with_voice(lab, browser, account, VOICE)
    }

    /// Starts a browser that sends this tone in every call. 48000 must be a multiple of its frequency.
    pub fn with_voice(lab: &Lab, browser: Browser, account: &str, voice: f64) -> Result<Self> {
        Self::launch(lab, browser, account, voice, Addresses::Shown)
    }

    /// Starts a browser without permission for a microphone, so that it hides its addresses (RFC 8828).
    pub fn hidden(lab: &Lab, browser: Browser, account: &str) -> Result<Self> {
        Self::launch(lab, browser, account, VOICE, Addresses::Hidden)
    }

    /// Starts a browser in a network namespace, which sends [`VOICE`].
    pub fn in_namespace(namespace: &Namespace, lab: &Lab, browser: Browser, account: &str) -> Result<Self> {
        Self::launch_by(lab, browser, account, VOICE, Addresses::Shown, |node| namespace.enter(&node))
    }

    fn launch(lab: &Lab, browser: Browser, account: &str, voice: f64, addresses: Addresses) -> Result<Self> {
        Self::launch_by(lab, browser, account, voice, addresses, |node| match lab.links() {
            Some(links) => links.page().enter(&node),
            None => node,
        })
    }

    fn launch_by(
        lab: &Lab,
        browser: Browser,
        account: &str,
        voice: f64,
        addresses: Addresses,
        place: impl FnOnce(Command) -> Command,
    ) -> Result<Self> {
        let voice_of_firefox = voice.to_string();
        let mut arguments = vec![browser.name(), &voice_of_firefox];
        arguments.extend((addresses == Addresses::Hidden).then_some("hidden"));
        let log = lab.directory().join(format!("log/{account}-{}.log", browser.name()));
        let mut node = place(Puppet::driver("driver.mjs", &arguments));
        let puppet = Puppet::run(&mut node, account, &log)?;
        let puppet = puppet.ok_or_else(|| Failure::new(format!("{account}: {} did not start", browser.name())))?;
        // Without a sound card, Firefox generates no tones in a page, but its fake microphone does.
        let source = match browser {
            Browser::Chromium => {
                json!({ "kind": "tone", "frequency": voice, "withoutPermission": addresses == Addresses::Hidden })
            }
            Browser::Firefox => json!({ "kind": "microphone" }),
        };
        let test = lab.directory().file_name().unwrap_or_default().to_string_lossy();
        let record = std::env::var_os("E2E_MESSAGES")
            .map(|directory| Path::new(&directory).join(format!("{}-{test}-{account}", browser.name())));
        let (account, library) = (account.to_owned(), Library::JsSip);
        Ok(Self { puppet, account, source, library, options: json!({}), record })
    }

    /// Uses this library from the next registration on.
    pub fn using(mut self, library: Library) -> Self {
        self.library = library;
        self
    }

    /// Registers with these further options of the page's line.
    pub fn with_options(mut self, options: Value) -> Self {
        self.options = options;
        self
    }

    /// Opens a browser and registers it over ws.
    pub fn registered(lab: &Lab, browser: Browser, account: &str) -> Result<Self> {
        let mut phone = Self::open(lab, browser, account)?;
        phone.register(lab, Transport::Plain)?;
        Ok(phone)
    }

    /// Checks that a browser cannot register with this account, and that the history tells why.
    pub fn is_not_registered(lab: &Lab, browser: Browser, account: &str, told: &str) -> Result {
        ensure(Self::registered(lab, browser, account).is_err(), || "it was registered".to_owned())?;
        lab.until_told(told).map(drop)
    }

    /// Opens a browser and registers it over ws with this library.
    pub fn of_library(lab: &Lab, library: Library, browser: Browser, account: &str) -> Result<Self> {
        let mut phone = Self::open(lab, browser, account)?.using(library);
        phone.register(lab, Transport::Plain)?;
        Ok(phone)
    }

    /// Registers.
    pub fn register(&mut self, lab: &Lab, transport: Transport) -> Result {
        let server = match transport {
            Transport::Plain => format!("ws://localhost:{}/ws", lab.ports().ws),
            Transport::Tls => format!("wss://localhost:{}/ws", lab.ports().wss),
            Transport::Proxied => format!("wss://localhost:{}/ws", lab.ports().proxy),
        };
        self.register_at(&server)
    }

    /// Registers with the PBX at this address, over ws.
    pub fn register_with(&mut self, lab: &Lab, address: IpAddr) -> Result {
        self.register_at(&format!("ws://{}/ws", SocketAddr::new(address, lab.ports().ws)))
    }

    /// Registers with the server of this URL.
    pub fn register_at(&mut self, server: &str) -> Result {
        let account = &self.account;
        let arguments = json!({
            "server": server, "uri": format!("sip:{account}@localhost"), "password": format!("demo-{account}"),
            "source": self.source, "library": self.library.name(), "options": self.options,
        });
        let event = self.ask("register", json!([arguments]))?;
        ensure(event["name"] == "registered", || format!("{} was not registered: {event}", self.account))
    }

    /// Sends the INVITE.
    pub fn dial(&mut self, number: &str, rtcp: RtcpMux) -> Result {
        self.ask("dial", json!([number, rtcp.configuration()])).map(drop)
    }

    /// Calls `number` and waits until media flows.
    pub fn call(&mut self, number: &str, rtcp: RtcpMux) -> Result {
        self.dial(number, rtcp)?;
        self.connected(Duration::from_secs(15))
    }

    /// Calls `number` with these ICE servers and waits for the first audio of the answer, or for `patience` to be over.
    pub fn call_by_way_of(&mut self, number: &str, ice_servers: Value, patience: Duration) -> Result<Value> {
        let mut options = RtcpMux::Require.configuration();
        options["pc"]["iceServers"] = ice_servers;
        options["gathering"] = json!(GATHERING.as_millis() as u64);
        self.ask("dial", json!([number, options]))?;
        let accepted = self.first(&["accepted", "failed", "ended"], Duration::from_secs(15))?;
        ensure(accepted["name"] == "accepted", || format!("the call was not accepted: {accepted}"))?;
        self.ask("path", json!([patience.as_secs_f64()]))
    }

    /// Calls, but removes this format from the answer before the browser sees it.
    pub fn call_without(&mut self, format: &str, number: &str) -> Result {
        self.ask("dial", json!([number, { "without": format }]))?;
        self.connected(Duration::from_secs(15))
    }

    /// Calls with an offer whose audio has this direction, and waits for the transport.
    pub fn call_in_direction(&mut self, number: &str, direction: Direction) -> Result {
        self.ask("dial", json!([number, { "direction": direction.name() }]))?;
        self.connected(Duration::from_secs(15))
    }

    /// Calls with an offer that has no candidates, and waits until the call is accepted. With [`Checks::OfTheHost`] the page
    /// hears of no candidates of the host, so that only the host's checks can find a path.
    pub fn call_without_candidates(&mut self, number: &str, checks: Checks) -> Result {
        let trickles = if checks == Checks::OfTheHost { "waits" } else { "calls" };
        self.ask("dial", json!([number, { "trickles": trickles }]))?;
        let confirmed = self.until(&["confirmed", "failed", "ended"], Duration::from_secs(15))?;
        ensure(confirmed["name"] == "confirmed", || format!("the call was not accepted: {confirmed}"))
    }

    /// Sends the candidates in INFO (RFC 8840). Returns the time from there to the first audio packet.
    pub fn trickle(&mut self) -> Result<Duration> {
        let took = self.ask("trickle", json!([]))?;
        let took = took.as_f64().ok_or_else(|| Failure::new(format!("{}: no audio after trickling", self.account)))?;
        Ok(Duration::from_secs_f64(took / 1000.0))
    }

    /// Offers this direction of the audio in a re-INVITE and waits for the answer.
    pub fn renegotiate(&mut self, direction: Direction) -> Result {
        self.ask("renegotiate", json!([direction.name()])).map(drop)
    }

    /// Calls with audio and video and waits until media flows.
    pub fn call_with_picture(&mut self, number: &str, colours: Colours) -> Result {
        self.dial_with_picture(number, colours)?;
        self.connected(Duration::from_secs(15))
    }

    /// Calls with audio and video, with an offer that names no SSRC.
    pub fn call_with_picture_of_unnamed_sources(&mut self, number: &str, colours: Colours) -> Result {
        self.ask("dial", json!([number, { "colours": colours, "unnamed": true }]))?;
        self.connected(Duration::from_secs(15))
    }

    /// Sends the INVITE for audio and video.
    pub fn dial_with_picture(&mut self, number: &str, colours: Colours) -> Result {
        self.ask("dial", json!([number, { "colours": colours }])).map(drop)
    }

    /// Sends the INVITE for audio and, with colours, video of a page whose sections all share one transport (`max-bundle`).
    pub fn dial_bundled(&mut self, number: &str, colours: Option<Colours>) -> Result {
        self.ask("dial", json!([number, bundled(colours)])).map(drop)
    }

    /// Waits for a call and answers it with audio and video, by a page whose sections all share one transport.
    pub fn answer_bundled(&mut self, colours: Colours) -> Result {
        self.until(&["ringing"], Duration::from_secs(15))?;
        self.ask("answer", json!([bundled(Some(colours))])).map(drop)
    }

    /// Adds a camera to the call in a re-INVITE, or removes it, and waits for the answer.
    pub fn camera(&mut self, colours: Option<Colours>) -> Result {
        self.ask("camera", json!([colours])).map(drop)
    }

    /// Waits for a call and answers it with audio and video.
    pub fn answer_with_picture(&mut self, colours: Colours) -> Result {
        self.until(&["ringing"], Duration::from_secs(15))?;
        self.ask("answer", json!([{ "colours": colours }])).map(drop)
    }

    /// The colours received now, and the numbers of `pictures` in `browser/statistics.js`.
    pub fn look(&mut self) -> Result<Value> {
        self.ask("look", json!([]))
    }

    /// Waits up to twenty seconds until each half of the picture is mostly red, green or blue as expected (0 to 2),
    /// and until new frames were decoded a second later. Returns the last measurement.
    pub fn sees(&mut self, left: usize, right: usize) -> Result<Value> {
        let is = |seen: &Value, half: &str, wanted: usize| {
            let colour: Vec<i64> =
                seen["seen"][half].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
            colour.iter().enumerate().all(|(at, much)| if at == wanted { *much > 150 } else { *much < 100 })
                && colour.len() == 3
        };
        let mut seen = Value::Null;
        for _ in 0..20 {
            let before = seen["decoded"].as_i64().unwrap_or(0);
            seen = self.look()?;
            let moves = before > 0 && seen["decoded"].as_i64() > Some(before + 5);
            if moves && is(&seen, "left", left) && is(&seen, "right", right) {
                return Ok(seen);
            }
            thread::sleep(Duration::from_secs(1));
        }
        Err(Failure::new(format!("{} does not see the picture but {seen}", self.account)))
    }

    /// Waits for a call and answers it.
    pub fn answer(&mut self, rtcp: RtcpMux) -> Result {
        self.until(&["ringing"], Duration::from_secs(15))?;
        self.ask("answer", json!([rtcp.configuration()])).map(drop)
    }

    /// Waits until the call is accepted and its transport (ICE and DTLS) is connected.
    pub fn connected(&mut self, patience: Duration) -> Result {
        let accepted = self.first(&["accepted", "failed", "ended"], patience)?;
        ensure(accepted["name"] == "accepted", || format!("the call was not accepted: {accepted}"))?;
        let mut state = json!(null);
        for _ in 0..100 {
            state = self.descriptions()?;
            if state["connectionState"] == "connected" {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err(Failure::new(format!(
            "no media path: {} after ten seconds, events {}",
            state["connectionState"],
            self.ask("events", json!([]))?
        )))
    }

    /// Waits for one of these events.
    pub fn until(&mut self, names: &[&str], patience: Duration) -> Result<Value> {
        let event = self.first(names, patience)?;
        if event.is_null() {
            let events = self.ask("events", json!([]))?;
            return Err(Failure::new(format!("none of {names:?} in {patience:?}, but {events}")));
        }
        Ok(event)
    }

    /// Milliseconds from the answer, sent or received by the page, to the first audio that it has decrypted.
    pub fn arrival(&mut self) -> Result<f64> {
        let arrived = self.ask("arrival", json!([15]))?;
        arrived.as_f64().ok_or_else(|| Failure::new(format!("{}: no audio arrived", self.account)))
    }

    /// Puts the call on hold by a re-INVITE and waits for its answer.
    pub fn hold(&mut self) -> Result {
        self.ask("hold", json!([])).map(drop)
    }

    /// Ends the hold.
    pub fn unhold(&mut self) -> Result {
        self.ask("unhold", json!([])).map(drop)
    }

    /// Restarts ICE in a re-INVITE and waits for its answer. Returns how long that took.
    pub fn restart(&mut self, early: bool) -> Result<Duration> {
        let took = self.ask("restart", json!([early]))?;
        Ok(Duration::from_secs_f64(took.as_f64().unwrap_or_default() / 1000.0))
    }

    /// Starts to measure gaps in the received audio.
    pub fn watch_gaps(&mut self) -> Result {
        self.ask("watchGaps", json!([])).map(drop)
    }

    /// Ends the measurement: the longest time without audio, and the longest time in which the page did not look.
    pub fn longest_gap(&mut self) -> Result<(Duration, Duration)> {
        let gap = self.ask("gap", json!([]))?;
        let time = |name: &str| Duration::from_secs_f64(gap[name].as_f64().unwrap_or(f64::from(u16::MAX)) / 1000.0);
        Ok((time("longest"), time("stalled")))
    }

    /// Sends digits as telephone-event, of 120 ms each.
    pub fn dtmf(&mut self, digits: &str) -> Result {
        self.dtmf_held(digits, Duration::from_millis(120))
    }

    /// Sends digits of this duration, up to six seconds.
    pub fn dtmf_held(&mut self, digits: &str, held: Duration) -> Result {
        self.ask("dtmf", json!([digits, held.as_secs_f64() * 1000.0])).map(drop)
    }

    /// Transfers the far end to another number.
    pub fn transfer(&mut self, number: &str) -> Result {
        self.ask("transfer", json!([number])).map(drop)
    }

    /// Makes the browser leave without a word.
    pub fn vanish(&mut self, vanish: Vanish) -> Result {
        self.puppet.vanish(vanish)
    }

    /// Ends [`Vanish::Network`].
    pub fn come_back(&mut self) -> Result {
        self.puppet.come_back()
    }

    /// Ends the call.
    pub fn hangup(&mut self) -> Result {
        self.ask("hangup", json!([])).map(drop)
    }

    /// Unregisters.
    pub fn unregister(&mut self) -> Result {
        self.ask("unregister", json!([])).map(drop)
    }

    /// Measures the received audio for a while.
    pub fn listen(&mut self, frequencies: &[f64], time: Duration) -> Result<Heard> {
        let heard = self.ask("listen", json!([frequencies, time.as_secs_f64()]))?;
        let shares = heard["shares"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        Ok(Heard { rms: heard["rms"].as_f64().unwrap_or(0.0), shares })
    }

    /// Waits up to ten seconds until nearly all received audio is this tone.
    pub fn hears(&mut self, frequency: f64) -> Result {
        let mut heard = None;
        for _ in 0..10 {
            let now = self.listen(&[frequency], Duration::from_secs(1))?;
            if now.rms > 0.01 && now.shares.first().is_some_and(|share| *share > 0.8) {
                return Ok(());
            }
            heard = Some(now);
        }
        Err(Failure::new(format!("{} does not hear {frequency} Hz but {heard:?}", self.account)))
    }

    /// Waits up to five seconds until the received audio is silent.
    pub fn hears_nothing(&mut self) -> Result {
        let mut heard = None;
        for _ in 0..5 {
            let now = self.listen(&[], Duration::from_secs(1))?;
            if now.rms < 0.01 {
                return Ok(());
            }
            heard = Some(now);
        }
        Err(Failure::new(format!("{} hears {heard:?}", self.account)))
    }

    /// The numbers of `browser/statistics.js`.
    pub fn statistics(&mut self) -> Result<Value> {
        self.ask("statistics", json!([]))
    }

    /// Checks the SRTP profile that DTLS agreed on, by a part of its name. Browsers write the names in their own ways.
    pub fn is_protected_by(&mut self, profile: &str) -> Result {
        let dtls = self.statistics()?["dtls"].take();
        let transports = dtls.as_array().map(Vec::as_slice).unwrap_or_default();
        let agreed = |transport: &Value| transport.as_str().is_some_and(|state| state.contains(profile));
        ensure(!transports.is_empty() && transports.iter().all(agreed), || {
            format!("{} has {dtls}, not {profile}", self.account)
        })
    }

    /// Both session descriptions and the states of the transport.
    pub fn descriptions(&mut self) -> Result<Value> {
        self.ask("descriptions", json!([]))
    }

    /// Waits up to five seconds until the audio's negotiated direction is this one, as the page sees it. Some libraries
    /// report a re-INVITE as done before they apply its answer.
    pub fn reaches_direction(&mut self, direction: Direction) -> Result {
        let mut state = json!(null);
        for _ in 0..50 {
            state = self.descriptions()?;
            if state["direction"] == direction.name() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        let (account, now, wanted) = (&self.account, &state["direction"], direction.name());
        Err(Failure::new(format!(
            "{account}: the audio is {now}, not {wanted}; Asterisk described {}",
            state["remote"]
        )))
    }

    /// Checks that the call is still up.
    pub fn lives(&mut self) -> Result {
        let events = self.ask("events", json!([]))?;
        let over = |event: &&Value| event["name"] == "ended" || event["name"] == "failed";
        match events.as_array().into_iter().flatten().find(over) {
            Some(end) => Err(Failure::new(format!("{}: the call is over: {end}", self.account))),
            None => Ok(()),
        }
    }

    /// Every SIP message of the page so far, sent and received.
    pub fn messages(&mut self) -> Result<Vec<String>> {
        let messages = self.ask("messages", json!([]))?;
        let texts = messages.as_array().into_iter().flatten().filter_map(|message| message["text"].as_str());
        Ok(texts.map(str::to_owned).collect())
    }

    /// Writes every SIP message of the page into the directory that `E2E_MESSAGES` names, byte for byte.
    fn write_messages(&mut self, record: &Path) -> Result {
        let messages = self.ask("messages", json!([]))?;
        for (number, message) in messages.as_array().into_iter().flatten().enumerate() {
            let text = message["text"].as_str().unwrap_or_default();
            let direction = if message["sent"] == true { "sent" } else { "received" };
            let name = format!(
                "{}-{}-{direction}-{}-{number:03}.sip",
                self.library.name(),
                record.file_name().unwrap_or_default().display(),
                kind(text)
            );
            fs::write(record.with_file_name(name), text)?;
        }
        Ok(())
    }

    fn first(&mut self, names: &[&str], patience: Duration) -> Result<Value> {
        self.ask("until", json!([names, patience.as_secs_f64()]))
    }

    fn ask(&mut self, method: &str, arguments: Value) -> Result<Value> {
        self.puppet.ask(method, arguments)
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            // A page that is gone has nothing to record.
            let _ = self.write_messages(&record);
        }
    }
}

/// A short name for a SIP message: `invite`, `invite-again-sendonly`, `200-invite`.
fn kind(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let header = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let method = header("CSeq:").split_whitespace().last().unwrap_or("keepalive").to_lowercase();
    let status =
        first.strip_prefix("SIP/2.0 ").and_then(|rest| rest.split(' ').next()).map(|status| format!("{status}-"));
    let again = if status.is_none() && method == "invite" && header("To:").contains(";tag=") { "-again" } else { "" };
    let direction = message.split("\r\nm=audio").nth(1).and_then(|media| {
        let all = ["sendrecv", "sendonly", "recvonly", "inactive"];
        all.into_iter().find(|direction| media.contains(&format!("\r\na={direction}\r\n")))
    });
    let direction = direction.map(|direction| format!("-{direction}")).unwrap_or_default();
    format!("{}{method}{again}{direction}", status.unwrap_or_default())
}

/// The page's options for a call with `bundlePolicy` `max-bundle`.
fn bundled(colours: Option<Colours>) -> Value {
    let mut options = json!({ "pc": { "bundlePolicy": "max-bundle" } });
    if let Some(colours) = colours {
        options["colours"] = json!(colours);
    }
    options
}
