//! ICE restarts of a page (RFC 8445 §9) while its network is as before, has changed, or is dead in part; and NATs that forget their
//! bindings. Between the two machines of [`Links`] the page hears its own voice: a gap in either direction is one that it hears.

use std::thread;
use std::time::Duration;

use e2e::failure::{Failure, Result, ensure};
use e2e::lab::Lab;
use e2e::links::Links;
use e2e::phone::{Browser, Direction, Library, Phone, RtcpMux};
use e2e::site::Site;

/// The longest gap of a restart.
const RESTART: Duration = Duration::from_millis(500);

/// The longest gap of a NAT that has forgotten its binding.
const REBINDING: Duration = Duration::from_millis(300);

/// A browser looks at its interfaces every two seconds.
const NOTICED: Duration = Duration::from_secs(3);

/// How the gaps of several events are judged.
#[derive(Clone, Copy)]
enum Judged {
    /// Few, on a machine that may be busy: the median counts.
    Few,
    /// Twenty, each of which counts.
    Each,
}

impl Judged {
    fn events(self) -> usize {
        match self {
            Self::Few => 3,
            Self::Each => 20,
        }
    }

    fn judge(self, name: &str, mut gaps: Vec<Duration>, limit: Duration) -> Result {
        gaps.sort();
        println!("{name}: {gaps:?}");
        let counts = match self {
            Self::Few => gaps.get(gaps.len() / 2),
            Self::Each => gaps.last(),
        };
        ensure(counts.is_some_and(|gap| *gap < limit), || format!("the gaps are {gaps:?}"))
    }
}

/// A call of a page with the host, over links.
struct Call {
    lab: Lab,
    phone: Phone,
    name: String,
    gaps: Vec<Duration>,
}

impl Call {
    fn start(links: u8, browser: Browser, what: &str) -> Result<Self> {
        let mut call = Self::prepare(links, browser, what)?;
        call.phone.call("echo", RtcpMux::Require)?;
        // A path that has just been found is checked more often.
        thread::sleep(Duration::from_secs(5));
        Ok(call)
    }

    fn prepare(links: u8, browser: Browser, what: &str) -> Result<Self> {
        let name = format!("restart-{what}-{}", browser.name());
        let lab = Lab::joined_by(Links::new(links)?, &name, &Site::default())?;
        lab.asterisk().cli("core set debug 2 res_rtp_asterisk.so")?;
        let phone = Phone::of_library(&lab, Library::JsSip, browser, "1001")?;
        Ok(Self { lab, phone, name, gaps: Vec::new() })
    }

    fn links(&self) -> Result<&Links> {
        self.lab.links().ok_or_else(|| Failure::new("there are no links"))
    }

    /// The network's number, and the port, of the page's address in use.
    fn address(&mut self) -> Result<(u8, u16)> {
        let local = self.phone.statistics()?["local"].as_str().unwrap_or_default().to_owned();
        let address = local.rsplit(' ').next().and_then(|address| address.parse::<std::net::SocketAddrV4>().ok());
        let address = address.ok_or_else(|| Failure::new(format!("the page's address is {local:?}")))?;
        Ok((address.ip().octets()[2], address.port()))
    }

    /// Measures the longest gap while `event` happens and for a while after it.
    fn measure(&mut self, event: impl FnOnce(&mut Self) -> Result, after: Duration) -> Result {
        self.phone.watch_gaps()?;
        event(self)?;
        thread::sleep(after);
        let (longest, stalled) = self.phone.longest_gap()?;
        let address = self.address()?;
        println!("{}: {longest:?}, the page did not look for {stalled:?}, then on {address:?}", self.name);
        self.gaps.push(longest);
        self.phone.lives()
    }

    fn restart(&mut self) -> Result {
        self.phone.restart(false).map(drop)
    }

    fn finish(mut self, judged: Judged, limit: Duration) -> Result {
        judged.judge(&self.name, std::mem::take(&mut self.gaps), limit)?;
        self.phone.hangup()?;
        self.lab.until_idle(Duration::from_secs(10))
    }
}

/// The longest time in which a page's media may move again after a restart, if it does.
const AFTERWARDS: Duration = Duration::from_secs(4);

fn restarts(links: u8, browser: Browser, judged: Judged) -> Result {
    let mut call = Call::start(links, browser, &format!("{links}-links"))?;
    for _ in 0..judged.events() {
        call.measure(Call::restart, AFTERWARDS)?;
    }
    call.finish(judged, RESTART)
}

/// The page only listens, as one that is on hold does: its media cannot be followed.
fn restarts_of_a_listener(browser: Browser, judged: Judged) -> Result {
    let mut call = Call::prepare(2, browser, "listener")?;
    call.phone.call_in_direction("music", Direction::RecvOnly)?;
    thread::sleep(Duration::from_secs(5));
    for _ in 0..judged.events() {
        call.measure(Call::restart, AFTERWARDS)?;
    }
    call.finish(judged, RESTART)
}

/// The page restarts while it holds the call, and comes back.
fn restarts_on_hold(browser: Browser, judged: Judged) -> Result {
    let mut call = Call::start(2, browser, "hold")?;
    for _ in 0..judged.events() {
        call.phone.hold()?;
        thread::sleep(Duration::from_secs(1));
        call.restart()?;
        thread::sleep(Duration::from_secs(2));
        call.measure(|call| call.phone.unhold(), Duration::from_secs(2))?;
    }
    call.finish(judged, RESTART)
}

/// The path in use dies, which the page notices in a few seconds; then it restarts.
fn restarts_when_the_old_path_is_dead(browser: Browser, judged: Judged) -> Result {
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

/// The page's machine gets another address, and the page restarts when it notices.
fn restarts_when_the_address_changes(browser: Browser, judged: Judged) -> Result {
    let mut call = Call::start(1, browser, "address")?;
    for old in (2..).take(judged.events()) {
        call.links()?.readdress(0, old, old + 1)?;
        thread::sleep(NOTICED);
        call.measure(Call::restart, AFTERWARDS)?;
    }
    call.finish(judged, RESTART)
}

fn rebinds(browser: Browser, judged: Judged) -> Result {
    let mut call = Call::start(1, browser, "rebinding")?;
    let (_, port) = call.address()?;
    for event in 0..judged.events() {
        let seen = 61_001 + event as u16;
        call.measure(|call| call.links()?.rebind(port, seen), Duration::from_secs(3))?;
    }
    call.finish(judged, REBINDING)
}

/// Every scenario in turn, twenty times each.
fn twenty_of_each(browser: Browser) -> Result {
    restarts(1, browser, Judged::Each)?;
    restarts(2, browser, Judged::Each)?;
    restarts_when_the_old_path_is_dead(browser, Judged::Each)?;
    restarts_when_the_address_changes(browser, Judged::Each)?;
    restarts_of_a_listener(browser, Judged::Each)?;
    restarts_on_hold(browser, Judged::Each)?;
    rebinds(browser, Judged::Each)
}

#[test]
#[ignore = "ten minutes, as root"]
fn twenty_of_each_with_chromium() -> Result {
    twenty_of_each(Browser::Chromium)
}

#[test]
#[ignore = "ten minutes, as root"]
fn twenty_of_each_with_firefox() -> Result {
    twenty_of_each(Browser::Firefox)
}

mod as_root {
    use super::*;

    macro_rules! tests {
        ($($name:ident: $scenario:expr;)*) => {
            $(#[test]
            #[ignore = "creates network namespaces"]
            fn $name() -> Result {
                $scenario
            })*
        };
    }

    tests! {
        chromium_restarts: restarts(1, Browser::Chromium, Judged::Few);
        chromium_restarts_with_two_interfaces: restarts(2, Browser::Chromium, Judged::Few);
        chromium_restarts_when_the_old_path_is_dead: restarts_when_the_old_path_is_dead(Browser::Chromium, Judged::Few);
        chromium_restarts_when_its_address_changes: restarts_when_the_address_changes(Browser::Chromium, Judged::Few);
        chromium_restarts_while_it_listens: restarts_of_a_listener(Browser::Chromium, Judged::Few);
        chromium_restarts_on_hold: restarts_on_hold(Browser::Chromium, Judged::Few);
        chromium_behind_a_nat_that_forgets: rebinds(Browser::Chromium, Judged::Few);
        firefox_restarts: restarts(1, Browser::Firefox, Judged::Few);
        firefox_restarts_with_two_interfaces: restarts(2, Browser::Firefox, Judged::Few);
        firefox_restarts_when_the_old_path_is_dead: restarts_when_the_old_path_is_dead(Browser::Firefox, Judged::Few);
        firefox_restarts_when_its_address_changes: restarts_when_the_address_changes(Browser::Firefox, Judged::Few);
        firefox_restarts_while_it_listens: restarts_of_a_listener(Browser::Firefox, Judged::Few);
        firefox_restarts_on_hold: restarts_on_hold(Browser::Firefox, Judged::Few);
        firefox_behind_a_nat_that_forgets: rebinds(Browser::Firefox, Judged::Few);
    }
}
