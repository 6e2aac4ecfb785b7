use std::net::{IpAddr, Ipv4Addr};

use super::*;
use proptest::prelude::*;

const PROBATION: u32 = 4;

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 4000))
}

/// Sends `count` packets, 20 ms apart, and returns the verdict on the last.
fn stream(strict: &mut StrictRtp, now: &mut Instant, from: SocketAddr, first: u16, count: u16) -> Verdict {
    let mut verdict = Verdict::Drop;
    for n in 0..count {
        *now += Duration::from_millis(20);
        verdict = strict.handle_packet(*now, from, ssrc(from), first.wrapping_add(n));
    }
    verdict
}

/// The SSRC of the stream from an address.
fn ssrc(from: SocketAddr) -> u32 {
    if from == STRANGER { 2 } else { 1 }
}

/// A call of the tests with two streams, where times are microseconds since the call began.
struct Call {
    strict: StrictRtp,
    start: Instant,
    ssrc_of_stranger: u32,
}

/// The number of packets of each stream that were accepted.
struct Heard {
    phone_at_last: bool,
    stranger: usize,
}

const PHONE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4000);
const STRANGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 4000);

impl Call {
    fn signalled(address: SocketAddr) -> Self {
        let start = Instant::now();
        let mut strict = StrictRtp::learning(start, PROBATION);
        strict.set_signalled(start, Some(address));
        Self { strict, start, ssrc_of_stranger: ssrc(STRANGER) }
    }

    fn now(&self, at: u64) -> Instant {
        self.start + Duration::from_micros(at)
    }

    /// Plays the packets of both streams in order of time.
    fn play(&mut self, phone: &[(u64, u16)], stranger: &[(u64, u16)]) -> Heard {
        let packets = phone.iter().map(|packet| (packet, PHONE));
        let mut packets: Vec<_> = packets.chain(stranger.iter().map(|packet| (packet, STRANGER))).collect();
        packets.sort_by_key(|(packet, _)| packet.0);
        let mut heard = Heard { phone_at_last: false, stranger: 0 };
        for ((at, sequence_number), from) in packets {
            let ssrc = if from == STRANGER { self.ssrc_of_stranger } else { ssrc(from) };
            let accepted = self.strict.handle_packet(self.now(*at), from, ssrc, *sequence_number).is_accepted();
            match from {
                PHONE => heard.phone_at_last = accepted,
                _ => heard.stranger += usize::from(accepted),
            }
        }
        heard
    }
}

/// A packet every `interval` microseconds: its time and its sequence number.
fn packets(begin: u64, interval: u64, end: u64) -> Vec<(u64, u16)> {
    (begin..end).step_by(usize::try_from(interval).unwrap()).zip(0..).collect()
}

/// Runs `check` with packet intervals of a phone, packet intervals of a stranger that are not a flood, and the
/// offset between the two.
fn sweep(mut check: impl FnMut(u64, u64, u64)) {
    for ptime in (20_000..=60_000).step_by(10_000) {
        for interval in (5_100..=6_500).step_by(200) {
            for phase in (0..ptime).step_by(1_000) {
                check(ptime, interval, phase);
            }
        }
    }
}

#[test]
fn signalled_address_is_taken_at_once() {
    let mut now = Instant::now();
    let mut strict = StrictRtp::learning(now, PROBATION);
    strict.set_signalled(now, Some(address(1)));
    assert_eq!(stream(&mut strict, &mut now, address(1), 7, 1), Verdict::AcceptNewSource);
    assert_eq!(stream(&mut strict, &mut now, address(1), 8, 1), Verdict::Accept);
}

#[test]
fn another_address_is_taken_after_probation() {
    let mut now = Instant::now();
    let mut strict = StrictRtp::learning(now, PROBATION);
    strict.set_signalled(now, Some(address(1)));
    assert_eq!(stream(&mut strict, &mut now, address(2), 65534, 4), Verdict::Probation { remaining: 1 });
    assert_eq!(stream(&mut strict, &mut now, address(2), 2, 1), Verdict::AcceptNewSource);
    assert_eq!(strict.source(), Some(address(2)));
}

#[test]
fn probation_starts_over_after_a_gap_and_in_a_flood() {
    let mut now = Instant::now();
    let mut strict = StrictRtp::learning(now, PROBATION);
    stream(&mut strict, &mut now, address(2), 10, 4);
    assert_eq!(stream(&mut strict, &mut now, address(2), 20, 1), Verdict::Probation { remaining: 3 });
    for n in 21..60 {
        now += Duration::from_millis(1);
        assert_eq!(strict.handle_packet(now, address(2), 2, n), Verdict::Probation { remaining: 3 });
    }
}

#[test]
fn competing_streams_keep_each_other_out() {
    let mut now = Instant::now();
    let mut strict = StrictRtp::learning(now, PROBATION);
    for n in 0..200 {
        assert!(!stream(&mut strict, &mut now, address(2), n, 1).is_accepted());
        assert!(!stream(&mut strict, &mut now, address(3), n, 1).is_accepted());
    }
}

#[test]
fn after_learning_nobody_else_gets_in_until_signalling_says_so() {
    let mut now = Instant::now();
    let mut strict = StrictRtp::learning(now, PROBATION);
    strict.set_signalled(now, Some(address(1)));
    stream(&mut strict, &mut now, address(1), 0, 100);
    assert_eq!(stream(&mut strict, &mut now, address(2), 0, 100), Verdict::Drop);
    assert!(!strict.is_learning());
    strict.set_signalled(now, Some(address(1)));
    assert!(!strict.is_learning());
    strict.set_signalled(now, Some(address(5)));
    assert_eq!(stream(&mut strict, &mut now, address(1), 100, 1), Verdict::Accept);
    assert_eq!(stream(&mut strict, &mut now, address(5), 0, 1), Verdict::AcceptNewSource);
}

#[test]
fn alternative_address_is_good_for_one_learning_period() {
    let mut now = Instant::now();
    let mut strict = StrictRtp::learning(now, PROBATION);
    strict.set_signalled(now, Some(address(1)));
    stream(&mut strict, &mut now, address(1), 0, 100);
    strict.set_alternative(now, Some(address(6)));
    assert_eq!(stream(&mut strict, &mut now, address(6), 0, 1), Verdict::AcceptNewSource);
    stream(&mut strict, &mut now, address(6), 1, 100);
    assert_eq!(strict.alternative, None);
}

#[test]
fn the_signalled_address_gets_in_after_learning_and_then_nobody_else() {
    let mut now = Instant::now();
    let mut strict = StrictRtp::learning(now, PROBATION);
    strict.set_signalled(now, Some(address(1)));
    stream(&mut strict, &mut now, address(2), 0, 100);
    for n in 0..2 {
        // The phone sends two packets at a time, as some do, and the source that was heard first goes on.
        assert!(!strict.handle_packet(now, address(1), 1, 2 * n).is_accepted());
        assert_eq!(stream(&mut strict, &mut now, address(2), 100 + n, 1), Verdict::Accept);
        assert!(!strict.handle_packet(now, address(1), 1, 2 * n + 1).is_accepted());
    }
    assert_eq!(strict.handle_packet(now, address(1), 1, 4), Verdict::AcceptNewSource);
    assert_eq!(stream(&mut strict, &mut now, address(2), 102, 100), Verdict::Drop);
    assert_eq!(stream(&mut strict, &mut now, address(1), 5, 1), Verdict::Accept);
}

#[test]
fn a_direct_stream_replaces_that_of_the_server_which_goes_on_for_a_while() {
    let mut now = Instant::now();
    let mut strict = StrictRtp::learning(now, PROBATION);
    strict.set_signalled(now, Some(address(1)));
    stream(&mut strict, &mut now, address(1), 0, 100);
    strict.set_signalled(now, Some(address(5)));
    assert_eq!(stream(&mut strict, &mut now, address(1), 100, 10), Verdict::Accept);
    assert_eq!(stream(&mut strict, &mut now, address(5), 0, 1), Verdict::AcceptNewSource);
    for n in 0..100 {
        assert!(!stream(&mut strict, &mut now, address(1), 110 + n, 1).is_accepted());
        assert_eq!(stream(&mut strict, &mut now, address(5), 1 + n, 1), Verdict::Accept);
    }
}

/// The peer's new address is as unknown as its old one, so the old one's silence decides.
#[test]
fn a_phone_behind_a_nat_that_moves_is_learned_once_its_old_address_is_silent() {
    for old_goes_on in (0..=1400).step_by(20) {
        let mut call = Call::signalled(address(9));
        call.play(&packets(0, 20_000, 5_000_000), &[]);
        assert_eq!(call.strict.source(), Some(PHONE));
        call.strict.set_signalled(call.now(5_000_000), Some(address(8)));
        let moved = packets(5_000_000 + 1, 20_000, 8_000_000);
        let heard = call.play(&packets(5_000_000, 20_000, 5_000_000 + old_goes_on * 1000), &moved);
        assert_eq!(call.strict.source(), Some(STRANGER), "moved, and silent after {old_goes_on} ms");
        let lost = u64::try_from(moved.len() - heard.stranger).unwrap() * 20 - old_goes_on;
        assert!(lost <= 520, "{lost} ms lost");
    }
}

/// The phone goes on with its SSRC and its count from another address.
#[test]
fn a_phone_that_moves_while_the_source_is_learned_is_followed_after_its_probation() {
    for (ptime, silence) in [(10_000, 80_000), (20_000, 100_000), (30_000, 150_000), (60_000, 300_000)] {
        let mut call = Call::signalled(PHONE);
        call.ssrc_of_stranger = ssrc(PHONE);
        let all = packets(0, ptime, 2_400_000);
        let (before, after) = all.split_at(all.len() / 4);
        let heard = call.play(before, after);
        assert_eq!(call.strict.source(), Some(STRANGER));
        let lost = u64::try_from(after.len() - heard.stranger).unwrap() * ptime;
        assert!(lost <= silence, "{lost} µs lost of a phone with packets of {ptime} µs");
    }
}

#[test]
fn a_stranger_is_not_taken_for_a_phone_that_has_moved() {
    // It knows the SSRC and not the count, the count and not the SSRC, or neither, and the phone is silent for 400 ms.
    for (ssrc_of_stranger, ahead) in [(1, 30_000), (1, 65_000), (2, 1), (2, 30_000)] {
        let mut call = Call::signalled(PHONE);
        call.ssrc_of_stranger = ssrc_of_stranger;
        let phone = [packets(0, 20_000, 400_000), packets(800_000, 20_000, 2_000_000)].concat();
        let stranger: Vec<_> = packets(400_000, 20_000, 2_000_000)
            .into_iter()
            .map(|(at, number)| (at, number.wrapping_add(20).wrapping_add(ahead)))
            .collect();
        let heard = call.play(&phone, &stranger);
        assert_eq!((heard.phone_at_last, heard.stranger), (true, 0), "{ssrc_of_stranger} {ahead}");
    }
}

#[test]
fn a_stranger_that_knows_all_is_kept_out_while_the_phone_sends() {
    sweep(|ptime, interval, phase| {
        let mut call = Call::signalled(PHONE);
        call.ssrc_of_stranger = ssrc(PHONE);
        let phone = packets(0, ptime, 1_600_000);
        let heard = call.play(&phone, &packets(phase, interval, 1_600_000));
        assert_eq!((heard.phone_at_last, heard.stranger), (true, 0));
    });
}

#[test]
fn a_phone_whose_number_stands_still_passes_its_probation() {
    let mut now = Instant::now();
    let mut strict = StrictRtp::learning(now, PROBATION);
    let mut verdicts = (0..5).map(|_| {
        now += Duration::from_millis(20);
        strict.handle_packet(now, address(2), 2, 4711)
    });
    assert_eq!(verdicts.by_ref().take(4).filter(|verdict| verdict.is_accepted()).count(), 0);
    assert_eq!(verdicts.next(), Some(Verdict::AcceptNewSource));
}

/// All offsets between a phone and a stranger, whichever begins.
#[test]
fn a_signalled_phone_is_never_lost_to_a_stranger() {
    let (mut calls, mut lost, mut heard_beside) = (0, 0, 0);
    sweep(|ptime, interval, phase| {
        for (phone_begins, stranger_begins) in
            [(0, 0), (0, 100_000), (0, 1_400_000), (100_000, 0), (1_400_000, 0), (2_500_000, 0)]
        {
            let mut call = Call::signalled(PHONE);
            let phone = packets(phone_begins, ptime, 4_000_000);
            let heard = call.play(&phone, &packets(stranger_begins + phase, interval, 4_000_000));
            calls += 1;
            lost += u32::from(!heard.phone_at_last);
            heard_beside += u32::from(phone_begins <= stranger_begins && heard.stranger > 0);
        }
        // The phone is muted for a while, as it may be while the source is learned.
        let mut call = Call::signalled(PHONE);
        let phone = [packets(0, ptime, 200_000), packets(2_500_000, ptime, 4_000_000)].concat();
        let heard = call.play(&phone, &packets(phase, interval, 4_000_000));
        calls += 1;
        lost += u32::from(!heard.phone_at_last);
    });
    assert_eq!((lost, heard_beside), (0, 0), "lost, and a stranger heard beside it, of {calls}");
}

#[test]
fn a_phone_behind_a_nat_is_never_lost_to_a_stranger_once_it_is_known() {
    let (mut calls, mut lost, mut heard_beside) = (0, 0, 0);
    sweep(|ptime, interval, phase| {
        for renewed_at in [None, Some(4_000_000)] {
            let mut call = Call::signalled(address(9));
            let known = ptime * 5;
            call.play(&packets(0, ptime, known), &[]);
            if let Some(at) = renewed_at {
                call.play(&packets(known, ptime, at), &packets(known + phase, interval, at));
                // A re-INVITE for a session timer or after hold signals the address that was signalled before.
                call.strict.set_signalled(call.now(at), Some(address(9)));
                assert!(call.strict.is_learning());
            }
            let begin = renewed_at.unwrap_or(known);
            let end = begin + 3_000_000;
            let heard = call.play(&packets(begin, ptime, end), &packets(begin + phase, interval, end));
            calls += 1;
            lost += u32::from(!heard.phone_at_last);
            heard_beside += u32::from(heard.stranger > 0);
        }
    });
    assert_eq!((lost, heard_beside), (0, 0), "lost, and a stranger heard beside it, of {calls}");
}

#[test]
fn open_takes_everything() {
    let now = Instant::now();
    let mut strict = StrictRtp::open();
    strict.set_signalled(now, Some(address(1)));
    assert_eq!(strict.handle_packet(now, address(9), 9, 1), Verdict::Accept);
    assert!(strict.is_open());
}

#[test]
fn media_follows_its_source_only_with_nat() {
    let mut target = SymmetricRtp::new();
    target.set_signalled(Some(address(1)));
    assert!(!target.handle_rtp(address(2)));
    target.set_follow(true);
    assert!(target.handle_rtp(address(2)));
    assert!(!target.handle_rtp(address(2)));
    assert_eq!(target.rtp(), Some(address(2)));
    assert_eq!(target.rtcp(), Some(SocketAddr::from(([192, 0, 2, 2], 4001))));
    assert!(target.handle_rtcp(address(3)));
    assert_eq!((target.rtp(), target.rtcp()), (Some(address(2)), Some(address(3))));
}

proptest! {
    #[test]
    fn an_unsignalled_stream_needs_all_of_its_probation(probation in 1u32..20, first: u16) {
        let mut now = Instant::now();
        let mut strict = StrictRtp::learning(now, probation);
        let mut packets = 0u32;
        loop {
            packets += 1;
            let sequence_number = first.wrapping_add(u16::try_from(packets).unwrap());
            if stream(&mut strict, &mut now, address(2), sequence_number, 1).is_accepted() {
                break;
            }
        }
        prop_assert_eq!(packets, probation + 1);
    }
}
