//! A stranger that knows everything but the keys floods a call with 10,000 datagrams per second, half of them under the peer's
//! address. Both parties go on hearing each other, and the log stays readable.
//!
//! Raw sockets need root. Times are judged by those of the packets that come in, and by what the machine has time for, so that a
//! busy machine does not fail the call.

use std::thread;
use std::time::Duration;

#[cfg(baresip)]
use e2e::baresip::Baresip;
use e2e::failure::Result;
#[cfg(baresip)]
use e2e::failure::ensure;
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::plain::{PLAIN_VOICE, PlainPhone};
#[cfg(baresip)]
use e2e::site::MUSIC;
use e2e::site::{Protection, Site};
use e2e::stranger::{Eavesdropper, Flood, Stranger, a_browser_is_not_disturbed};

mod as_root {
    use super::*;

    #[test]
    #[ignore = "raw sockets need root"]
    fn an_encrypted_call_goes_on_through_a_flood() -> Result {
        let lab = Lab::start("stranger-webrtc", &Site::default())?;
        a_browser_is_not_disturbed(&lab, Duration::from_secs(20))
    }

    #[test]
    #[ignore = "raw sockets need root"]
    fn an_encrypted_call_is_set_up_in_a_flood() -> Result {
        let lab = Lab::start("stranger-first", &Site::default())?;
        let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
        let plain = PlainPhone::answer(&lab, Duration::from_secs(1))?;
        let eavesdropper = Eavesdropper::start(&lab, Some(plain.port()))?;
        let stranger = Stranger::start(&lab, &eavesdropper, Protection::DtlsOverIce)?;
        phone.dial("2001", RtcpMux::Require)?;
        phone.connected(Duration::from_secs(15))?;
        phone.hears(PLAIN_VOICE)?;
        let spray = stranger.finish()?;
        println!("{spray:?}");
        phone.hangup()?;
        plain.finish(Duration::from_secs(20))?;
        eavesdropper.finish()
    }

    #[test]
    #[cfg(baresip)]
    #[ignore = "raw sockets need root"]
    fn a_call_with_keys_in_its_description_goes_on_through_a_flood() -> Result {
        let protection = Protection::Sdes;
        let lab = Lab::start("stranger-sdes", &Site { plain: protection, ..Site::default() })?;
        let eavesdropper = Eavesdropper::start(&lab, None)?;
        let _phone = Baresip::call(&lab, "music", protection, RtcpMux::Negotiate)?;
        thread::sleep(Duration::from_secs(2));
        let flood = Flood::of(&lab, &eavesdropper, protection, Duration::from_secs(8))?;
        eavesdropper.finish()?;
        // baresip returns what it hears, so its packets come as regularly as Asterisk's.
        flood.is_not_felt(&lab, |times| (&times.peer_to_asterisk, &times.asterisk_to_peer))?;
        let heard = lab.recorded()?.time_of_tone(MUSIC);
        ensure(heard > Duration::from_secs(6), || format!("Asterisk heard its tone for {heard:?}"))
    }

    #[test]
    #[ignore = "raw sockets need root"]
    fn a_plain_call_goes_on_through_a_flood() -> Result {
        let lab = Lab::start("stranger-plain", &Site::default())?;
        let eavesdropper = Eavesdropper::start(&lab, None)?;
        let plain = PlainPhone::call(&lab, "echo", Duration::from_secs(18))?;
        thread::sleep(Duration::from_secs(6));
        let flood = Flood::of(&lab, &eavesdropper, Protection::None, Duration::from_secs(8))?;
        plain.finish(Duration::from_secs(40))?;
        eavesdropper.finish()?;
        flood.is_not_felt(&lab, |times| (&times.peer_to_asterisk, &times.asterisk_to_peer))
    }
}
