//! Sends text with redundancy (RFC 4103 §4, §5.2).

use std::time::{Duration, Instant};

/// The text of one session on its way out, and the generations that its packets repeat.
///
/// Text after an idle period goes at once, with the marker. Then text is collected and a packet leaves each interval, until the last
/// text has been repeated in all generations; the stream is idle again. If the timer is a little late, the packet is dated to the end
/// of the interval, so that the timestamps of a steady stream are an interval apart.
#[derive(Debug, Clone)]
pub struct Sender {
    interval: Duration,
    /// The blocks that the next packet repeats, the oldest first.
    generations: Vec<Block>,
    waiting: Vec<u8>,
    /// When the first octet of `waiting` came.
    waiting_since: Option<Instant>,
    /// The time to which the last packet is dated.
    last: Option<Instant>,
    postponed: Option<Instant>,
    /// Packets until the last text has been repeated in all generations; 0 while idle.
    owed: usize,
    haste: Haste,
}

/// A packet to send, whose payload is in the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Octets of the payload.
    pub len: usize,
    /// The packet is the first after an idle period (RFC 4103 §5.2).
    pub marker: bool,
    /// Distance of the timestamp from that of the packet before, in milliseconds, which are the units of the RTP clock
    /// (RFC 4103 §3); `None` for the first packet.
    pub advance: Option<u32>,
}

/// Text arrives faster than it may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{waiting} octets of text wait already, {refused} more were refused")]
pub struct Full {
    /// Octets that wait to be sent.
    pub waiting: usize,
    /// Octets of the text that was refused.
    pub refused: usize,
}

/// The text of one packet.
#[derive(Debug, Clone, Default)]
struct Block {
    text: Vec<u8>,
    sent: Option<Instant>,
}

/// The packets that do not wait for the end of the interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Haste {
    None,
    Text,
    Everything,
}

impl Sender {
    /// Creates a sender whose packets are `interval` apart (300 ms in RFC 4103 §5.1) and repeat the text of the `generations` before
    /// them, 1 to 5.
    pub fn new(interval: Duration, generations: usize) -> Self {
        Self {
            interval,
            generations: vec![Block::default(); generations.clamp(1, MOST_GENERATIONS)],
            waiting: Vec::new(),
            waiting_since: None,
            last: None,
            postponed: None,
            owed: 0,
            haste: Haste::None,
        }
    }

    /// Takes in text to be sent. Fails without taking any of it when too much would wait.
    pub fn handle_text(&mut self, now: Instant, text: &[u8]) -> Result<(), Full> {
        let waiting = self.waiting.len();
        if waiting + text.len() > LONGEST_QUEUE {
            return Err(Full { waiting, refused: text.len() });
        }
        if waiting == 0 {
            self.waiting_since = Some(now);
        }
        self.waiting.extend_from_slice(text);
        Ok(())
    }

    /// Makes everything due at once: the text that waits, and the packets that repeat it. For the end of a stream.
    pub fn flush(&mut self) {
        if self.poll_timeout().is_some() {
            self.haste = Haste::Everything;
        }
    }

    /// Makes the text that waits due at once.
    pub fn hurry(&mut self) {
        if !self.waiting.is_empty() {
            self.haste = self.haste.max(Haste::Text);
        }
    }

    /// Makes nothing due for an interval, because there is no way to send.
    pub fn postpone(&mut self, now: Instant) {
        (self.postponed, self.haste) = (Some(now + self.interval), Haste::None);
    }

    /// Repeats no text that was sent under another SSRC: the peer would take it for new.
    pub fn change_source(&mut self) {
        self.generations.iter_mut().for_each(|block| block.text.clear());
        self.owed = 0;
    }

    /// Takes the text out that waits, which is then not sent.
    pub fn take_waiting(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.waiting)
    }

    /// Returns when the next packet is due; `None` while idle.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (since, enough, grace) = match (self.waiting.is_empty(), self.owed) {
            (false, _) => (self.waiting_since, Haste::Text, Duration::ZERO),
            (true, 0) => return None,
            (true, _) => (self.last, Haste::Everything, GRACE),
        };
        if self.haste >= enough {
            return since;
        }
        let interval = self.last.map(|last| last + self.interval + grace);
        since.max(interval).max(self.postponed)
    }

    /// Returns whether a packet is due.
    pub fn is_due(&self, now: Instant) -> bool {
        // When everything is flushed, the last packet may be dated to a time that has not come.
        self.poll_timeout().is_some_and(|due| due <= now || self.haste == Haste::Everything)
    }

    /// Writes the payload of the next packet that is due. `block_type` is the payload type of T.140.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        block_type: u8,
        buffer: &mut [u8; LARGEST_PAYLOAD],
    ) -> Option<Transmit> {
        if !self.is_due(now) {
            return None;
        }
        let marker = self.owed == 0;
        let advance = self.date(now);
        let text_len = self.block_len();
        let len = self.write(block_type, text_len, buffer);
        self.shift(text_len);
        self.postponed = None;
        Some(Transmit { len, marker, advance })
    }

    /// Dates the next packet, and returns how much later than the last it is.
    fn date(&mut self, now: Instant) -> Option<u32> {
        let Some(last) = self.last else {
            self.last = Some(now);
            return None;
        };
        let since = now.saturating_duration_since(last);
        let is_on_time = since.checked_sub(self.interval).is_some_and(|late| late <= LATENESS);
        let advance = (if is_on_time { self.interval } else { since }).as_millis().max(1) as u64;
        self.last = Some(last + Duration::from_millis(advance));
        // Truncation to 32 bits is how a timestamp wraps.
        Some(advance as u32)
    }

    /// Returns how much of the waiting text goes into one block: all, or whole characters up to the longest.
    fn block_len(&self) -> usize {
        let count = self.generations.len() + 1;
        let longest = (LARGEST_PAYLOAD - count * HEADER_LEN) / count;
        if self.waiting.len() <= longest {
            return self.waiting.len();
        }
        let starts_character = |end: &usize| self.waiting.get(*end).is_some_and(|octet| octet & 0xC0 != 0x80);
        (longest - 3..=longest).rev().find(starts_character).unwrap_or(longest)
    }

    /// Writes the packet: the blocks of earlier packets, then one with `text_len` octets of new text. Returns its length.
    fn write(&mut self, block_type: u8, text_len: usize, buffer: &mut [u8; LARGEST_PAYLOAD]) -> usize {
        let mut writer = Writer { buffer, len: 0 };
        for block in &mut self.generations {
            let offset =
                self.last.zip(block.sent).map_or(0, |(now, sent)| now.saturating_duration_since(sent).as_millis());
            if offset > LARGEST_OFFSET {
                // Text of that age was repeated in vain before (RFC 4103 §4.1).
                block.text.clear();
            }
            let offset_and_len = (offset.min(LARGEST_OFFSET) as u32) << 10 | block.text.len() as u32;
            writer.put(&[0x80 | block_type]);
            writer.put(&offset_and_len.to_be_bytes()[1..]);
        }
        writer.put(&[block_type]);
        self.generations.iter().for_each(|block| writer.put(&block.text));
        writer.put(self.waiting.get(..text_len).unwrap_or_default());
        writer.len
    }

    /// Makes the new text, the first `text_len` octets of those that wait, the youngest generation.
    fn shift(&mut self, text_len: usize) {
        self.owed = if text_len > 0 { self.generations.len() } else { self.owed.saturating_sub(1) };
        self.generations.rotate_left(1);
        if let Some(youngest) = self.generations.last_mut() {
            youngest.sent = self.last;
            youngest.text.clear();
            youngest.text.extend(self.waiting.drain(..text_len));
        }
        if self.waiting.is_empty() && (self.owed == 0 || self.haste == Haste::Text) {
            self.haste = Haste::None;
        }
    }
}

/// Writes into a buffer that is large enough.
struct Writer<'a> {
    buffer: &'a mut [u8; LARGEST_PAYLOAD],
    len: usize,
}

impl Writer<'_> {
    fn put(&mut self, octets: &[u8]) {
        // `Sender::block_len` keeps the sum of all parts within the buffer.
        if let Some(place) = self.buffer.get_mut(self.len..self.len + octets.len()) {
            place.copy_from_slice(octets);
            self.len += octets.len();
        }
    }
}

/// Octets of the largest payload: a packet that fits the smallest MTU of IPv6 with SRTP.
pub const LARGEST_PAYLOAD: usize = 1200;

/// Generations that the host's interface has room for.
const MOST_GENERATIONS: usize = 5;

/// Octets that wait at most. At an interval of 300 ms with two generations, they go in 13 seconds.
const LONGEST_QUEUE: usize = 16 * 1024;

/// Octets of a block's header; that of the last block has one.
const HEADER_LEN: usize = 4;

/// The largest timestamp offset of a redundant block (RFC 2198 §3).
const LARGEST_OFFSET: u128 = 0x3FFF;

/// A packet without new text waits this much longer than the interval: text that comes in the same rhythm would otherwise wait
/// for the interval after it.
const GRACE: Duration = Duration::from_millis(40);

/// A timer that is late by less than this does not show in timestamps.
const LATENESS: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::red::Redundant;

    const INTERVAL: Duration = Duration::from_millis(300);

    /// Takes the packet that is due: its blocks' texts, its marker and advance.
    fn next(sender: &mut Sender, now: Instant) -> Option<(Vec<String>, bool, Option<u32>)> {
        let mut buffer = [0; LARGEST_PAYLOAD];
        let sent = sender.poll_transmit(now, 98, &mut buffer)?;
        let redundant = Redundant::parse(&buffer[..sent.len]).unwrap();
        let texts = redundant.blocks().map(|block| String::from_utf8(block.data.to_vec()).unwrap());
        Some((texts.collect(), sent.marker, sent.advance))
    }

    fn packet(texts: [&str; 3], marker: bool, advance: Option<u32>) -> Option<(Vec<String>, bool, Option<u32>)> {
        Some((texts.map(str::to_owned).to_vec(), marker, advance))
    }

    #[test]
    fn rfc4103_section_5_2_text_goes_at_once_and_is_repeated_until_idle() {
        let (mut sender, start) = (Sender::new(INTERVAL, 2), Instant::now());
        assert_eq!((sender.poll_timeout(), next(&mut sender, start)), (None, None));
        sender.handle_text(start, b"a").unwrap();
        assert_eq!(next(&mut sender, start), packet(["", "", "a"], true, None));
        sender.handle_text(start + INTERVAL / 3, b"b").unwrap();
        sender.handle_text(start + INTERVAL / 2, b"c").unwrap();
        assert_eq!(next(&mut sender, start + INTERVAL / 2), None);
        assert_eq!(sender.poll_timeout(), Some(start + INTERVAL));
        // The timer may be late.
        let late = start + INTERVAL + Duration::from_millis(7);
        assert_eq!(next(&mut sender, late), packet(["", "a", "bc"], false, Some(300)));
        assert_eq!(sender.poll_timeout(), Some(start + 2 * INTERVAL + GRACE));
        assert_eq!(next(&mut sender, start + 2 * INTERVAL + GRACE), packet(["a", "bc", ""], false, Some(300)));
        assert_eq!(next(&mut sender, start + 4 * INTERVAL), packet(["bc", "", ""], false, Some(600)));
        assert_eq!(sender.poll_timeout(), None);
        let later = start + Duration::from_secs(9);
        sender.handle_text(later, b"d").unwrap();
        assert_eq!(next(&mut sender, later), packet(["", "", "d"], true, Some(7800)));
    }

    #[test]
    fn text_in_the_same_rhythm_goes_as_it_comes_and_its_timestamps_are_even() {
        let (mut sender, start) = (Sender::new(INTERVAL, 2), Instant::now());
        for (n, jitter) in [0, 9, 3, 25, 12, 30].into_iter().enumerate() {
            let now = start + INTERVAL * n as u32 + Duration::from_millis(jitter);
            sender.handle_text(now, b"x").unwrap();
            let (texts, marker, advance) = next(&mut sender, now).unwrap();
            assert_eq!((texts[2].as_str(), marker, advance), ("x", n == 0, (n > 0).then_some(300)));
        }
    }

    #[test]
    fn blocks_name_the_timestamp_at_which_their_text_was_sent() {
        let (mut sender, start) = (Sender::new(INTERVAL, 2), Instant::now());
        let mut buffer = [0; LARGEST_PAYLOAD];
        for (after, offsets) in [(0, [0, 0]), (300, [0, 300]), (1130, [1130, 830]), (60_000, [0x3FFF, 0x3FFF])] {
            let now = start + Duration::from_millis(after);
            sender.handle_text(now, b"x").unwrap();
            let sent = sender.poll_transmit(now, 98, &mut buffer).unwrap();
            let redundant = Redundant::parse(&buffer[..sent.len]).unwrap();
            assert!(redundant.redundant().map(|block| block.timestamp_offset).eq(offsets));
            assert!(redundant.blocks().all(|block| block.payload_type == 98));
            let is_old = redundant.redundant().any(|block| block.timestamp_offset == 0x3FFF && !block.data.is_empty());
            assert!(!is_old, "text that is too old to have an offset is not repeated");
        }
    }

    #[test]
    fn the_end_of_a_stream_sends_what_waits_and_repeats_it() {
        let (mut sender, start) = (Sender::new(INTERVAL, 2), Instant::now());
        sender.handle_text(start, b"a").unwrap();
        next(&mut sender, start);
        sender.handle_text(start, b"b").unwrap();
        sender.flush();
        assert_eq!(next(&mut sender, start), packet(["", "a", "b"], false, Some(1)));
        assert_eq!(next(&mut sender, start), packet(["a", "b", ""], false, Some(1)));
        assert_eq!(next(&mut sender, start), packet(["b", "", ""], false, Some(1)));
        assert_eq!((next(&mut sender, start), sender.poll_timeout()), (None, None));
        // Where nobody but the host's threads may send, new text alone does not wait.
        sender.handle_text(start, b"c").unwrap();
        sender.hurry();
        assert_eq!(next(&mut sender, start), packet(["", "", "c"], true, Some(1)));
        assert_eq!(next(&mut sender, start), None);
        assert!(sender.poll_timeout().is_some());
    }

    #[test]
    fn a_long_text_is_split_at_characters_and_a_queue_has_an_end() {
        let (mut sender, mut now) = (Sender::new(INTERVAL, 2), Instant::now());
        let text = "ö€𝄞x".repeat(200);
        sender.handle_text(now, text.as_bytes()).unwrap();
        let refused = vec![b'x'; LONGEST_QUEUE];
        assert_eq!(sender.handle_text(now, &refused), Err(Full { waiting: text.len(), refused: LONGEST_QUEUE }));
        let mut sent = String::new();
        while let Some((texts, ..)) = next(&mut sender, now) {
            sent.push_str(&texts[2]);
            now = sender.poll_timeout().unwrap_or(now);
        }
        assert_eq!(sent, text);
    }

    #[test]
    fn text_without_a_way_waits_and_another_ssrc_repeats_nothing() {
        let (mut sender, start) = (Sender::new(INTERVAL, 2), Instant::now());
        sender.handle_text(start, b"a").unwrap();
        sender.postpone(start);
        assert_eq!(sender.poll_timeout(), Some(start + INTERVAL));
        assert_eq!(next(&mut sender, start + INTERVAL), packet(["", "", "a"], true, None));
        sender.change_source();
        assert_eq!(sender.poll_timeout(), None);
        sender.handle_text(start + INTERVAL, b"b").unwrap();
        assert_eq!(next(&mut sender, start + 2 * INTERVAL), packet(["", "", "b"], true, Some(300)));
        sender.handle_text(start + INTERVAL, b"c").unwrap();
        assert_eq!(sender.take_waiting(), b"c");
    }
}
