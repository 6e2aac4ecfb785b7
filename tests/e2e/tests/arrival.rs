//! Benchmarks: the time from the answer of a call to the first audio that the page has decrypted.

use std::time::Duration;

use e2e::failure::Result;
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::site::Site;

const CALLS: usize = 20;

#[test]
#[ignore = "a benchmark"]
fn chromium_calls() -> Result {
    measure(Browser::Chromium, Direction::Out)
}

#[test]
#[ignore = "a benchmark"]
fn chromium_is_called() -> Result {
    measure(Browser::Chromium, Direction::In)
}

#[test]
#[ignore = "a benchmark"]
fn firefox_calls() -> Result {
    measure(Browser::Firefox, Direction::Out)
}

#[test]
#[ignore = "a benchmark"]
fn firefox_is_called() -> Result {
    measure(Browser::Firefox, Direction::In)
}

/// The side that makes the call, as the page sees it.
#[derive(Debug, Clone, Copy)]
enum Direction {
    Out,
    In,
}

/// Places calls one after the other, and prints the times in milliseconds.
fn measure(browser: Browser, direction: Direction) -> Result {
    let lab = Lab::start(&format!("arrival-{}-{direction:?}", browser.name()), &Site::default())?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    let mut took = (0..CALLS).map(|_| call(&lab, &mut phone, direction)).collect::<Result<Vec<_>>>()?;
    took.sort_by(f64::total_cmp);
    let at = |part: usize| took.get((took.len() - 1) * part / 100).copied().unwrap_or_default();
    println!(
        "{} {direction:?}: median {:.0} ms, 90 % within {:.0}, from {:.0} to {:.0}",
        browser.name(),
        at(50),
        at(90),
        at(0),
        at(100)
    );
    Ok(())
}

fn call(lab: &Lab, phone: &mut Phone, direction: Direction) -> Result<f64> {
    match direction {
        // The number answers and speaks by itself.
        Direction::Out => phone.dial("music", RtcpMux::Require)?,
        Direction::In => {
            lab.originate("1001", "music")?;
            phone.answer(RtcpMux::Require)?;
        }
    }
    let took = phone.arrival()?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(5))?;
    Ok(took)
}
