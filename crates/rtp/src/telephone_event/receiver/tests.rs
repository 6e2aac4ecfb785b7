use super::*;
use crate::timestamp::duration;

const STEP: u16 = 160;
const CLOCK: u32 = 8000;

struct Stream {
    receiver: Receiver,
    now: Instant,
    number: u16,
    clock_rate: u32,
    ssrc: u32,
}

impl Stream {
    fn new() -> Self {
        Self { receiver: Receiver::new(), now: Instant::now(), number: 65530, clock_rate: CLOCK, ssrc: 7 }
    }

    fn event(&mut self, timestamp: u32, letter: char, duration: u16, end: bool) -> Vec<Signal> {
        self.number = self.number.wrapping_add(1);
        self.at(self.number, timestamp, letter, duration, end)
    }

    fn at(&mut self, number: u16, timestamp: u32, letter: char, duration: u16, end: bool) -> Vec<Signal> {
        let event = Event { event: key(letter).event(), end, volume: 10, duration };
        let marker = duration == STEP;
        self.packet(number, timestamp, marker, event)
    }

    fn packet(&mut self, number: u16, timestamp: u32, marker: bool, event: Event) -> Vec<Signal> {
        let header = header(self.ssrc, number, timestamp, marker);
        self.receiver.handle_event(self.now, &header, event, self.clock_rate).into_iter().collect()
    }

    fn media(&mut self, timestamp: u32) -> Option<Signal> {
        let header = header(7, 0, timestamp, false);
        self.receiver.handle_media(self.now, &header, self.clock_rate, TIMEOUT)
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }
}

const TIMEOUT: Duration = Duration::from_millis(150);

fn header(ssrc: u32, sequence_number: u16, timestamp: u32, marker: bool) -> Header {
    Header { marker, payload_type: 101, sequence_number, timestamp, ssrc }
}

fn key(letter: char) -> Key {
    Key::from_char(letter).unwrap()
}

/// The end of a digit after `ticks`.
fn end(letter: char, ticks: u64) -> Signal {
    Signal::End { key: key(letter), held: duration(ticks, CLOCK) }
}

#[test]
fn rfc4733_section_2_5_a_digit_begins_lasts_and_ends_once() {
    let mut stream = Stream::new();
    assert_eq!(stream.event(1000, '5', 160, false), [Signal::Begin(key('5'))]);
    assert_eq!(stream.event(1000, '5', 320, false), [Signal::Continue(key('5'))]);
    assert_eq!(stream.event(1000, '5', 480, true), [end('5', 480)]);
    assert_eq!(stream.event(1000, '5', 480, true), []);
    assert_eq!(stream.event(1000, '5', 480, true), []);
    assert_eq!(stream.event(2000, '5', 160, false), [Signal::Begin(key('5'))]);
}

#[test]
fn end_packets_that_repeat_their_sequence_number_count_once() {
    let mut stream = Stream::new();
    stream.event(1000, '5', 160, false);
    assert_eq!(stream.at(7, 1000, '5', 320, true), [end('5', 320)]);
    assert_eq!(stream.at(7, 1000, '5', 320, true), []);
}

#[test]
fn a_lone_end_packet_is_a_digit() {
    let mut stream = Stream::new();
    assert_eq!(stream.event(1000, '#', 800, true), [end('#', 800)]);
    assert_eq!(stream.event(1000, '#', 800, true), []);
}

#[test]
fn a_lost_end_is_made_up_by_the_next_digit_even_the_same() {
    let mut stream = Stream::new();
    stream.event(1000, '1', 160, false);
    stream.event(1000, '1', 320, false);
    assert_eq!(stream.event(3000, '2', 160, false), [end('1', 320), Signal::Begin(key('2'))]);
    assert_eq!(stream.event(5000, '2', 160, false), [end('2', 160), Signal::Begin(key('2'))]);
    assert_eq!(stream.event(7000, '3', 800, true), [end('2', 160), end('3', 800)]);
}

#[test]
fn a_lost_end_is_made_up_when_media_goes_on() {
    let mut stream = Stream::new();
    stream.event(u32::MAX - 100, '1', 160, false);
    assert_eq!(stream.media(59 + 5000), None, "the network has held up the events");
    stream.wait(150);
    assert_eq!(stream.media(u32::MAX - 200), None);
    assert_eq!(stream.media(59 + 1200), None);
    assert_eq!(stream.media(59 + 1201), Some(end('1', 160)));
    assert_eq!(stream.media(5000), None);
    assert_eq!(stream.event(u32::MAX - 100, '1', 480, true), []);
}

#[test]
fn overtaken_packets_begin_nothing() {
    let mut stream = Stream::new();
    stream.at(10, 1000, '1', 160, false);
    stream.at(12, 1000, '1', 480, true);
    assert_eq!(stream.at(11, 1000, '1', 320, false), []);
    stream.at(20, 3000, '2', 160, false);
    stream.at(22, 3000, '2', 320, true);
    assert_eq!(stream.at(13, 1000, '1', 480, true), []);
}

#[test]
fn timestamps_that_start_over_do_not_silence_digits() {
    let mut stream = Stream::new();
    stream.event(4_000_000, '1', 480, true);
    assert_eq!(stream.event(100, '2', 160, false), [Signal::Begin(key('2'))]);
}

#[test]
fn rfc4733_section_2_5_1_3_long_digits_come_in_segments() {
    let mut stream = Stream::new();
    stream.event(1000, '0', 160, false);
    stream.wait(8190);
    stream.event(1000, '0', 0xFFFF, false);
    assert_eq!(stream.event(1000 + 0xFFFF, '0', 161, false), [Signal::Continue(key('0'))]);
    assert_eq!(stream.event(1000 + 0xFFFF, '0', 800, true), [end('0', 0xFFFF + 800)]);
    assert_eq!(stream.event(1000 + 0xFFFF, '0', 800, true), []);
}

#[test]
fn rfc4733_section_2_1_the_clock_is_that_of_the_media() {
    let mut stream = Stream::new();
    stream.clock_rate = 48_000;
    assert_eq!(stream.event(1000, '5', 960, false), [Signal::Begin(key('5'))]);
    let held = Duration::from_millis(100);
    assert_eq!(stream.event(1000, '5', 4800, true), [Signal::End { key: key('5'), held }]);

    stream.event(9000, '6', 960, false);
    let after = |milliseconds: u32| 9000 + 48 * milliseconds;
    stream.wait(171);
    assert_eq!(stream.media(after(170)), None);
    let held = Duration::from_millis(20);
    assert_eq!(stream.media(after(171)), Some(Signal::End { key: key('6'), held }));
}

#[test]
fn chrome_156_begins_a_segment_where_the_clock_is_and_not_where_the_last_was_full() {
    let mut stream = Stream::new();
    stream.clock_rate = 48_000;
    stream.event(1000, '5', 960, false);
    stream.wait(1360);
    stream.event(1000, '5', 0xFFFF, false);
    let second = 1000 + 0xFFFF + 900;
    assert_eq!(stream.event(second, '5', 2880, false), [Signal::Continue(key('5'))]);
    let held = duration(0xFFFF + 900 + 2880, 48_000);
    assert_eq!(stream.event(second, '5', 2880, true), [Signal::End { key: key('5'), held }]);
}

#[test]
fn rfc2833_long_digits_wrap_their_duration() {
    let mut stream = Stream::new();
    stream.event(1000, '0', 160, false);
    stream.wait(8190);
    stream.event(1000, '0', 65500, false);
    stream.event(1000, '0', 124, false);
    assert_eq!(stream.event(1000, '0', 284, true), [end('0', 65536 + 284)]);
}

#[test]
fn ends_only_for_peers_that_need_compensation() {
    let mut stream = Stream::new();
    stream.receiver.set_reporting(Reporting::EndOnly);
    assert_eq!(stream.event(1000, '7', 160, false), [end('7', 0)]);
    assert_eq!(stream.event(1000, '7', 320, true), []);
    assert_eq!(stream.event(2000, '7', 160, true), [end('7', 0)]);
}

#[test]
fn our_own_digit_echoed_begins_nothing() {
    let mut stream = Stream::new();
    stream.receiver.mute_until(stream.now + std::time::Duration::from_millis(500));
    assert_eq!(stream.event(1000, '7', 160, false), []);
    stream.now += std::time::Duration::from_millis(500);
    assert_eq!(stream.event(1000, '7', 320, false), [Signal::Begin(key('7'))]);
}

#[test]
fn with_ends_only_the_rest_of_a_muted_digit_is_no_digit() {
    let mut stream = Stream::new();
    stream.receiver.set_reporting(Reporting::EndOnly);
    stream.receiver.mute_until(stream.now + std::time::Duration::from_millis(500));
    assert_eq!(stream.event(1000, '7', 160, false), []);
    stream.wait(520);
    assert_eq!(stream.event(1000, '7', 4320, false), []);
    assert_eq!(stream.event(1000, '7', 4480, true), []);
    assert_eq!(stream.event(9000, '7', 160, false), [end('7', 0)]);
}

#[test]
fn flash_is_a_key_and_other_events_are_ignored() {
    let mut stream = Stream::new();
    let flash = Event { event: 16, end: true, volume: 0, duration: 1 };
    let held = duration(1, CLOCK);
    assert_eq!(stream.packet(1, 5, false, flash), [Signal::End { key: Key::FLASH, held }]);
    let fax = Event { event: 36, ..flash };
    assert_eq!(stream.packet(2, 9, true, fax), []);
}

#[test]
fn a_source_that_has_gone_releases_its_key() {
    let mut stream = Stream::new();
    stream.event(1000, '1', 160, false);
    assert_eq!(stream.receiver.handle_gone(8), None);
    assert_eq!(stream.receiver.handle_gone(7), Some(end('1', 160)));
    assert_eq!(stream.receiver.handle_gone(7), None);
    assert_eq!(stream.receiver.active(), None);
    assert_eq!(stream.event(1000, '1', 480, true), [], "its end comes late");
}

/// One line a packet: sequence number, timestamp, marker, event, end, duration.
#[test]
fn late_ends_of_an_earlier_digit_press_nothing() {
    let mut stream = Stream::new();
    let mut ends = Vec::new();
    for (number, timestamp, letter, duration, is_end) in [
        (100, 16_000, '1', 160, false),
        (101, 16_000, '1', 320, false),
        (102, 16_000, '1', 480, true),
        (103, 17_600, '2', 160, false),
        (104, 17_600, '2', 320, false),
        (105, 17_600, '2', 480, true),
        (106, 16_000, '1', 480, true),
        (107, 16_000, '1', 480, true),
        (108, 17_600, '2', 480, true),
    ] {
        ends.extend(stream.at(number, timestamp, letter, duration, is_end));
    }
    ends.retain(|signal| matches!(signal, Signal::End { .. }));
    assert_eq!(ends, [end('1', 480), end('2', 480)]);
}

#[test]
fn late_ends_do_not_end_the_digit_that_is_pressed() {
    let mut stream = Stream::new();
    stream.event(1000, '1', 480, true);
    assert_eq!(stream.event(3000, '2', 160, false), [Signal::Begin(key('2'))]);
    assert_eq!(stream.event(1000, '1', 480, true), []);
    assert_eq!(stream.event(3000, '2', 320, false), [Signal::Continue(key('2'))]);
    assert_eq!(stream.event(3000, '2', 480, true), [end('2', 480)]);
}

#[test]
fn the_newest_duration_counts_though_it_is_shorter() {
    let mut stream = Stream::new();
    for step in 1..8 {
        stream.event(1000, '5', 160 * step, false);
        stream.wait(20);
    }
    assert_eq!(stream.event(1000, '5', 1000, true), [end('5', 1000)]);
    stream.event(9000, '6', 160, false);
    stream.event(9000, '6', 640, false);
    assert_eq!(stream.event(9000, '6', 0, true), [end('6', 640)], "a duration of 0 is none");
}

#[test]
fn no_digit_is_longer_than_the_time_since_it_began() {
    let mut stream = Stream::new();
    stream.event(1000, '5', 160, false);
    stream.wait(100);
    let held = Duration::from_millis(20 + 100) + Duration::from_secs(1);
    assert_eq!(stream.event(1000, '5', 0xC003, true), [Signal::End { key: key('5'), held }]);
}

#[test]
fn digits_under_an_ssrc_of_their_own_have_a_count_of_their_own() {
    let mut stream = Stream::new();
    stream.event(1000, '1', 160, false);
    stream.event(1000, '1', 320, true);
    (stream.ssrc, stream.number) = (8, 900);
    assert_eq!(stream.event(90_000, '5', 160, false), [Signal::Begin(key('5'))]);
    stream.wait(149);
    assert_eq!(stream.media(4_000_000), None, "timestamps of two sources cannot be compared");
    assert_eq!(stream.event(90_000, '5', 320, true), [end('5', 320)]);
    (stream.ssrc, stream.number) = (7, 100);
    assert_eq!(stream.event(1000, '1', 320, true), []);
    assert_eq!(stream.event(90_000, '5', 160, false), [Signal::Begin(key('5'))], "a digit of the other source");
    stream.ssrc = 9;
    assert_eq!(stream.event(90_000, '5', 160, false), [end('5', 160), Signal::Begin(key('5'))]);
    stream.wait(150);
    assert_eq!(stream.media(90_320), Some(end('5', 160)));
}

#[test]
fn a_sequence_number_that_stands_still_loses_no_digit() {
    let mut stream = Stream::new();
    for (timestamp, letter) in [(1000, '1'), (5000, '1'), (9000, '2')] {
        assert_eq!(stream.at(7, timestamp, letter, 160, false), [Signal::Begin(key(letter))]);
        assert_eq!(stream.at(7, timestamp, letter, 320, false), [Signal::Continue(key(letter))]);
        assert_eq!(stream.at(7, timestamp, letter, 480, true), [end(letter, 480)]);
        assert_eq!(stream.at(7, timestamp, letter, 480, true), []);
    }
}

#[test]
fn a_count_that_starts_over_a_little_lower_loses_no_digit() {
    let mut stream = Stream::new();
    stream.at(60, 1000, '1', 160, false);
    stream.at(61, 1000, '1', 320, true);
    assert_eq!(stream.at(10, 5000, '2', 160, false), [Signal::Begin(key('2'))]);
    assert_eq!(stream.at(11, 5000, '2', 320, true), [end('2', 320)]);
}

#[test]
fn a_timestamp_that_moves_makes_no_second_digit() {
    let mut stream = Stream::new();
    assert_eq!(stream.event(1000, '1', 160, false), [Signal::Begin(key('1'))]);
    for step in 1..8 {
        assert_eq!(stream.event(1000 + 160 * u32::from(step), '1', 160 * (step + 1), false).len(), 1);
        stream.wait(20);
    }
    assert_eq!(stream.event(1000 + 1280, '1', 1440, true), [end('1', 1440)]);
    assert_eq!(stream.event(1000 + 1440, '1', 1440, true), []);
    assert_eq!(stream.event(1000 + 1600, '1', 1440, true), []);
    assert_eq!(stream.event(8000, '1', 160, false), [Signal::Begin(key('1'))]);
}

#[test]
fn the_end_may_have_the_timestamp_of_the_end() {
    let mut stream = Stream::new();
    stream.event(1000, '1', 160, false);
    stream.event(1000, '1', 320, false);
    stream.wait(100);
    assert_eq!(stream.event(1000 + 800, '1', 800, true), [end('1', 800)]);
    assert_eq!(stream.event(1000 + 800, '1', 800, true), []);
}

#[test]
fn a_timestamp_that_stands_still_presses_again_where_the_marker_is() {
    let mut stream = Stream::new();
    for _ in 0..2 {
        assert_eq!(stream.event(0, '1', 160, false), [Signal::Begin(key('1'))]);
        assert_eq!(stream.event(0, '1', 320, true), [end('1', 320)]);
        assert_eq!(stream.event(0, '1', 320, true), []);
    }
}

#[test]
fn the_same_key_a_segment_later_is_another_digit() {
    let mut stream = Stream::new();
    stream.event(1000, '1', 160, false);
    stream.event(1000, '1', 320, false);
    stream.wait(8200);
    let later = 1000 + 0xFFFF;
    assert_eq!(stream.event(later, '1', 320, false), [end('1', 320), Signal::Begin(key('1'))]);
}

#[test]
fn late_packets_of_an_earlier_segment_change_nothing() {
    let mut stream = Stream::new();
    stream.event(1000, '0', 160, false);
    stream.wait(8190);
    stream.event(1000, '0', 0xFFFF, false);
    stream.event(1000 + 0xFFFF, '0', 161, false);
    assert_eq!(stream.event(1000, '0', 0xFFFF, false), []);
    assert_eq!(stream.event(1000 + 0xFFFF, '0', 800, true), [end('0', 0xFFFF + 800)]);
}

#[test]
fn a_digit_that_has_ended_is_known_by_source_key_and_timestamp() {
    let mut stream = Stream::new();
    let update = |key_of| Event { event: key(key_of).event(), end: false, volume: 10, duration: STEP };
    stream.event(1000, '1', 160, false);
    let now = stream.now;
    let has_ended = |stream: &Stream, ssrc, timestamp, key_of| {
        stream.receiver.has_ended(now, &header(ssrc, 0, timestamp, false), update(key_of), CLOCK)
    };
    assert!(!has_ended(&stream, 7, 1000, '1'));
    stream.event(1000, '1', 320, true);
    stream.event(3000, '2', 320, true);
    assert!(has_ended(&stream, 7, 1000, '1'));
    assert!(!has_ended(&stream, 7, 1000, '2'));
    assert!(!has_ended(&stream, 7, 2000, '1'));
    assert!(!has_ended(&stream, 8, 1000, '1'));
}
