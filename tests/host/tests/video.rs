//! Video between two plain phones: packets become frames and packets again, and requests for whole pictures become frames.

mod common;

use std::ffi::c_int;
use std::time::{Duration, Instant};

use asterisk_sys as sys;
use common::rtp::{Instance, Packet, Phone, RTCP, RTP};
use host_tests::{Host, Kind, Loading};

const H264: u8 = 99;

/// A picture at 30 Hz, in ticks of 90 kHz.
const PICTURE: u32 = 3000;

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("rtp.conf", "[general]\nrtpstart=30000\nrtpend=30999\nstrictrtp=no\n");
    assert_eq!(host.load("res_rtp_asterisk"), Loading::Loaded, "{}", host.log());
    host
}

/// One end of a call, as the channel of its leg sees it.
struct Leg {
    instance: Instance,
    phone: Phone,
    wanted: usize,
}

impl Leg {
    fn new() -> Self {
        let (instance, phone) = (Instance::new(), Phone::new());
        instance.set_remote(phone.address());
        instance.activate();
        Self { instance, phone, wanted: 0 }
    }

    /// The phone sends a packet of a picture; the channel reads it, and writes it to the channel of `other`.
    fn send(&mut self, other: &Leg, timestamp: u32, marker: bool) {
        self.phone.timestamp = timestamp;
        let packet = self.phone.packet(H264, marker, &[0x65; 900]);
        self.phone.rtp.send_to(&packet, self.instance.local()).expect("loopback");
        assert!(self.read(RTP, |video| other.write(video)) > 0, "no picture");
    }

    /// Reads what is there, counts wishes for whole pictures, and returns the number of video frames.
    fn read(&mut self, which: c_int, mut seen: impl FnMut(&mut sys::ast_frame)) -> usize {
        if !self.instance.is_readable(which, Duration::from_secs(2)) {
            return 0;
        }
        let mut pictures = 0;
        // SAFETY: the instance is ours.
        let mut next = unsafe { sys::ast_rtp_instance_read(self.instance.as_ptr(), which) };
        // SAFETY: a list of frames that is valid until the next read; control frames have a number.
        while let Some(frame) = unsafe { next.as_mut() } {
            match frame.frametype {
                sys::AST_FRAME_VIDEO => {
                    pictures += 1;
                    seen(frame);
                }
                // SAFETY: as above.
                sys::AST_FRAME_CONTROL if unsafe { frame.subclass.integer } == VIDUPDATE => self.wanted += 1,
                _ => {}
            }
            next = frame.frame_list.next;
        }
        pictures
    }

    fn write(&self, video: &mut sys::ast_frame) {
        let list = std::mem::replace(&mut video.frame_list.next, std::ptr::null_mut());
        // SAFETY: the frame lives during the call, with room in front of its payload.
        assert_eq!(unsafe { sys::ast_rtp_instance_write(self.instance.as_ptr(), video) }, 0);
        video.frame_list.next = list;
    }

    fn receive(&self) -> Packet {
        self.phone.receive()
    }

    /// Wishes for whole pictures since the last question. The phone sends a packet, so that there is something to read.
    fn wishes(&mut self, other: &Leg) -> usize {
        let timestamp = self.phone.timestamp;
        self.send(other, timestamp.wrapping_add(PICTURE), true);
        other.receive();
        std::mem::take(&mut self.wanted)
    }
}

const VIDUPDATE: c_int = sys::AST_CONTROL_VIDUPDATE as c_int;

#[test]
fn a_picture_ends_where_it_ended_and_the_clock_goes_back_for_b_pictures() {
    let _host = host();
    let (mut from, to) = (Leg::new(), Leg::new());
    let start = u32::MAX - 4 * PICTURE;
    // Two packets a picture; the third and fourth are shown before the second.
    let sent: Vec<(u32, bool)> = [0, 3, 1, 2, 4, 5, 6]
        .into_iter()
        .flat_map(|place| [(start.wrapping_add(place * PICTURE), false), (start.wrapping_add(place * PICTURE), true)])
        .collect();
    let mut received = Vec::new();
    for (timestamp, marker) in &sent {
        from.send(&to, *timestamp, *marker);
        received.push(to.receive());
    }
    let first = received[0].timestamp;
    for ((timestamp, marker), packet) in sent.iter().zip(&received) {
        let moved = (timestamp.wrapping_sub(start), packet.timestamp.wrapping_sub(first));
        assert_eq!((moved.0, *marker, H264), (moved.1, packet.marker, packet.payload_type));
        assert_eq!((packet.payload.len(), packet.ssrc), (900, received[0].ssrc));
    }
    assert!(received.windows(2).all(|two| two[1].sequence_number == two[0].sequence_number.wrapping_add(1)));
}

#[test]
fn a_source_update_ends_no_picture() {
    let _host = host();
    let (mut from, to) = (Leg::new(), Leg::new());
    from.send(&to, 0, false);
    assert!(!to.receive().marker);
    // SAFETY: the instance is ours.
    unsafe { sys::ast_rtp_instance_update_source(to.instance.as_ptr()) };
    to.instance.change_source();
    from.send(&to, 0, false);
    from.send(&to, 0, true);
    assert_eq!([to.receive().marker, to.receive().marker], [false, true]);
}

#[test]
fn rfc4585_and_rfc5104_the_phones_requests_reach_the_channel() {
    let _host = host();
    let mut leg = Leg::new();
    let ssrc = leg.phone.ssrc.to_be_bytes();
    let report = [&[0x80, 201, 0, 1][..], &ssrc].concat();
    let pli = [&report[..], &[0x81, 206, 0, 2], &ssrc, &[0; 4]].concat();
    let fir = [&report[..], &[0x84, 206, 0, 4], &ssrc, &[0; 4], &[0, 0, 0, 1, 7, 0, 0, 0]].concat();
    let fir_of_h261 = [&[0x80, 192, 0, 1][..], &ssrc].concat();
    for request in [pli, fir, fir_of_h261] {
        for _ in 0..3 {
            leg.phone.rtcp.send_to(&request, leg.instance.local_rtcp()).expect("loopback");
            leg.read(RTCP, |_| ());
        }
        assert_eq!(std::mem::take(&mut leg.wanted), 1, "repeated requests are one");
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn a_whole_picture_is_wanted_after_a_hold_and_of_another_sender_under_another_ssrc() {
    let _host = host();
    let (mut one, mut other, mut third) = (Leg::new(), Leg::new(), Leg::new());
    // Both get pictures of each other.
    one.send(&other, 0, true);
    other.receive();
    assert_eq!((other.wishes(&one), one.wishes(&other)), (0, 0));

    // A hold, and its end.
    other.instance.set_remote(other.phone.address());
    other.instance.stop();
    other.instance.activate();
    other.instance.set_remote(other.phone.address());
    assert_eq!((other.wishes(&one), other.wishes(&one)), (1, 0), "after a hold");

    other.instance.change_source();
    assert_eq!((other.wishes(&one), other.wishes(&one)), (1, 0), "under another SSRC");

    // A transfer: the numbers of the third phone have nothing to do with those of the first.
    third.phone.sequence_number = 20_000;
    third.send(&other, 123_456, true);
    other.receive();
    assert_eq!((other.wishes(&one), other.wishes(&one)), (1, 0), "of another sender");
    one.send(&other, 0, true);
    other.receive();
    assert_eq!(other.wishes(&one), 1, "of the first, which is back");
}

#[test]
fn no_picture_is_wanted_in_a_call_without_video() {
    let _host = host();
    let mut leg = Leg::new();
    leg.instance.write(1);
    leg.receive();
    leg.instance.set_remote(leg.phone.address());
    leg.instance.change_source();
    leg.phone.send(leg.instance.local(), 1);
    leg.read(RTP, |_| ());
    assert_eq!(leg.wanted, 0);
}

#[test]
fn another_encoder_goes_on_by_the_clock() {
    let _host = host();
    let (mut from, to) = (Leg::new(), Leg::new());
    let began = Instant::now();
    from.send(&to, 0, true);
    let before = to.receive();
    std::thread::sleep(Duration::from_millis(60));
    from.phone.ssrc = 7;
    from.phone.sequence_number = 300;
    from.send(&to, 3_000_000_000, true);
    let moved = to.receive().timestamp.wrapping_sub(before.timestamp);
    let most = u32::try_from(began.elapsed().as_millis() + 50).expect("short") * 90;
    assert!((90 * 55..=most).contains(&moved), "{moved} of at most {most} ticks");
}
