//! Phones with cameras, over SIP and RTP without encryption: pictures in every format, and the ways to ask for a whole one.

use std::thread;
use std::time::{Duration, Instant};

use e2e::camera::{self, Camera, FORMATS, Format, PICTURE, TICKS, film};
use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::rtp::Rtp;

const H264: Format = FORMATS[3];

/// The order in which pictures are sent: some are shown earlier than their predecessors (B pictures).
const ORDER: [u32; 12] = [1, 2, 3, 6, 4, 5, 9, 7, 8, 10, 11, 12];

const PATIENCE: Duration = Duration::from_secs(5);

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn pictures_of_every_format_come_back_whole_and_on_time() -> Result {
    let lab = Lab::start("pictures-echo", &camera::site())?;
    let results: Vec<Result> = thread::scope(|scope| {
        let lab = &lab;
        let calls = FORMATS.map(|format| (format, scope.spawn(move || echo(lab, format))));
        calls
            .map(|(format, call)| call.join().unwrap_or_else(|_| ensure(false, || format!("{format:?} panicked"))))
            .into()
    });
    results.into_iter().collect::<Result>()?;
    lab.until_idle(PATIENCE)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_wish_for_a_whole_picture_reaches_the_other_phone() -> Result {
    let lab = Lab::start("pictures-wishes", &camera::site())?;
    let (mut caller, mut callee) = connected(&lab, "core")?;
    let ssrc = callee.ssrc();
    for compound in [pli(caller.ssrc(), ssrc), fir(caller.ssrc(), ssrc, 1), fir_of_h261(caller.ssrc())] {
        // A request of the other kind may have been made a moment ago.
        thread::sleep(Duration::from_millis(550));
        caller.reports(&compound)?;
        callee.is_asked(PATIENCE)?;
    }
    caller.phone.send("INFO", "Content-Type: application/media_control+xml\r\n", WISH)?;
    callee.is_asked(PATIENCE)?;
    callee.phone.send("INFO", "Content-Type: application/media_control+xml\r\n", WISH)?;
    caller.is_asked(PATIENCE)?;
    film(&mut [&mut caller, &mut callee], Duration::from_millis(300))?;
    ensure(caller.wishes() == 0 && callee.wishes() == 0, || "more was asked for than one picture each".to_owned())?;
    end(&lab, &mut caller)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_whole_picture_is_wanted_after_a_hold_and_at_another_address() -> Result {
    let lab = Lab::start("pictures-hold", &camera::site())?;
    let (mut caller, mut callee) = connected(&lab, "core")?;
    film(&mut [&mut caller, &mut callee], Duration::from_millis(300))?;
    ensure(callee.wishes() == 0, || "the call began with a wish for a whole picture".to_owned())?;
    caller.turns("sendonly")?;
    film(&mut [&mut callee], Duration::from_millis(200))?;
    callee.wishes();
    caller.turns("sendrecv")?;
    asked_once(&mut callee, &mut caller)?;
    let before = caller.seen().len();
    ensure(before > 10, || format!("the caller saw {before} packets"))?;
    caller.moves()?;
    asked_once(&mut callee, &mut caller)?;
    let there = caller.seen().len();
    ensure(there > 10, || format!("the caller saw {there} packets at its new address"))?;
    end(&lab, &mut caller)
}

/// The caller's pictures go to `Echo` and back.
fn echo(lab: &Lab, format: Format) -> Result {
    let mut phone = Camera::new(lab, &format!("echo{}", format.0), format)?;
    phone.call("echo-pictures")?;
    for place in ORDER {
        phone.sends(place, 3)?;
        thread::sleep(PICTURE);
    }
    thread::sleep(Duration::from_millis(200));
    let seen = phone.seen();
    same_pictures(&seen, format)?;
    phone.phone.bye()
}

fn same_pictures(seen: &[Rtp], format: Format) -> Result {
    ensure(seen.len() == ORDER.len() * 3, || format!("{format:?}: {} packets came back", seen.len()))?;
    let first = seen[0].timestamp;
    let sent = ORDER.into_iter().flat_map(|place| (0..3).map(move |number| (place, number)));
    for (packet, (place, number)) in seen.iter().zip(sent) {
        let expected = (camera::payload(place, number), number == 2, format.0, (place - ORDER[0]) * TICKS);
        let got = packet.timestamp.wrapping_sub(first);
        ensure(
            packet.payload == expected.0 && packet.marker == expected.1 && packet.payload_type == expected.2,
            || format!("{format:?}: packet {number} of picture {place} came back as {packet:?}"),
        )?;
        ensure(got == expected.3, || format!("{format:?}: picture {place} is at {got}, not at {}", expected.3))?;
    }
    Ok(())
}

/// A call between two phones that have seen each other.
fn connected(lab: &Lab, number: &str) -> Result<(Camera, Camera)> {
    let mut callee = Camera::new(lab, "callee", H264)?;
    let mut caller = Camera::new(lab, "caller", H264)?;
    let number = format!("{number}-{}", callee.phone.port());
    thread::scope(|scope| {
        let answering = scope.spawn(|| callee.is_called());
        caller.call(&number)?;
        answering.join().unwrap_or_else(|_| ensure(false, || "the callee panicked".to_owned()))
    })?;
    film(&mut [&mut caller, &mut callee], Duration::from_millis(300))?;
    let seen = [caller.seen().len(), callee.seen().len()];
    ensure(seen.iter().all(|seen| *seen > 5), || format!("they saw {seen:?} packets of each other"))?;
    Ok((caller, callee))
}

/// The callee is asked for one whole picture while both send.
fn asked_once(callee: &mut Camera, caller: &mut Camera) -> Result {
    let end = Instant::now() + PATIENCE;
    let mut wishes = 0;
    while wishes == 0 {
        ensure(Instant::now() < end, || "nobody asked the callee for a whole picture".to_owned())?;
        film(&mut [&mut *caller, &mut *callee], PICTURE)?;
        wishes = callee.wishes();
    }
    film(&mut [caller, callee], Duration::from_millis(300))?;
    wishes += callee.wishes();
    ensure(wishes == 1, || format!("the callee was asked for {wishes} whole pictures"))
}

fn end(lab: &Lab, caller: &mut Camera) -> Result {
    caller.phone.bye()?;
    lab.until_idle(PATIENCE)
}

fn report(ssrc: u32) -> Vec<u8> {
    [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()].concat()
}

/// Picture loss indication (RFC 4585 §6.3.1).
fn pli(own: u32, of: u32) -> Vec<u8> {
    [&report(own)[..], &[0x81, 206, 0, 2], &own.to_be_bytes(), &of.to_be_bytes()].concat()
}

/// Full intra request (RFC 5104 §4.3.1).
fn fir(own: u32, of: u32, number: u8) -> Vec<u8> {
    [&report(own)[..], &[0x84, 206, 0, 4], &own.to_be_bytes(), &[0; 4], &of.to_be_bytes(), &[number, 0, 0, 0]].concat()
}

/// Full intra request of H.261 (RFC 2032 §5.2.1).
fn fir_of_h261(own: u32) -> Vec<u8> {
    [&[0x80, 192, 0, 1][..], &own.to_be_bytes()].concat()
}

/// RFC 5168 §8.
const WISH: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><media_control><vc_primitive><to_encoder>\
                    <picture_fast_update/></to_encoder></vc_primitive></media_control>";
