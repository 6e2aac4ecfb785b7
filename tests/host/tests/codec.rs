//! The translators of Opus, driven as the core drives them: sound both ways, gaps, what peers may send, settings, and unloading.

mod common;

use asterisk_sys as sys;
use common::{HostThread, heap, settled_footprint};
use host_tests::{Host, Kind, Loading, modules, raw};
use std::f64::consts::TAU;
use std::ffi::c_int;

const CODEC: &str = modules::CODEC;
const OPUS: c_int = sys::AST_FORMAT_G719 as c_int;
/// The linear formats with their rates.
const LINEAR: [(c_int, usize); 3] = [
    (sys::AST_FORMAT_SLINEAR as c_int, 8000),
    (sys::AST_FORMAT_SLINEAR16 as c_int, 16_000),
    (sys::AST_FORMAT_SLINEAR48 as c_int, 48_000),
];

fn host(kind: Kind) -> Host {
    let host = Host::start(kind);
    host.configure("websocket.conf", "[sip]\nopus = g719\n");
    assert_eq!(host.load(CODEC), Loading::Loaded, "{}", host.log());
    host
}

/// A path of one translator.
struct Path {
    raw: *mut sys::ast_trans_pvt,
    from: c_int,
}

// SAFETY: the host uses a path on one thread after the other.
unsafe impl Send for Path {}

/// A frame that came out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Out {
    payload: Vec<u8>,
    samples: usize,
    /// When it is due, and its place in the stream that it comes from, in milliseconds.
    delivery_ms: i64,
    timestamp_ms: i64,
    length_ms: i64,
}

/// A frame that goes in.
#[derive(Clone, Copy)]
struct In<'a> {
    payload: &'a [u8],
    samples: usize,
    /// The number of the packet in its stream of 20 ms each, which begins late in the numbers.
    number: usize,
}

impl Path {
    fn begin(from: c_int, to: c_int) -> Option<Self> {
        // SAFETY: two numbers.
        let raw = unsafe { raw::host_path_begin(from, to) };
        (!raw.is_null()).then(|| Self { raw, from })
    }

    fn translate(&mut self, frame: In<'_>) -> Option<Out> {
        let at_ms = 20 * frame.number as i64;
        // SAFETY: all zero is valid for a frame.
        let mut lent: sys::ast_frame = unsafe { std::mem::zeroed() };
        lent.frametype = sys::AST_FRAME_VOICE;
        lent.subclass.format.id = self.from as _;
        lent.data.ptr = frame.payload.as_ptr().cast_mut().cast();
        lent.datalen = frame.payload.len() as c_int;
        lent.samples = frame.samples as c_int;
        lent.flags = sys::AST_FRFLAG_HAS_TIMING_INFO as _;
        lent.ts = 1000 + at_ms;
        lent.len = 20;
        lent.seqno = ((65_530 + frame.number) & 0xffff) as c_int;
        lent.delivery = libc::timeval { tv_sec: 5 + at_ms / 1000, tv_usec: at_ms % 1000 * 1000 };
        // SAFETY: the path is live, and the frame lives during the call. What comes back is ours to free.
        unsafe {
            let out = raw::host_path_translate(self.raw, &raw mut lent);
            let copied = out.as_ref().map(|out| Out {
                payload: std::slice::from_raw_parts(out.data.ptr.cast::<u8>(), out.datalen as usize).to_vec(),
                samples: out.samples as usize,
                delivery_ms: (out.delivery.tv_sec - 5) * 1000 + out.delivery.tv_usec / 1000,
                timestamp_ms: out.ts - 1000,
                length_ms: out.len,
            });
            if !out.is_null() {
                sys::ast_frame_free(out, 1);
            }
            copied
        }
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        // SAFETY: `begin` got it, and nobody else ends it.
        unsafe { raw::host_path_end(self.raw) };
    }
}

fn tone(rate: usize, milliseconds: usize) -> Vec<u8> {
    let sample = |index| ((index as f64 * TAU * 440.0 / rate as f64).sin() * 8000.0) as i16;
    (0..rate / 1000 * milliseconds).flat_map(|index| sample(index).to_ne_bytes()).collect()
}

/// The share of the sound's energy that is at 440 Hz.
fn at_440_hz(rate: usize, sound: &[u8]) -> f64 {
    let samples: Vec<f64> =
        sound.chunks_exact(2).map(|pair| f64::from(i16::from_ne_bytes([pair[0], pair[1]]))).collect();
    let part = |wave: fn(f64) -> f64| {
        let turned =
            samples.iter().enumerate().map(|(at, sample)| sample * wave(at as f64 * TAU * 440.0 / rate as f64));
        turned.sum::<f64>()
    };
    let energy: f64 = samples.iter().map(|sample| sample * sample).sum();
    2.0 * (part(f64::sin).powi(2) + part(f64::cos).powi(2)) / (energy * samples.len() as f64).max(1.0)
}

/// The packets of a tone.
fn packets(format: c_int, rate: usize, milliseconds: usize) -> Vec<Vec<u8>> {
    let mut path = Path::begin(format, OPUS).expect("a translator");
    let encode = |(number, payload): (usize, &[u8])| {
        let out = path.translate(In { payload, samples: rate / 50, number }).expect("a packet for each frame");
        assert_eq!((out.samples, out.delivery_ms), (960, 20 * number as i64));
        out.payload
    };
    tone(rate, milliseconds).chunks_exact(rate / 25).enumerate().map(encode).collect()
}

#[test]
fn a_tone_passes_both_ways_in_the_newest_and_the_oldest_host() {
    for kind in [Kind::Oldest, Kind::Newest] {
        let host = host(kind);
        for (from, rate) in LINEAR {
            let packets = packets(from, rate, 1000);
            for (to, rate) in LINEAR {
                let mut path = Path::begin(OPUS, to).expect("a translator");
                let mut heard = Vec::new();
                for (number, payload) in packets.iter().enumerate() {
                    let out = path.translate(In { payload, samples: 960, number }).expect("a frame for each packet");
                    let at_ms = 20 * number as i64;
                    assert_eq!((out.delivery_ms, out.timestamp_ms, out.length_ms), (at_ms, at_ms, 20));
                    heard.extend(out.payload);
                }
                assert_eq!(heard.len(), rate * 2);
                let pure = at_440_hz(rate, &heard[rate / 5..]);
                assert!(pure > 0.95, "{from} to {to}: {pure}");
            }
        }
        assert_eq!(host.log(), "");
        assert!(host.unload(CODEC));
    }
}

#[test]
fn a_lost_packet_is_made_up_for_and_the_clock_keeps_time() {
    let host = host(Kind::Newest);
    let packets = packets(LINEAR[0].0, 8000, 1000);
    let mut path = Path::begin(OPUS, LINEAR[0].0).expect("a translator");
    let mut hear = |number: usize| path.translate(In { payload: &packets[number], samples: 960, number });
    (0..10).for_each(|number| drop(hear(number)));
    let after = hear(11).expect("two frames in one");
    assert_eq!((after.samples, after.delivery_ms, after.timestamp_ms, after.length_ms), (320, 200, 200, 40));
    assert!(at_440_hz(8000, &after.payload) > 0.9, "{}", at_440_hz(8000, &after.payload));
    assert_eq!(hear(10), None, "it comes late");
    let next = hear(12).expect("a frame");
    assert_eq!((next.samples, next.delivery_ms, next.timestamp_ms), (160, 240, 240));
    assert_eq!(host.log(), "", "a peer's network writes nothing into the log");
    drop(path);
}

#[test]
fn a_jitter_buffer_that_misses_a_packet_gets_a_frame_for_it() {
    let host = host(Kind::Newest);
    let packets = packets(LINEAR[1].0, 16_000, 200);
    let mut path = Path::begin(OPUS, LINEAR[1].0).expect("a translator");
    for (number, payload) in packets.iter().enumerate() {
        let payload: &[u8] = if number == 5 { &[] } else { payload };
        assert_eq!(path.translate(In { payload, samples: 960, number }).map(|out| out.samples), Some(320), "{number}");
    }
    assert_eq!(host.log(), "");
}

#[test]
fn frames_of_any_length_become_packets_of_whole_frames() {
    let _host = host(Kind::Newest);
    let mut path = Path::begin(LINEAR[0].0, OPUS).expect("a translator");
    let sound = tone(8000, 30);
    let made: Vec<_> = (0..4)
        .map(|number| path.translate(In { payload: &sound, samples: 240, number }).expect("a packet").samples)
        .collect();
    assert_eq!(made, [960, 1920, 960, 1920]);
}

#[test]
fn a_malformed_packet_sounds_like_a_lost_one_and_is_logged_once() {
    let host = host(Kind::Newest);
    let mut path = Path::begin(OPUS, LINEAR[0].0).expect("a translator");
    for number in 0..50 {
        // Three frames in two octets, and a packet that says it has none.
        let payload: &[u8] = if number % 2 == 0 { &[0x0b, 0x03, 0xff][..2] } else { &[0x0b, 0x00] };
        assert!(path.translate(In { payload, samples: 960, number }).is_some());
    }
    let log = host.log();
    assert_eq!(log.matches("malformed").count(), 1, "{log}");
}

#[test]
fn without_the_setting_nothing_is_registered_and_a_reload_brings_it() {
    let host = Host::start(Kind::Newest);
    host.configure("websocket.conf", "[sip]\nopus = no\n");
    assert_eq!(host.load(CODEC), Loading::Loaded);
    assert!(Path::begin(OPUS, LINEAR[0].0).is_none());
    host.configure("websocket.conf", "[sip]\nopus = g719\n");
    assert_eq!(host.reload(CODEC), 0);
    let path = Path::begin(OPUS, LINEAR[0].0).expect("a translator");
    host.configure("websocket.conf", "[sip]\n");
    assert_eq!(host.reload(CODEC), 0);
    assert!(Path::begin(OPUS, LINEAR[0].0).is_none());
    drop(path);
    host.configure("websocket.conf", "[sip]\nopus = g719\n");
    assert_eq!(host.reload(CODEC), 0);
    assert!(Path::begin(OPUS, LINEAR[0].0).is_some());
}

#[test]
fn codecs_conf_sets_the_encoder_and_a_wrong_value_leaves_the_default() {
    let host = host(Kind::Newest);
    let octets = |host: &Host, settings: &str| -> usize {
        host.configure("codecs.conf", &format!("[speex]\nquality = 3\n[opus]\n{settings}"));
        assert_eq!(host.reload(CODEC), 0);
        packets(LINEAR[2].0, 48_000, 1000).iter().map(Vec::len).sum()
    };
    let (usual, most) = (octets(&host, ""), octets(&host, "bitrate = 128000\n"));
    assert!(most > 2 * usual, "{usual} octets a second, {most} at 128 kbit/s");
    assert_eq!(host.log(), "");
    assert_eq!(octets(&host, "bitrate = plenty\ncomplexity = 11\nfecc = no\n"), usual);
    let log = host.log();
    for wrong in ["bitrate", "complexity", "'fecc'"] {
        assert!(log.contains(wrong), "{wrong}: {log}");
    }
    assert_eq!(octets(&host, "bitrate = auto\n"), usual);
}

#[test]
fn unloading_waits_for_the_last_path() {
    let host = host(Kind::Newest);
    let path = Path::begin(OPUS, LINEAR[0].0).expect("a translator");
    assert_eq!(host.use_count(CODEC), 1);
    assert!(!host.unload(CODEC));
    assert!(!host.unload_forced(CODEC));
    let log = host.log();
    assert!(log.contains("calls use 1 translators"), "{log}");
    let another = Path::begin(LINEAR[2].0, OPUS).expect("still registered");
    drop((path, another));
    assert!(host.unload(CODEC));
    assert!(!host.is_mapped(CODEC));
}

#[test]
fn two_hundred_transcoded_calls_and_reloads_between_leave_nothing_behind() {
    let host = host(Kind::Newest);
    let packets = packets(LINEAR[0].0, 8000, 100);
    // A thread of the host's that outlives the module.
    let channel = HostThread::start();
    let mut in_use = Vec::new();
    let before = settled_footprint();
    for round in 0..4 {
        for _ in 0..50 {
            let packets = packets.clone();
            channel.run(move || call(&packets));
        }
        let together: Vec<_> =
            (0..200).map(|call| Path::begin(OPUS, LINEAR[call % 3].0).expect("a translator")).collect();
        assert_eq!(host.use_count(CODEC), 200);
        drop(together);
        assert!(host.unload(CODEC), "round {round}: {}", host.log());
        assert!(!host.is_mapped(CODEC), "it stayed mapped in round {round}");
        assert_eq!(host.load(CODEC), Loading::Loaded, "{}", host.log());
        // Resident memory would tell less: valgrind keeps what it knows of an unloaded module.
        in_use.push(heap::in_use_kib());
    }
    assert_eq!(settled_footprint(), before, "descriptors and threads");
    let grown = in_use[3].saturating_sub(in_use[0]);
    assert!(grown <= 64, "grown by {grown} KiB: {in_use:?}");
}

/// A call between Opus and µ-law.
fn call(packets: &[Vec<u8>]) {
    let mut in_and_out =
        [(OPUS, LINEAR[0].0), (LINEAR[0].0, OPUS)].map(|(from, to)| Path::begin(from, to).expect("a way"));
    for (number, payload) in packets.iter().enumerate() {
        let out = in_and_out[0].translate(In { payload, samples: 960, number }).expect("a frame");
        let back = In { payload: &out.payload, samples: 160, number };
        assert_eq!(in_and_out[1].translate(back).expect("a packet").samples, 960);
    }
}
