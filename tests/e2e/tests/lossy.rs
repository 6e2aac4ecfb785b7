//! Opus of `codec_opus_g719` to browsers over a link that loses packets: a packet's copy of the one before (in-band FEC, RFC 6716
//! §2.1.7) leaves the browser less to invent.

use std::f64::consts::TAU;
use std::thread;
use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::links::Links;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::site::Site;
use e2e::tone::{Audio, RATE};

/// The share of the packets that the link loses, in percent.
const LOST: u8 = 5;

/// The time over which a browser counts.
const TIME: Duration = Duration::from_secs(30);

mod as_root {
    use super::*;

    #[test]
    #[ignore = "creates network namespaces"]
    fn chromium_invents_fewer_samples_when_packets_carry_copies() -> Result {
        copies_help(Browser::Chromium)
    }

    #[test]
    #[ignore = "creates network namespaces"]
    fn firefox_invents_fewer_samples_when_packets_carry_copies() -> Result {
        copies_help(Browser::Firefox)
    }
}

fn copies_help(browser: Browser) -> Result {
    let without = invented(browser, "no")?;
    let with = invented(browser, "yes")?;
    println!("{}: {:.2} % of the samples with copies, {:.2} % without", browser.name(), with * 100.0, without * 100.0);
    // Without copies each lost packet is invented.
    ensure(without > f64::from(LOST) / 100.0 * 0.4, || {
        format!("only {without} of the samples were invented without copies")
    })?;
    ensure(with < without * 0.6, || format!("{with} of the samples were invented with copies, {without} without"))
}

/// The share of the samples of a call that the browser invents (`concealedSamples` of its statistics) while the link loses packets.
fn invented(browser: Browser, copies: &str) -> Result<f64> {
    let files = vec![("codecs.conf", format!("[opus]\nfec = {copies}\n"))];
    let site = Site { carriers: true, files, ..Site::default() };
    let name = format!("lossy-{}-{copies}", browser.name());
    let lab = Lab::joined_by(Links::new(1)?, &name, &site)?;
    speech(Duration::from_secs(60)).write_wav(&lab.directory().join("data/music.wav"))?;
    let mut phone = Phone::registered(&lab, browser, "1001")?;
    phone.call("music", RtcpMux::Require)?;
    thread::sleep(Duration::from_secs(5));
    lab.links().map_or(Ok(()), |links| links.lose(0, LOST))?;
    let count = |phone: &mut Phone| -> Result<[f64; 3]> {
        let seen = phone.statistics()?;
        ensure(seen["codecs"][0] == "audio/opus", || format!("it does not receive Opus: {seen}"))?;
        Ok(["concealed", "samples", "packetsLost"].map(|number| seen[number].as_f64().unwrap_or(0.0)))
    };
    let before = count(&mut phone)?;
    thread::sleep(TIME);
    let after = count(&mut phone)?;
    let [concealed, samples, lost] = [0, 1, 2].map(|number| after[number] - before[number]);
    println!("{name}: {concealed} of {samples} samples were invented, {lost} packets were lost");
    ensure(lost > 20.0, || format!("{lost} packets were lost"))?;
    phone.hangup()?;
    lab.until_idle(Duration::from_secs(10))?;
    Ok(concealed / samples)
}

/// Makes a sound that encoders take for speech: a voice whose pitch and loudness move, four syllables a second. Codecs send tones in
/// another mode, without copies.
fn speech(length: Duration) -> Audio {
    let mut turn = 0.0;
    let samples = (0..length.as_secs() as u32 * RATE).map(|index| {
        let time = f64::from(index) / f64::from(RATE);
        turn += (120.0 + 15.0 * (TAU * 2.3 * time).sin()) / f64::from(RATE);
        let loudness = 0.1 + 0.9 * (TAU * 2.0 * time).sin().powi(2);
        let voice: f64 = (1..=20).map(|harmonic| (TAU * f64::from(harmonic) * turn).sin() / f64::from(harmonic)).sum();
        (voice * loudness * 6000.0) as i16
    });
    Audio::of(samples.collect())
}
