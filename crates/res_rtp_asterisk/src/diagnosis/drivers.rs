//! The channel drivers of this host, whose settings verdicts and the self-test name.

use std::sync::atomic::{AtomicU8, Ordering};

use ::story::Driver;
use asterisk::module;
use asterisk::rtp::{HAS_CHAN_PJSIP, HAS_CHAN_SIP};

/// Returns the drivers that this host can have. They need not be loaded, which happens in an order of its own.
pub fn possible() -> impl Iterator<Item = Driver> {
    let possible = [(Driver::ChanSip, HAS_CHAN_SIP), (Driver::ChanPjsip, HAS_CHAN_PJSIP)];
    possible.into_iter().filter_map(|(driver, is_possible)| is_possible.then_some(driver))
}

/// Returns the drivers that are loaded; those that are possible, if none is.
pub fn loaded() -> Vec<Driver> {
    let loaded: Vec<_> = possible().filter(|driver| module::is_loaded(driver.names().module)).collect();
    if loaded.is_empty() { possible().collect() } else { loaded }
}

/// The driver that took a message over a WebSocket last, as its place in [`Driver::ALL`] and one more; 0 before the first.
static TOLD: AtomicU8 = AtomicU8::new(0);

/// Notes the driver that a message over a WebSocket goes to.
pub fn note(driver: Driver) {
    let place = Driver::ALL.iter().position(|known| *known == driver).map_or(0, |place| place as u8 + 1);
    TOLD.store(place, Ordering::Relaxed);
}

/// Returns the driver that most likely serves browsers: the one that has done so last; before the first, the one that is loaded and, of
/// two, the one whose module for WebSockets is loaded. Both may be; the first one then counts.
pub fn of_browsers() -> Driver {
    let told = usize::from(TOLD.load(Ordering::Relaxed)).checked_sub(1).and_then(|place| Driver::ALL.get(place));
    told.copied().unwrap_or_else(likely)
}

fn likely() -> Driver {
    choose(possible(), |driver| {
        let names = driver.names();
        [names.module, names.websocket].map(module::is_loaded)
    })
}

/// Returns the driver of a call, by what is known of it: the name of its channel, and the driver that the WebSocket's module told.
pub fn of_call(channel: Option<&str>, told: Option<Driver>) -> Driver {
    channel.and_then(Driver::of_channel).or(told).unwrap_or_else(of_browsers)
}

/// Chooses a driver of those that are possible, by whether the driver itself and its module for WebSockets are loaded.
fn choose(mut possible: impl Iterator<Item = Driver>, are_loaded: impl Fn(Driver) -> [bool; 2]) -> Driver {
    let first = possible.next().unwrap_or_default();
    // Among equal ones it is the first.
    possible.fold(first, |best, other| if are_loaded(other) > are_loaded(best) { other } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(sip: [bool; 2], pjsip: [bool; 2]) -> Driver {
        choose(Driver::ALL.into_iter(), |driver| match driver {
            Driver::ChanSip => sip,
            Driver::ChanPjsip => pjsip,
        })
    }

    #[test]
    fn the_driver_that_is_loaded_is_the_one_of_a_call_that_nothing_is_known_of() {
        let (none, all) = ([false, false], [true, true]);
        assert_eq!(chosen(none, none), Driver::ChanSip);
        assert_eq!(chosen(all, none), Driver::ChanSip);
        assert_eq!(chosen(none, [true, false]), Driver::ChanPjsip);
        assert_eq!(chosen(all, [true, false]), Driver::ChanSip);
        assert_eq!(chosen(all, all), Driver::ChanSip);
        assert_eq!(choose([Driver::ChanPjsip].into_iter(), |_| none), Driver::ChanPjsip, "Asterisk 22 has no other");
    }

    #[test]
    fn the_channel_of_a_call_tells_its_driver_and_then_the_websocket() {
        assert_eq!(of_call(Some("PJSIP/1001-00000001"), Some(Driver::ChanSip)), Driver::ChanPjsip);
        assert_eq!(of_call(Some("SIP/1001-00000001"), None), Driver::ChanSip);
        assert_eq!(of_call(None, Some(Driver::ChanPjsip)), Driver::ChanPjsip);
    }
}
