//! Calls of a page whose network changes: the longest gap of audio that the page hears. Between the two machines of [`Links`] it hears
//! its own voice: a gap in either direction is one that it hears.

use std::thread;
use std::time::Duration;

use crate::failure::{Failure, Result, ensure};
use crate::lab::Lab;
use crate::links::Links;
use crate::phone::{Browser, Library, Phone, RtcpMux};
use crate::site::Site;

/// The longest gap of a restart.
pub const RESTART: Duration = Duration::from_millis(500);

/// The longest gap of a NAT that has forgotten its binding.
pub const REBINDING: Duration = Duration::from_millis(300);

/// A browser looks at its interfaces every two seconds.
pub const NOTICED: Duration = Duration::from_secs(3);

/// How the gaps of several events are judged.
#[derive(Clone, Copy, Debug)]
pub enum Judged {
    /// Few, on a machine that may be busy: the median counts, and may take twice as long. A restart that sticks takes seconds.
    Few,
    /// Twenty, each of which counts.
    Each,
    /// One, which may take twice as long: for hosts where little time is left.
    One,
}

impl Judged {
    /// The number of events.
    pub fn events(self) -> usize {
        match self {
            Self::Few => 3,
            Self::Each => 20,
            Self::One => 1,
        }
    }

    fn judge(self, name: &str, mut gaps: Vec<Duration>, limit: Duration) -> Result {
        gaps.sort();
        println!("{name}: {gaps:?}");
        let (counts, limit) = match self {
            Self::Few | Self::One => (gaps.get(gaps.len() / 2), limit * 2),
            Self::Each => (gaps.last(), limit),
        };
        ensure(counts.is_some_and(|gap| *gap < limit), || format!("the gaps are {gaps:?}"))
    }
}

/// A call of a page with the host, over links.
pub struct Call {
    lab: Lab,
    /// The page.
    pub phone: Phone,
    name: String,
    gaps: Vec<Duration>,
}

impl Call {
    /// Calls the echo over so many links.
    pub fn start(links: u8, browser: Browser, what: &str) -> Result<Self> {
        let mut call = Self::prepare(links, browser, what)?;
        call.phone.call("echo", RtcpMux::Require)?;
        // A path that has just been found is checked more often.
        thread::sleep(Duration::from_secs(5));
        Ok(call)
    }

    /// Registers the page, which has not called anybody yet.
    pub fn prepare(links: u8, browser: Browser, what: &str) -> Result<Self> {
        let name = format!("restart-{what}-{}", browser.name());
        let lab = Lab::joined_by(Links::new(links)?, &name, &Site::default())?;
        lab.asterisk().cli("core set debug 2 res_rtp_asterisk.so")?;
        let phone = Phone::of_library(&lab, Library::JsSip, browser, "1001")?;
        Ok(Self { lab, phone, name, gaps: Vec::new() })
    }

    /// Returns the links between the two machines.
    pub fn links(&self) -> Result<&Links> {
        self.lab.links().ok_or_else(|| Failure::new("there are no links"))
    }

    /// Returns the network's number, and the port, of the page's address in use.
    pub fn address(&mut self) -> Result<(u8, u16)> {
        let local = self.phone.statistics()?["local"].as_str().unwrap_or_default().to_owned();
        let address = local.rsplit(' ').next().and_then(|address| address.parse::<std::net::SocketAddrV4>().ok());
        let address = address.ok_or_else(|| Failure::new(format!("the page's address is {local:?}")))?;
        Ok((address.ip().octets()[2], address.port()))
    }

    /// Measures the longest gap while `event` happens and for a while after it.
    pub fn measure(&mut self, event: impl FnOnce(&mut Self) -> Result, after: Duration) -> Result {
        self.phone.watch_gaps()?;
        event(self)?;
        thread::sleep(after);
        let (longest, stalled) = self.phone.longest_gap()?;
        let address = self.address()?;
        println!("{}: {longest:?}, the page did not look for {stalled:?}, then on {address:?}", self.name);
        self.gaps.push(longest);
        self.phone.lives()
    }

    /// Restarts ICE.
    pub fn restart(&mut self) -> Result {
        self.phone.restart(false).map(drop)
    }

    /// Judges the gaps, and ends the call.
    pub fn finish(mut self, judged: Judged, limit: Duration) -> Result {
        judged.judge(&self.name, std::mem::take(&mut self.gaps), limit)?;
        self.phone.hangup()?;
        self.lab.until_idle(Duration::from_secs(10))
    }
}

/// The longest time in which a page's media may move again after a restart, if it does.
pub const AFTERWARDS: Duration = Duration::from_secs(4);

/// The path in use dies, which the page notices in a few seconds; then it restarts.
pub fn restarts_when_the_old_path_is_dead(browser: Browser, judged: Judged) -> Result {
    let mut call = Call::start(2, browser, "dead")?;
    for _ in 0..judged.events() {
        let (link, _) = call.address()?;
        call.links()?.silence(link)?;
        thread::sleep(Duration::from_secs(5));
        call.measure(Call::restart, AFTERWARDS)?;
        call.links()?.unsilence(link)?;
        thread::sleep(Duration::from_secs(2));
    }
    call.finish(judged, RESTART)
}

/// A NAT forgets the binding of the page's address.
pub fn rebinds(browser: Browser, judged: Judged) -> Result {
    let mut call = Call::start(1, browser, "rebinding")?;
    let (_, port) = call.address()?;
    for event in 0..judged.events() {
        let seen = 61_001 + event as u16;
        call.measure(|call| call.links()?.rebind(port, seen), Duration::from_secs(3))?;
    }
    call.finish(judged, REBINDING)
}
