use super::*;
use crate::telephone_event::{Key, Sender};
use proptest::prelude::*;

const FRAME: Duration = Duration::from_millis(20);

fn span(timing: Timing) -> Span {
    Span { ticks: 160, clock_rate: 8000, timing }
}

#[test]
fn ticks_and_durations_agree_at_usual_clocks() {
    for rate in [8000, 16000, 48000, 90000, 1000] {
        assert_eq!(ticks(Duration::from_secs(3), rate), u64::from(rate) * 3);
        assert_eq!(duration(u64::from(rate) * 3, rate), Duration::from_secs(3));
    }
    assert_eq!(duration(5, 0), Duration::ZERO);
}

#[test]
fn late_sending_does_not_show_in_timestamps() {
    let start = Instant::now();
    let mut timeline = Timeline::new(u32::MAX - 100);
    for n in 0..50u32 {
        let jitter = Duration::from_millis(u64::from(n * 7 % 15));
        let stamp = timeline.frame(start + FRAME * n + jitter, span(Timing::Continuous));
        assert_eq!(stamp.timestamp, (u32::MAX - 100).wrapping_add(160 * n));
        assert_eq!(stamp.after_pause, n == 0);
    }
}

#[test]
fn a_pause_moves_timestamps_with_the_clock_and_sets_the_marker() {
    let start = Instant::now();
    let mut timeline = Timeline::new(0);
    timeline.frame(start, span(Timing::Continuous));
    let stamp = timeline.frame(start + Duration::from_secs(2), span(Timing::Continuous));
    assert_eq!(stamp, Stamp { timestamp: 16000, after_pause: true });
    assert_eq!(timeline.at(start + Duration::from_secs(3), 8000), 24000);
}

#[test]
fn frames_of_different_length_advance_by_what_was_sent() {
    let start = Instant::now();
    let mut timeline = Timeline::new(0);
    timeline.frame(start, Span { ticks: 160, clock_rate: 8000, timing: Timing::Continuous });
    let second = timeline.frame(start + FRAME, Span { ticks: 480, clock_rate: 8000, timing: Timing::Continuous });
    assert_eq!(second.timestamp, 160);
    let third = timeline.frame(start + 4 * FRAME, Span { ticks: 160, clock_rate: 8000, timing: Timing::Continuous });
    assert_eq!(third.timestamp, 640);
}

#[test]
fn a_source_keeps_its_gaps_and_a_new_source_does_not_jump() {
    let start = Instant::now();
    let mut timeline = Timeline::new(1000);
    let at = |n: u32| start + FRAME * n;
    let source = |milliseconds| span(Timing::Source { milliseconds });
    assert_eq!(timeline.frame(at(0), source(500_000)).timestamp, 1000);
    assert_eq!(timeline.frame(at(1), source(500_020)).timestamp, 1160);
    // One frame of the source was lost on its way to us: the gap is kept.
    assert_eq!(timeline.frame(at(3), source(500_060)).timestamp, 1480);
    // Another source is far back on its own timeline; ours goes on.
    let stamp = timeline.frame(at(4), source(40));
    assert_eq!(stamp, Stamp { timestamp: 1640, after_pause: false });
    assert_eq!(timeline.frame(at(5), source(60)).timestamp, 1800);
    // A file that is played to the caller has no timing at all.
    assert_eq!(timeline.frame(at(6), span(Timing::Continuous)).timestamp, 1960);
}

#[test]
fn talk_begins_after_a_gap_of_the_source() {
    let start = Instant::now();
    let mut timeline = Timeline::new(0);
    let mut send = |milliseconds: u32| {
        let at = start + Duration::from_millis(milliseconds.into());
        timeline.frame(at, span(Timing::Source { milliseconds: milliseconds.into() }))
    };
    send(0);
    // Two frames were lost.
    assert_eq!(send(60), Stamp { timestamp: 480, after_pause: false });
    assert_eq!(send(280), Stamp { timestamp: 2240, after_pause: true });
    // The frame before comes late.
    assert_eq!(send(260), Stamp { timestamp: 2080, after_pause: false });
    assert_eq!(send(300), Stamp { timestamp: 2400, after_pause: false });
    assert_eq!(send(140), Stamp { timestamp: 1120, after_pause: false });
    assert_eq!(send(320), Stamp { timestamp: 2560, after_pause: false });
}

#[test]
fn talk_goes_on_after_a_digit_and_begins_after_a_pause() {
    let start = Instant::now();
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    for timing in [
        |milliseconds: u32, _| Timing::Source { milliseconds: milliseconds.into() },
        |_, due| Timing::At(due),
        |_, _| Timing::Continuous,
    ] {
        for (resumes, after_pause) in [(200, false), (280, true)] {
            let mut timeline = Timeline::new(0);
            timeline.frame(at(0), span(timing(0, at(0))));
            timeline.covered(at(20), 8000);
            timeline.covered(at(180), 8000);
            let resumed = at(resumes.into());
            let stamp = timeline.frame(resumed, span(timing(resumes, resumed)));
            assert_eq!(stamp, Stamp { timestamp: resumes * 8, after_pause });
        }
    }
}

#[test]
fn a_digit_before_any_media_has_the_time_of_its_press() {
    let start = Instant::now();
    let mut timeline = Timeline::new(1000);
    assert_eq!(timeline.at(start, 8000), 1000);
    assert_eq!(timeline.at(start + Duration::from_secs(1), 8000), 9000);
    let stamp = timeline.frame(start + Duration::from_secs(2), span(Timing::Continuous));
    assert_eq!(stamp, Stamp { timestamp: 17_000, after_pause: true });
}

#[test]
fn a_digit_lies_between_the_audio_before_and_after_it_however_late_that_is() {
    let start = Instant::now();
    let mut timeline = Timeline::new(1000);
    // Transcoded audio is due a third of a second before it is sent.
    let lag = Duration::from_millis(300);
    let frame = |timeline: &mut Timeline, n: u32| {
        let due = start + FRAME * n;
        timeline.frame(due + lag, span(Timing::At(due)))
    };
    for n in 0..10 {
        assert_eq!(frame(&mut timeline, n).timestamp, 1000 + 160 * n);
    }
    let pressed = start + FRAME * 10 + lag;
    assert_eq!(timeline.at(pressed, 8000), 2600, "the next frame would have had this timestamp");
    (0..5).for_each(|n| timeline.covered(pressed + FRAME * n, 8000));
    assert_eq!(frame(&mut timeline, 15).timestamp, 3400);
}

#[test]
fn a_file_after_late_audio_begins_where_that_ended() {
    let start = Instant::now();
    let mut timeline = Timeline::new(0);
    for n in 0..3 {
        let due = start + FRAME * n;
        timeline.frame(due + Duration::from_millis(300), span(Timing::At(due)));
    }
    let stamp = timeline.frame(start + FRAME * 3 + Duration::from_millis(300), span(Timing::Continuous));
    assert_eq!(stamp, Stamp { timestamp: 480, after_pause: false });
}

#[test]
fn audio_that_a_stall_held_back_does_not_go_out_before_the_digit_that_overtook_it() {
    let start = Instant::now();
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    let mut timeline = Timeline::new(0);
    timeline.frame(at(0), span(Timing::At(at(0))));
    timeline.begin_event(at(150), 1200, 8000);
    timeline.covered(at(250), 8000);
    let burst = [20, 40, 60].map(|due| timeline.frame(at(260), span(Timing::At(at(due)))).timestamp);
    assert_eq!(burst, [1200, 1360, 1520]);
}

#[test]
fn a_digit_after_a_late_packet_does_not_lie_before_the_audio() {
    let start = Instant::now();
    let mut timeline = Timeline::new(0);
    let send = |timeline: &mut Timeline, milliseconds: u32| {
        timeline.frame(start + FRAME * 4, span(Timing::Source { milliseconds: milliseconds.into() })).timestamp
    };
    assert_eq!([0, 60, 40].map(|milliseconds| send(&mut timeline, milliseconds)), [0, 480, 320]);
    assert_eq!(timeline.at(start + FRAME * 5, 8000), 640);
    assert_eq!(send(&mut timeline, 80), 640);
}

#[test]
fn long_packets_that_are_sent_at_once_have_different_timestamps() {
    let start = Instant::now();
    let mut timeline = Timeline::new(0);
    let long = Span { ticks: 960, clock_rate: 8000, timing: Timing::Continuous };
    timeline.frame(start, long);
    assert_eq!(timeline.frame(start, long), Stamp { timestamp: 960, after_pause: false });
}

#[test]
fn packets_of_a_picture_share_a_timestamp() {
    let start = Instant::now();
    let mut timeline = PictureTimeline::new(u32::MAX);
    assert_eq!(timeline.packet(start, Some(77), 90_000), u32::MAX);
    assert_eq!(timeline.packet(start, Some(0), 90_000), u32::MAX);
    assert_eq!(timeline.packet(start + Duration::from_millis(50), Some(3000), 90_000), 2999);
    let after_a_jump = timeline.packet(start + Duration::from_millis(90), Some(0x7000_0000), 90_000);
    assert_eq!(after_a_jump, 2999 + 3600);
}

#[test]
fn what_a_bridged_stream_lost_stays_a_gap_and_jitter_does_not_add_up() {
    let start = Instant::now();
    let mut timeline = Timeline::new(0);
    let mut send = |millis: u64| timeline.frame(start, span(Timing::At(start + Duration::from_millis(millis))));
    send(0);
    assert_eq!(send(21).timestamp, 160);
    assert_eq!(send(39).timestamp, 320);
    // Two frames were lost.
    assert_eq!(send(100), Stamp { timestamp: 800, after_pause: false });
    // The source's clock started over, a little earlier.
    assert_eq!(send(85).timestamp, 960);
    assert_eq!(send(105).timestamp, 1120);
    assert_eq!(send(1105), Stamp { timestamp: 1120 + 8000, after_pause: true });
}

#[test]
fn a_burst_after_a_stall_keeps_the_timestamps_of_its_source() {
    let start = Instant::now();
    let mut timeline = Timeline::new(0);
    timeline.frame(start, span(Timing::Source { milliseconds: 0 }));
    let burst = start + Duration::from_millis(900);
    for n in 1..40 {
        let stamp = timeline.frame(burst, span(Timing::Source { milliseconds: i64::from(n) * 20 }));
        assert_eq!(stamp, Stamp { timestamp: n * 160, after_pause: false });
    }
}

#[test]
fn delivery_follows_timestamps_not_arrival() {
    let mut clock = DeliveryClock::default();
    let day = Duration::from_secs(1_700_000_000);
    assert_eq!(clock.due(day, u32::MAX, 8000, false), day);
    assert_eq!(clock.due(day + Duration::from_millis(33), 159, 8000, false), day + FRAME);
    assert_eq!(clock.due(day + FRAME, u32::MAX - 160, 8000, false), day - FRAME);
    let later = day + Duration::from_secs(9);
    assert_eq!(clock.due(later, 4711, 8000, true), later);
    assert_eq!(clock.due(later + FRAME, 99_999_999, 8000, false), later + FRAME);
}

proptest! {
    #[test]
    fn distance_undoes_wrapping_addition(start: u32, moved in -0x4000_0000i32..0x4000_0000) {
        let timestamp = RtpTimestamp(start).plus(moved.cast_unsigned());
        prop_assert_eq!(timestamp.distance_from(RtpTimestamp(start)), moved);
    }

    #[test]
    fn timestamps_of_a_steady_stream_never_go_back(
        start: u32, delays in prop::collection::vec(0u64..70, 1..100), source: bool,
    ) {
        let origin = Instant::now();
        let mut timeline = Timeline::new(start);
        let mut last = None;
        for (n, delay) in delays.into_iter().enumerate() {
            let milliseconds = i64::try_from(n).unwrap() * 20;
            let timing = if source { Timing::Source { milliseconds } } else { Timing::Continuous };
            let now = origin + FRAME * u32::try_from(n).unwrap() + Duration::from_millis(delay);
            let stamp = RtpTimestamp(timeline.frame(now, span(timing)).timestamp);
            if let Some(last) = last {
                prop_assert!(stamp.is_after(last));
            }
            last = Some(stamp);
        }
    }

    #[test]
    fn timestamps_never_go_back_across_digits(start: u32, steps in prop::collection::vec(step(), 1..60)) {
        let origin = Instant::now() + Duration::from_secs(60);
        let (mut timeline, mut digits) = (Timeline::new(start), Sender::new());
        let (mut now, mut position, mut last) = (origin, 0, None);
        for step in steps {
            let mut sent = Vec::new();
            match step {
                Step::Frame { after, timing } => {
                    now += after;
                    let timing = match timing {
                        Lag::None => Timing::Continuous,
                        Lag::Due(lag) => Timing::At(now.checked_sub(lag).unwrap()),
                        Lag::Source(lag) => {
                            let elapsed = i64::try_from((now - origin).as_millis()).unwrap() - lag;
                            // Packets that overtake one another keep their timestamps.
                            position = elapsed.max(position);
                            Timing::Source { milliseconds: position }
                        }
                    };
                    sent.push(timeline.frame(now, span(timing)).timestamp);
                }
                Step::Digit { after, held, claimed } => {
                    now += after;
                    let timestamp = timeline.at(now, 8000);
                    digits.begin(now, Key::from_char('5').unwrap(), timestamp, 8000);
                    now += held;
                    digits.end(now, Some(claimed));
                    while let Some(packet) = digits.poll_transmit() {
                        if packet.marker {
                            timeline.begin_event(now, packet.timestamp, 8000);
                            sent.push(packet.timestamp);
                        }
                        timeline.covered(now, 8000);
                    }
                }
            }
            for timestamp in sent.into_iter().map(RtpTimestamp) {
                prop_assert!(last.is_none_or(|last| !RtpTimestamp::is_after(last, timestamp)), "{:?} {:?}", last, timestamp);
                last = Some(timestamp);
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Frame { after: Duration, timing: Lag },
    Digit { after: Duration, held: Duration, claimed: Duration },
}

/// How late a frame is on the timeline of its source.
#[derive(Debug, Clone, Copy)]
enum Lag {
    None,
    Due(Duration),
    Source(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let up_to = |most: u64| (0..most).prop_map(Duration::from_millis);
    let timing =
        prop_oneof![1 => Just(Lag::None), 4 => up_to(600).prop_map(Lag::Due), 2 => (0i64..600).prop_map(Lag::Source)];
    prop_oneof![
        4 => (up_to(60), timing).prop_map(|(after, timing)| Step::Frame { after, timing }),
        1 => (up_to(100), up_to(300), up_to(400))
            .prop_map(|(after, held, claimed)| Step::Digit { after, held, claimed }),
    ]
}
