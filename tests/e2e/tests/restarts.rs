//! ICE restarts of a page (RFC 8445 §9) while its network is as before, has changed, or is dead in part; and NATs that forget their
//! bindings. Between the two machines of [`Links`] the page hears its own voice: a gap in either direction is one that it hears.

use std::thread;
use std::time::Duration;

use e2e::failure::Result;
use e2e::moving::{AFTERWARDS, Call, Judged, NOTICED, RESTART, rebinds, restarts_when_the_old_path_is_dead};
use e2e::phone::{Browser, Direction};

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
