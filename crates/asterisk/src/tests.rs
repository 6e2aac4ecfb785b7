//! Tests of the border between Rust and C, on the fake host.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::fake_host::logged;
use crate::format::Codec;
use crate::slot::{Digit, Timing};
use crate::{Ao2Box, Format, FrameSlot, HostFrame, fence, log, sys};

fn of(codec: Codec) -> Format {
    Format::of(codec).unwrap()
}

/// Counts how often it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

#[test]
fn the_last_reference_drops_the_object() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let ours = Ao2Box::new(Counted(Arc::clone(&dropped))).unwrap();
    let theirs = ours.clone().into_raw();
    drop(ours);
    assert_eq!(dropped.load(Ordering::Acquire), 0);
    // SAFETY: C's reference, given back once.
    unsafe { sys::__ao2_ref(theirs, -1) };
    assert_eq!(dropped.load(Ordering::Acquire), 1);
}

#[test]
fn a_panic_costs_one_call_and_is_logged_with_its_place() {
    fence::install_hook();
    assert_eq!(fence::fence("a test", -1, || panic!("of {}", "course")), -1);
    fence::remove_hook();
    assert!(logged(sys::__LOG_ERROR, "a test failed because of a bug in this module"));
    assert!(logged(sys::__LOG_ERROR, "of course (at "));
    assert!(logged(sys::__LOG_ERROR, "tests.rs"));
}

#[test]
fn text_from_a_peer_stays_on_its_line() {
    log::write(log::Level::Warning, format_args!("from 'x\r\n[fake] line\u{1b}[31m' 100%s"));
    assert!(logged(sys::__LOG_WARNING, r"from 'x\r\n[fake] line\u{1b}[31m' 100%s"));
}

#[test]
fn a_voice_frame_lies_where_it_was_received() {
    let mut slot = FrameSlot::new(1500);
    slot.payload_buffer()[12..172].fill(0xd5);
    let timing = Timing { timestamp_ms: 1000, sequence_number: 7, delivery: None };
    let frame = lend(slot.voice(&of(Codec::Alaw), 12..172, timing));
    assert_eq!(frame.frame_type(), crate::frame::FrameType::Voice);
    assert_eq!((frame.samples(), frame.length_ms(), frame.timestamp_ms()), (160, 20, Some(1000)));
    assert_eq!(frame.payload(), [0xd5; 160]);
    assert_eq!(frame.delivery(), None);
}

#[test]
fn linear_samples_arrive_in_the_order_of_the_machine() {
    let mut slot = FrameSlot::new(100);
    slot.payload_buffer()[..4].copy_from_slice(&[0x12, 0x34, 0x56, 0x78]);
    let frame = lend(slot.voice(&of(Codec::Slinear), 0..4, Timing::default()));
    let samples = [0x1234_u16, 0x5678].map(u16::to_ne_bytes).concat();
    assert_eq!(frame.payload(), samples);
}

#[test]
fn a_payload_past_the_end_of_the_buffer_is_cut_off() {
    let mut slot = FrameSlot::new(20);
    let frame = lend(slot.text(&of(Codec::T140), 12..500, Timing::default(), 300));
    assert_eq!(frame.payload().len(), 8);
    let frame = lend(slot.text(&of(Codec::T140), 400..500, Timing::default(), 0));
    assert!(frame.payload().is_empty());
}

#[test]
fn a_digit_and_the_media_after_it_are_one_list() {
    let (mut digit, mut media) = (FrameSlot::new(0), FrameSlot::new(10));
    let begin = digit.digit(b'5', Digit::Begin);
    let voice = media.voice(&of(Codec::Ulaw), 0..10, Timing::default());
    let list = HostFrame::null().followed_by(begin).followed_by(HostFrame::null()).followed_by(voice).into_raw();
    // SAFETY: both slots still exist.
    unsafe {
        assert_eq!(((*list).frametype, (*list).subclass.integer), (sys::AST_FRAME_DTMF_BEGIN, i32::from(b'5')));
        let next = (*list).frame_list.next;
        assert_eq!((*next).frametype, sys::AST_FRAME_VOICE);
        assert!((*next).frame_list.next.is_null());
    }
}

fn lend<'a>(frame: HostFrame) -> crate::FrameRef<'a> {
    // SAFETY: the tests keep the slot and do not use it again before they have finished with the frame.
    unsafe { crate::FrameRef::lend(std::ptr::NonNull::new(frame.into_raw()).unwrap()) }
}
