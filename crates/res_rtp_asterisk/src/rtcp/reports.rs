//! Sender and receiver reports (RFC 3550 §6.4): ours at their interval, and what the peer's say.
//!
//! Where they go is the transport's to know.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtp::quality::media_experience_score;
use rtp::rtcp::interval::{ReportTimer, Spacing};
use rtp::rtcp::{Goodbye, NtpTimestamp, Pace, Packet, Report, ReportBlock, ReportBlocks, SenderInfo};
use rtp::statistics::{Accumulator, ReceiverStatistics, RoundTrip, SenderStatistics};

use super::events;
use super::feedback::{Pictures, Requests};
use crate::console::debug;
use crate::notes::Note;

/// Reports of a session.
pub struct Rtcp {
    schedule: ReportTimer,
    goodbye: Goodbye,
    pictures: Pictures,
    requests: Requests,
    events: Pace,
    scores: Scores,
    cname: String,
}

/// Media experience scores, which the host's statistics have.
#[derive(Debug, Default)]
pub struct Scores {
    /// Scores of the received stream, one for each report of ours.
    pub here: Accumulator,
    /// Scores of the sent stream, one for each report of the peer.
    pub there: Accumulator,
}

/// The two streams that reports are about.
pub struct Streams<'a> {
    /// Statistics of what we receive.
    pub receiver: &'a mut ReceiverStatistics,
    /// Statistics of what we send.
    pub sender: &'a mut SenderStatistics,
}

/// The place of a report in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A report at its interval.
    Regular,
    /// The last, with a BYE.
    Last,
}

impl Rtcp {
    /// Makes the reports of a session; none is due before [`Self::start`].
    pub fn new(interval: Duration) -> Self {
        let mut name = [0; 8];
        asterisk::random::fill(&mut name);
        Self {
            schedule: ReportTimer::new(interval, Spacing::Fixed),
            goodbye: Goodbye::default(),
            pictures: Pictures::default(),
            requests: Requests::default(),
            events: Pace::default(),
            scores: Scores::default(),
            // RFC 7022 §4.2: short-term persistent, random, no more than that about us.
            cname: format!("{:016x}", u64::from_be_bytes(name)),
        }
    }

    /// Takes the name of the session whose transport carries this one (RFC 8834 §4.9).
    pub fn set_cname(&mut self, cname: String) {
        self.cname = cname;
    }

    /// Returns our name in reports (CNAME).
    pub fn cname(&self) -> &str {
        &self.cname
    }

    /// Returns the scores so far.
    pub fn scores(&self) -> &Scores {
        &self.scores
    }

    /// Returns requests of the peer for pictures of our stream, to take them.
    pub fn pictures_mut(&mut self) -> &mut Pictures {
        &mut self.pictures
    }

    /// Returns our own requests and our name.
    pub fn requests_mut(&mut self) -> (&mut Requests, &str) {
        (&mut self.requests, &self.cname)
    }

    /// Begins to report.
    pub fn start(&mut self, now: Instant) {
        self.schedule.start(now, asterisk::random::u32());
    }

    /// Ends reporting.
    pub fn stop(&mut self) {
        self.schedule.stop();
    }

    /// Returns whether reports are made.
    pub fn is_running(&self) -> bool {
        self.schedule.is_running()
    }

    /// Returns when the next report is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.poll_timeout()
    }

    /// Returns whether a report is due.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        self.schedule.poll_timeout().is_some_and(|due| due <= now)
            && self.schedule.handle_timeout(now, asterisk::random::u32())
    }

    /// Returns whether the peer is to be told that our stream ends, once.
    pub fn say_goodbye(&mut self, has_sent: bool) -> bool {
        self.goodbye.take(has_sent)
    }

    /// Writes a report and hands the compound packet to `send`; returns what that returns. Log lines and manager events go to
    /// `notes`.
    pub fn send(
        &mut self,
        now: Instant,
        kind: Kind,
        streams: Streams<'_>,
        to: SocketAddr,
        send: impl FnOnce(&mut [u8]) -> bool,
        notes: &mut Vec<Note>,
    ) -> Option<bool> {
        let Streams { receiver, sender } = streams;
        let time_of_day = asterisk::time::wall();
        let info =
            sender.has_sent_since_report().then(|| sender.sender_info(now, NtpTimestamp::from_unix(time_of_day)));
        let block: Option<ReportBlock> = receiver.report_block(now);
        if block.is_some() {
            let (round_trip, lost) = (&sender.remote().round_trip, receiver.loss_statistics());
            self.scores.here.add(media_experience_score(round_trip.mean(), lost.mean()));
        }
        let report = Report {
            ssrc: sender.ssrc(),
            sender: info,
            blocks: block.as_slice(),
            cname: &self.cname,
            bye: kind == Kind::Last,
        };
        let mut buffer = [0; LARGEST_REPORT];
        let len = report.write(&mut buffer).ok()?;
        let sent = send(buffer.get_mut(..len)?);
        if sent {
            if debug::RTCP.wants(to) {
                notes.push(events::sent(to, &report, receiver.jitter()));
            }
            notes.push(events::sent_report(to, &report, receiver.jitter()));
        }
        Some(sent)
    }

    /// Takes what a packet says of the stream that we receive, and of ours. Returns whether it is from the source of the one.
    pub fn handle(
        &mut self,
        now: Instant,
        from: SocketAddr,
        packet: &Packet<'_>,
        streams: Streams<'_>,
        notes: &mut Vec<Note>,
    ) -> bool {
        let Streams { receiver, sender } = streams;
        match packet {
            Packet::SenderReport(report) => {
                receiver.handle_sender_report(now, report.ssrc, report.info.ntp);
                self.handle_blocks(now, from, (report.ssrc, Some(report.info)), &report.blocks, sender, notes);
                receiver.ssrc() == Some(report.ssrc)
            }
            Packet::ReceiverReport(report) => {
                self.handle_blocks(now, from, (report.ssrc, None), &report.blocks, sender, notes);
                receiver.ssrc() == Some(report.ssrc)
            }
            _ => false,
        }
    }

    fn handle_blocks(
        &mut self,
        now: Instant,
        from: SocketAddr,
        (ssrc, info): (u32, Option<SenderInfo>),
        blocks: &ReportBlocks<'_>,
        sender: &mut SenderStatistics,
        notes: &mut Vec<Note>,
    ) {
        let count = blocks.len();
        for block in blocks.iter() {
            let round_trip = match sender.handle_report(now, &block) {
                RoundTrip::NotOurs => continue,
                RoundTrip::Unknown => None,
                RoundTrip::Measured(time) => Some(time),
            };
            let remote = sender.remote();
            self.scores.there.add(media_experience_score(remote.round_trip.mean(), remote.lost.mean()));
            if self.events.allows(now, EVENT_PACE) {
                notes.push(events::received_report(from, ssrc, info, count, &block, round_trip));
            }
        }
    }
}

/// A report is an event on the manager interface; nobody reports more often in earnest.
const EVENT_PACE: Duration = Duration::from_millis(100);

/// Room for a report of one block, its name and a goodbye, and what SRTCP adds.
pub const LARGEST_REPORT: usize = 1500;
