//! The length of an Opus packet, as its first bytes tell it (RFC 6716 §3). Nothing is decoded.
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+-+-+-+-+-+-+-+
//! | config  |s| c |   the table-of-contents byte: bandwidth and length of a frame, stereo, number of frames
//! +-+-+-+-+-+-+-+-+
//! ```

use std::fmt;

/// The RTP clock of Opus in hertz, whatever its bandwidth (RFC 7587 §4.1).
pub const CLOCK: u32 = 48_000;

/// The length of a packet at [`CLOCK`]: 120 to 5760 samples of each channel.
///
/// ```
/// // SILK, 20 ms, mono, one frame.
/// assert_eq!(rtp::opus::samples(&[0x08, 0x01, 0x02]), Ok(960));
/// assert!(rtp::opus::samples(&[]).is_err());
/// ```
///
/// # Errors
/// The packet breaks one of the requirements of RFC 6716 §3.4, by which a decoder refuses it.
pub fn samples(packet: &[u8]) -> Result<u32, Malformed> {
    let (toc, rest) = packet.split_first().ok_or(Malformed)?;
    let frames = match toc & 0b11 {
        0 => one(rest),
        1 => two_of_one_length(rest),
        2 => two(rest),
        _ => many(rest),
    }?;
    let samples = frames * frame_samples(toc >> 3);
    if samples <= LONGEST { Ok(samples) } else { Err(Malformed) }
}

/// A packet that is no Opus: empty, cut off, or with lengths that do not add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no Opus packet")
    }
}

impl std::error::Error for Malformed {}

/// The length of one frame, by the configuration (RFC 6716 §3.1, table 2).
fn frame_samples(config: u8) -> u32 {
    const MS: u32 = CLOCK / 1000;
    let by_size = |sizes: [u32; 4]| sizes[usize::from(config & 0b11)];
    match config {
        // SILK.
        0..=11 => by_size([10 * MS, 20 * MS, 40 * MS, 60 * MS]),
        // Hybrid.
        12..=15 => by_size([10 * MS, 20 * MS, 10 * MS, 20 * MS]),
        // CELT, from 2.5 ms.
        _ => by_size([5 * MS / 2, 5 * MS, 10 * MS, 20 * MS]),
    }
}

/// Code 0 (§3.2.2).
fn one(frame: &[u8]) -> Result<u32, Malformed> {
    fits(frame.len()).map(|()| 1)
}

/// Code 1 (§3.2.3).
fn two_of_one_length(frames: &[u8]) -> Result<u32, Malformed> {
    if !frames.len().is_multiple_of(2) {
        return Err(Malformed);
    }
    fits(frames.len() / 2).map(|()| 2)
}

/// Code 2 (§3.2.4).
fn two(rest: &[u8]) -> Result<u32, Malformed> {
    let (first, rest) = length(rest)?;
    fits(rest.len().checked_sub(first).ok_or(Malformed)?).map(|()| 2)
}

/// Code 3 (§3.2.5): a byte with the number of frames, padding, and lengths if they differ.
fn many(rest: &[u8]) -> Result<u32, Malformed> {
    let (&head, mut rest) = rest.split_first().ok_or(Malformed)?;
    let frames = head & 0x3F;
    let padding = if head & 0x40 != 0 { padding(&mut rest)? } else { 0 };
    if frames == 0 {
        return Err(Malformed);
    }
    let has_lengths = head & 0x80 != 0;
    let mut described = 0;
    for _ in 1..if has_lengths { frames } else { 1 } {
        let (length, after) = length(rest)?;
        (described, rest) = (described + length, after);
    }
    let left = rest.len().checked_sub(padding + described).ok_or(Malformed)?;
    let last = match (has_lengths, left % usize::from(frames)) {
        (true, _) => left,
        (false, 0) => left / usize::from(frames),
        (false, _) => return Err(Malformed),
    };
    fits(last).map(|()| frames.into())
}

/// The number of padding bytes at the end, beside those that tell it.
fn padding(rest: &mut &[u8]) -> Result<usize, Malformed> {
    let mut padding = 0;
    loop {
        let (&byte, after) = rest.split_first().ok_or(Malformed)?;
        *rest = after;
        if byte != 255 {
            return Ok(padding + usize::from(byte));
        }
        padding += 254;
    }
}

/// The length of a frame (§3.2.1), and what follows it.
fn length(rest: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    match rest {
        [first @ 0..=251, rest @ ..] => Ok((usize::from(*first), rest)),
        [first, second, rest @ ..] => Ok((usize::from(*second) * 4 + usize::from(*first), rest)),
        _ => Err(Malformed),
    }
}

/// A frame is at most as long as the longest length that can be written (§3.4, R2).
fn fits(length: usize) -> Result<(), Malformed> {
    if length <= LONGEST_FRAME { Ok(()) } else { Err(Malformed) }
}

/// The longest packet, in samples: 120 ms (§3.4, R5).
const LONGEST: u32 = 120 * CLOCK / 1000;

/// The longest frame, in bytes.
const LONGEST_FRAME: usize = 1275;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6716_section_3_1_every_configuration_has_its_length() {
        // Tenths of a millisecond, as in table 2.
        let silk = [100, 200, 400, 600];
        let rows = [silk, silk, silk, [100, 200, 100, 200]];
        let celt = [[25, 50, 100, 200]; 4];
        let table: Vec<u32> = rows.into_iter().chain(celt).flatten().collect();
        assert_eq!(table.len(), 32);
        for (config, tenths) in (0_u8..).zip(table) {
            let expected = tenths * CLOCK / 10_000;
            for stereo in [0, 4] {
                assert_eq!(samples(&[config << 3 | stereo, 0]), Ok(expected), "{config}");
                let double = expected * 2;
                let wanted = if double <= LONGEST { Ok(double) } else { Err(Malformed) };
                assert_eq!(samples(&[config << 3 | stereo | 1, 0, 0]), wanted, "{config}");
                assert_eq!(samples(&[config << 3 | stereo | 2, 1, 0, 0]), wanted, "{config}");
            }
        }
    }

    #[test]
    fn rfc6716_section_3_2_5_a_packet_has_at_most_48_frames_or_120_ms() {
        for toc in 0..=u8::MAX {
            let frame = frame_samples(toc >> 3);
            for count in 0..64_u8 {
                let packet = [toc | 3, count];
                let total = frame * u32::from(count);
                let expected = if count > 0 && total <= LONGEST { Ok(total) } else { Err(Malformed) };
                assert_eq!(samples(&packet), expected, "{packet:?}");
            }
        }
    }

    #[test]
    fn rfc6716_section_3_4_lengths_add_up() {
        let celt = 31 << 3;
        let broken: [&[u8]; 14] = [
            &[],
            // Code 1: an odd number of bytes.
            &[celt | 1, 0],
            // Code 2: no length, half of one, and one that is too long.
            &[celt | 2],
            &[celt | 2, 252],
            &[celt | 2, 2, 0],
            // Code 3: no number, no frames, bytes that are no multiple.
            &[celt | 3],
            &[celt | 3, 0],
            &[celt | 3, 2, 0],
            // Padding without its length, cut off, and longer than the packet.
            &[celt | 3, 0x41],
            &[celt | 3, 0x41, 255],
            &[celt | 3, 0x41, 2, 0],
            // Lengths that are missing, cut off, and too long.
            &[celt | 3, 0x83, 0],
            &[celt | 3, 0x82, 252],
            &[celt | 3, 0x82, 3, 0, 0],
        ];
        for packet in broken {
            assert_eq!(samples(packet), Err(Malformed), "{packet:?}");
        }
        assert_eq!(samples(&[celt | 3, 0x42, 1, 9, 9, 0]), Ok(1920), "one byte of padding");
        let mut padded = vec![celt | 3, 0x41, 255, 1];
        padded.resize(4 + 255, 0);
        assert_eq!(samples(&padded), Ok(960), "254 bytes and one");
        padded.pop();
        assert_eq!(samples(&padded), Err(Malformed));
        assert_eq!(samples(&[celt | 3, 0x83, 1, 2, 0, 0, 0, 0]), Ok(2880));
        let mut long = vec![celt; 1 + LONGEST_FRAME];
        assert_eq!(samples(&long), Ok(960));
        long.push(0);
        assert_eq!(samples(&long), Err(Malformed));
    }

    #[test]
    fn a_packet_that_is_cut_off_is_refused_or_has_a_length() {
        let whole: Vec<u8> = (0..64).map(|byte: u8| byte.wrapping_mul(37)).collect();
        for toc in 0..=u8::MAX {
            for end in 0..=whole.len() {
                let mut packet = vec![toc];
                packet.extend_from_slice(&whole[..end]);
                assert!(
                    samples(&packet).is_ok_and(|samples| (120..=LONGEST).contains(&samples))
                        || samples(&packet).is_err()
                );
            }
        }
    }
}
