//! A user of the demo page with a keyboard, through `browser/user.mjs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::ending::Asked;
use crate::failure::{Failure, Result, ensure};
use crate::lab::Lab;
use crate::page;
use crate::puppet::{Browser, Puppet};
use crate::site::{Site, VOICE};

/// The longest time to wait; on a busy machine everything is slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// The variable that names a directory whose pictures are to be replaced; those of the README are in
/// `contrib/demo/pictures`.
const PICTURES: &str = "E2E_PICTURES";

/// The screen on which the page is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// 390 by 844 pixels, with dark colours.
    Telephone,
    /// 1280 by 800 pixels, with light colours.
    Desk,
}

impl Screen {
    /// Both screens.
    pub const ALL: [Self; 2] = [Self::Telephone, Self::Desk];

    /// Its width and height in pixels.
    pub fn width(self) -> u32 {
        match self {
            Self::Telephone => 390,
            Self::Desk => 1280,
        }
    }

    fn height(self) -> u32 {
        match self {
            Self::Telephone => 844,
            Self::Desk => 800,
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::Telephone => "dark",
            Self::Desk => "light",
        }
    }
}

/// The browser's answer when the page asks for a microphone.
#[derive(Clone, Copy, Debug)]
pub enum Microphone {
    /// It provides a fake one.
    Given,
    /// It refuses.
    Refused,
}

impl Microphone {
    fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Refused => "refused",
        }
    }
}

/// A browser that shows the page, used with the keyboard only.
#[derive(Debug)]
pub struct User {
    puppet: Puppet,
    pictures: PathBuf,
    log: PathBuf,
}

impl User {
    /// Opens the page as the lab's Asterisk serves it.
    pub fn open(lab: &Lab, browser: Browser, screen: Screen, microphone: Microphone) -> Result<Self> {
        page::bundle(&lab.asterisk().home().served())?;
        let mut user = Self::start(lab.directory(), browser, screen, microphone)?;
        user.opens("localhost", lab)?;
        Ok(user)
    }

    /// Opens the page at this address. The browser's log is below `directory`. Everything that waits for the page fails when the end
    /// is `asked` for.
    pub fn at(page: &str, directory: &Path, browser: Browser, screen: Screen, asked: Asked) -> Result<Self> {
        let mut user = Self::start(directory, browser, screen, Microphone::Given)?;
        user.puppet.ends_when(asked);
        user.puppet.ask("open", json!([page]))?;
        Ok(user)
    }

    fn start(directory: &Path, browser: Browser, screen: Screen, microphone: Microphone) -> Result<Self> {
        let log = directory.join(format!("log/page-{}.log", browser.name()));
        let frequency = VOICE.to_string();
        let arguments = [browser.name(), microphone.name(), &frequency, screen.scheme()];
        let puppet = Puppet::start("user.mjs", &arguments, browser.name(), &log)?;
        let mut user = Self { puppet, pictures: directory.to_owned(), log };
        user.puppet.ask("resize", json!([screen.width(), screen.height()]))?;
        Ok(user)
    }

    /// Starts a lab, opens its page in Chromium, with a microphone, and registers account 1001.
    pub fn registered(name: &str, site: &Site, screen: Screen) -> Result<(Lab, Self)> {
        let lab = Lab::start(name, site)?;
        let mut user = Self::open(&lab, Browser::Chromium, screen, Microphone::Given)?;
        user.registers("demo-1001", "Registered as 1001")?;
        Ok((lab, user))
    }

    /// Opens the page as `phone.example`, which leads to this Asterisk but is not a secure origin.
    pub fn opens_insecurely(&mut self, lab: &Lab) -> Result {
        self.opens("phone.example", lab)
    }

    fn opens(&mut self, name: &str, lab: &Lab) -> Result {
        let page = format!("http://{name}:{}{}", lab.ports().ws, page::PATH);
        self.puppet.ask("open", json!([page])).map(drop)
    }

    /// Puts this text into `servers.json` beside the page.
    pub fn is_given_servers(lab: &Lab, text: &str) -> Result {
        Ok(fs::write(page::directory(&lab.asterisk().home().served()).join("servers.json"), text)?)
    }

    /// Opens the page anew.
    pub fn opens_again(&mut self, lab: &Lab) -> Result {
        self.opens("localhost", lab)
    }

    /// From now on the latest connection is kept for [`Self::ice_servers`] and [`Self::devices`].
    pub fn notes_connections(&mut self) -> Result {
        self.puppet.ask("noteConnections", json!([])).map(drop)
    }

    /// The labels of the microphone and the camera of the latest connection, and the device of the speaker.
    pub fn devices(&mut self) -> Result<Value> {
        self.puppet.ask("devices", json!([]))
    }

    /// Chooses the last option of a list and returns its text.
    pub fn chooses_last(&mut self, list: &str) -> Result<String> {
        let chosen = self.puppet.ask("choose", json!([list]))?;
        Ok(chosen.as_str().unwrap_or_default().to_owned())
    }

    /// Returns the texts of all elements of this kind.
    pub fn texts(&mut self, elements: &str) -> Result<Vec<String>> {
        let texts = self.puppet.ask("texts", json!([elements]))?;
        Ok(serde_json::from_value(texts)?)
    }

    /// From now on the addresses of the page's requests are kept for [`Self::request_for`].
    pub fn notes_requests(&mut self) -> Result {
        self.puppet.ask("noteRequests", json!([])).map(drop)
    }

    /// Returns path and query of the latest request to an address with these words.
    pub fn request_for(&mut self, words: &str) -> Result<String> {
        let request = self.puppet.ask("requestFor", json!([words]))?;
        request.as_str().map(str::to_owned).ok_or_else(|| Failure::new(format!("no request for {words}")))
    }

    /// Presses "Copy report" and returns the report.
    pub fn copies_the_report(&mut self) -> Result<String> {
        self.puppet.ask("forgetReport", json!([]))?;
        self.goes_to("copy")?;
        self.presses("Enter")?;
        let text = self.puppet.ask("value", json!(["#report", PATIENCE.as_secs()]))?;
        self.reads("#copied", "eport")?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until a video moves.
    pub fn sees_picture(&mut self, video: &str) -> Result {
        self.puppet.ask("seesPicture", json!([video, PATIENCE.as_secs()])).map(drop)
    }

    /// The ICE servers of the latest connection.
    pub fn ice_servers(&mut self) -> Result<Value> {
        self.puppet.ask("iceServers", json!([]))
    }

    /// From now on ICE fails in every call.
    pub fn loses_the_way(&mut self) -> Result {
        self.puppet.ask("spoilIce", json!([])).map(drop)
    }

    /// From now on the DTLS handshake fails in every call.
    pub fn loses_the_keys(&mut self) -> Result {
        self.puppet.ask("spoilDtls", json!([])).map(drop)
    }

    /// Makes Asterisk close the page's sockets, including one that is being opened, and prevents new ones.
    pub fn loses_the_socket(&mut self, lab: &Lab) -> Result {
        self.puppet.ask("spoilSockets", json!([lab.ports().plain]))?;
        let sessions = lab.asterisk().cli("websocket show sessions")?;
        for session in sessions.lines().filter(|line| line.contains(" ws ")) {
            let id = session.split_whitespace().next().unwrap_or_default();
            lab.asterisk().cli(&format!("websocket close {id}"))?;
        }
        Ok(())
    }

    /// Allows new sockets again.
    pub fn regains_the_socket(&mut self) -> Result {
        self.puppet.ask("mendSockets", json!([])).map(drop)
    }

    /// Presses Tab, or Shift and Tab, until the control with this name has the focus; each focus on the way
    /// must be visible.
    pub fn goes_to(&mut self, control: &str) -> Result {
        self.puppet.ask("goTo", json!([control])).map(drop)
    }

    /// Moves to a control and replaces its text by typing.
    pub fn fills_in(&mut self, field: &str, text: &str) -> Result {
        self.goes_to(field)?;
        self.presses("Control+a")?;
        self.types(text)
    }

    /// Types into the focused control.
    pub fn types(&mut self, text: &str) -> Result {
        self.puppet.ask("type", json!([text])).map(drop)
    }

    /// Presses one key, by its name in browsers, or two like `Control+a`.
    pub fn presses(&mut self, key: &str) -> Result {
        self.puppet.ask("press", json!([key])).map(drop)
    }

    /// Fills in the password, presses Enter and waits for this message.
    pub fn registers(&mut self, password: &str, sentence: &str) -> Result {
        self.fills_in("password", password)?;
        self.presses("Enter")?;
        self.is_told(sentence)
    }

    /// Replaces the number in the focused field, presses Enter and waits for this message.
    pub fn calls(&mut self, number: &str, sentence: &str) -> Result {
        self.has_the_focus_on("number")?;
        self.types(number)?;
        self.presses("Enter")?;
        self.is_told(sentence)
    }

    /// Hangs up with the keyboard, and waits until Asterisk has no call.
    pub fn hangs_up(&mut self, lab: &Lab) -> Result {
        self.presses("Escape")?;
        self.is_told("You have hung up")?;
        lab.until_idle(Duration::from_secs(10))
    }

    /// Waits for a message with these words in the page's status.
    pub fn is_told(&mut self, words: &str) -> Result {
        self.reads("#sentence", words)
    }

    /// Waits for a message with these words as long as a keepalive may take to tell that a server is dead.
    pub fn is_told_in_a_minute(&mut self, words: &str) -> Result {
        self.puppet.ask("read", json!(["#sentence", words, 60])).map(drop)
    }

    /// From now on the browser's question for the microphone stays open until [`Self::allows_the_microphone`].
    pub fn hesitates(&mut self) -> Result {
        self.puppet.ask("holdAsked", json!([])).map(drop)
    }

    /// Answers the browser's question.
    pub fn allows_the_microphone(&mut self) -> Result {
        self.puppet.ask("answerAsked", json!([])).map(drop)
    }

    /// The page's origin gets an entry in `localStorage`.
    pub fn stores(&mut self, key: &str, value: &str) -> Result {
        self.puppet.ask("store", json!([key, value])).map(drop)
    }

    /// From now on the browser keeps nothing.
    pub fn loses_the_storage(&mut self) -> Result {
        self.puppet.ask("spoilStorage", json!([])).map(drop)
    }

    /// Waits for these words in the advice below the status.
    pub fn is_advised(&mut self, words: &str) -> Result {
        self.reads("#look", words)
    }

    /// Waits until the text of an element contains these words.
    pub fn reads(&mut self, element: &str, words: &str) -> Result {
        self.puppet.ask("read", json!([element, words, PATIENCE.as_secs()])).map(drop)
    }

    /// Waits until an attribute of an element contains these words.
    pub fn finds(&mut self, element: &str, attribute: &str, words: &str) -> Result {
        self.puppet.ask("read", json!([element, words, PATIENCE.as_secs(), attribute])).map(drop)
    }

    /// Waits until this level meter shows a value between these decibels.
    pub fn sees_level(&mut self, meter: &str, least: i32, most: i32) -> Result {
        self.puppet.ask("level", json!([meter, least, most, PATIENCE.as_secs()])).map(drop)
    }

    /// The candidate that the browser gets from the TURN server of the page's `servers.json`.
    pub fn is_relayed(&mut self) -> Result<String> {
        let candidate = self.puppet.ask("relayed", json!([]))?;
        candidate.as_str().map(str::to_owned).ok_or_else(|| Failure::new("the TURN server gives no relayed address"))
    }

    /// Checks that this control has the focus, visibly.
    pub fn has_the_focus_on(&mut self, control: &str) -> Result {
        let focus = self.puppet.ask("focus", json!([]))?;
        ensure(focus["name"] == control && focus["shown"] == true, || {
            format!("the focus is not on {control}, or it is not visible: {focus}")
        })
    }

    /// Checks that everything fits on both screens and is large enough for a finger.
    pub fn sees_it_all(&mut self, screen: Screen) -> Result {
        for other in Screen::ALL.into_iter().filter(|other| *other != screen).chain([screen]) {
            self.puppet.ask("resize", json!([other.width(), other.height()]))?;
            let misfits = self.puppet.ask("misfits", json!([]))?;
            ensure(misfits.as_array().is_some_and(Vec::is_empty), || format!("on a {other:?}: {misfits}"))?;
        }
        Ok(())
    }

    /// Checks that the page has thrown no uncaught exception.
    pub fn met_no_error(&self) -> Result {
        let log = fs::read_to_string(&self.log)?;
        let error = log.lines().find(|line| line.starts_with("page error"));
        ensure(error.is_none(), || format!("{}: {error:?}", self.log.display()))
    }

    /// Takes a picture of the page.
    pub fn takes_picture(&mut self, name: &str) -> Result {
        let picture = self.pictures.join(name).with_extension("png");
        self.puppet.ask("picture", json!([picture]))?;
        if let Some(wanted) = std::env::var_os(PICTURES) {
            let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(wanted);
            let old = wanted.join(picture.file_name().unwrap_or_default());
            if old.exists() {
                fs::copy(&picture, old)?;
            }
        }
        Ok(())
    }

    /// Whether pictures are requested, which takes more time.
    pub fn is_asked_for_pictures() -> bool {
        std::env::var_os(PICTURES).is_some()
    }
}
