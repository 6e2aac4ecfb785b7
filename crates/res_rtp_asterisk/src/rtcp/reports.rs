//! Sender and receiver reports (RFC 3550 §6.4): sends ours at random intervals and evaluates the peer's.
//!
//! The transport knows their route (`transport/send.rs`).

use std::time::{Duration, Instant};

use asterisk::rtp::{Figures, TELLS_REPORTS_ABOUT_NOBODY};
use exposition::Histogram;
use rtp::pictures::Wanted;
use rtp::quality::media_experience_score;
use rtp::rtcp::interval::ReportTimer;
use rtp::rtcp::{Goodbye, NtpTimestamp, Pace, Packet, Report, ReportBlock, ReportBlocks, SenderInfo};
use rtp::statistics::{Accumulator, ReceiverStatistics, RoundTrip, SenderStatistics};

use super::events;
use super::feedback::Requests;
use crate::console::debug::{self, Destination};
use crate::console::known;
use crate::metrics::kept;
use crate::notes::Note;

/// The RTCP state of a session: report timer, CNAME, BYE, picture requests and scores.
pub struct Rtcp {
    schedule: ReportTimer,
    goodbye: Goodbye,
    /// Whether a report has been sent.
    has_reported: bool,
    pictures: Wanted,
    requests: Requests,
    events: Pace,
    scores: Scores,
    cname: String,
    figures: Figures,
    /// The session is a part of the self-test: nothing is counted, and no manager is told.
    is_trial: bool,
}

/// The result of a report of the peer.
#[derive(Debug, Default)]
pub struct Heard {
    /// Whether its sender is the SSRC that we receive media from.
    pub is_from_source: bool,
    /// The figures that it gives.
    pub figures: events::Heard,
}

/// Media experience scores, for the host's statistics.
#[derive(Debug, Default)]
pub struct Scores {
    /// Scores of the stream that we receive, one per report that we send.
    pub here: Accumulator,
    /// Scores of the stream that the peer receives, one per report of the peer.
    pub there: Accumulator,
}

/// The two streams that reports are about.
pub struct Streams<'a> {
    /// Statistics of the stream that we receive.
    pub receiver: &'a mut ReceiverStatistics,
    /// Statistics of the stream that we send.
    pub sender: &'a mut SenderStatistics,
}

/// Whether a report ends the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A report that is due.
    Regular,
    /// The last report, with a BYE (RFC 3550 §6.6).
    Last,
}

impl Rtcp {
    /// Creates the RTCP state with a random CNAME. `interval` is the average time between two reports; none is due before
    /// [`Self::start`]. Manager events tell their `figures` so.
    pub fn new(interval: Duration, figures: Figures) -> Self {
        let mut name = [0; 8];
        asterisk::random::fill(&mut name);
        Self {
            schedule: ReportTimer::new(interval),
            goodbye: Goodbye::default(),
            has_reported: false,
            pictures: Wanted::default(),
            requests: Requests::default(),
            events: Pace::default(),
            scores: Scores::default(),
            // A random, short-term persistent CNAME tells nothing about this machine (RFC 7022 §4.2).
            cname: format!("{:016x}", u64::from_be_bytes(name)),
            figures,
            is_trial: false,
        }
    }

    /// Notes that the session is a part of the self-test, and no call.
    pub fn note_trial(&mut self) {
        self.is_trial = true;
    }

    /// Sets the CNAME to that of the session whose transport carries this one (RFC 8834 §4.9).
    pub fn set_cname(&mut self, cname: String) {
        self.cname = cname;
    }

    /// Returns our CNAME (RFC 3550 §6.5.1).
    pub fn cname(&self) -> &str {
        &self.cname
    }

    /// Returns the media experience scores so far.
    pub fn scores(&self) -> &Scores {
        &self.scores
    }

    /// Returns whether the peer needs a whole picture of our stream, to change it.
    pub fn pictures_mut(&mut self) -> &mut Wanted {
        &mut self.pictures
    }

    /// Returns the state of our own picture requests, and our CNAME.
    pub fn requests_mut(&mut self) -> (&mut Requests, &str) {
        (&mut self.requests, &self.cname)
    }

    /// Starts the report timer: the stream begins, or goes on after an end.
    pub fn start(&mut self, now: Instant) {
        self.goodbye.handle_return();
        self.schedule.start(now, asterisk::random::u32());
    }

    /// Stops the report timer.
    pub fn stop(&mut self) {
        self.schedule.stop();
    }

    /// Returns whether the report timer runs.
    pub fn is_running(&self) -> bool {
        self.schedule.is_running()
    }

    /// Returns when the next report or a picture request is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.poll_timeout().into_iter().chain(self.requests.poll_timeout()).min()
    }

    /// Returns whether a report is due, and restarts the timer if so.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        self.schedule.handle_timeout(now, asterisk::random::u32)
    }

    /// Stops the report timer, and returns true, once, when the end of our stream needs a BYE. `has_sent`: we have sent media.
    pub fn say_goodbye(&mut self, has_sent: bool) -> bool {
        self.schedule.stop();
        self.goodbye.take(has_sent || self.has_reported)
    }

    /// Writes a report and passes the compound packet to `send`, which returns whether it was sent. Returns the same, or `None` if
    /// the report could not be written. Debug lines and manager events go to `notes`.
    pub fn send(
        &mut self,
        now: Instant,
        kind: Kind,
        streams: Streams<'_>,
        to: Destination,
        send: impl FnOnce(&mut [u8]) -> bool,
        notes: &mut Vec<Note>,
    ) -> Option<bool> {
        let Streams { receiver, sender } = streams;
        let time_of_day = asterisk::time::wall();
        let info =
            sender.has_sent_since_report().then(|| sender.sender_info(now, NtpTimestamp::from_unix(time_of_day)));
        let block: Option<ReportBlock> = receiver.report_block(now);
        if let Some(block) = &block {
            self.observe(&kept::OUR_JITTER, receiver.jitter().as_secs_f64());
            self.observe(&kept::OUR_LOSS, ratio(block.fraction_lost));
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
        self.has_reported |= sent;
        if sent {
            let told = events::sent(to, &report, receiver.jitter(), self.scores.here.last());
            if debug::RTCP.wants(to.to) {
                notes.push(Note::Verbose(told.lines()));
            }
            notes.extend((!self.is_trial).then_some(Note::Report(told)));
        } else {
            let what = if info.is_some() { "RTCP SR transmission error" } else { "RTCP RR transmission error" };
            notes.extend(known::not_sent(what, to.to));
        }
        Some(sent)
    }

    /// Evaluates a sender or receiver report of the peer. Manager events go to `notes`.
    pub fn handle(
        &mut self,
        now: Instant,
        from: events::Source,
        packet: &Packet<'_>,
        streams: Streams<'_>,
        notes: &mut Vec<Note>,
    ) -> Heard {
        let Streams { receiver, sender } = streams;
        let (ssrc, info, blocks) = match packet {
            Packet::SenderReport(report) => {
                receiver.handle_sender_report(now, report.ssrc, report.info.ntp);
                (report.ssrc, Some(report.info), &report.blocks)
            }
            Packet::ReceiverReport(report) => (report.ssrc, None, &report.blocks),
            _ => return Heard::default(),
        };
        let is_from_source = receiver.ssrc() == Some(ssrc);
        let figures = self.handle_blocks(now, from, (ssrc, info), blocks, (sender, is_from_source), notes);
        Heard { is_from_source, figures }
    }

    fn handle_blocks(
        &mut self,
        now: Instant,
        from: events::Source,
        (ssrc, info): (u32, Option<SenderInfo>),
        blocks: &ReportBlocks<'_>,
        (sender, is_from_source): (&mut SenderStatistics, bool),
        notes: &mut Vec<Note>,
    ) -> events::Heard {
        let mut heard = events::Heard { figures: self.figures, ..events::Heard::default() };
        let mut is_about_us = false;
        for block in blocks.iter() {
            let round_trip = match sender.handle_report(now, &block) {
                RoundTrip::NotOurs => continue,
                RoundTrip::Unknown => None,
                RoundTrip::Measured(time) => Some(time),
            };
            is_about_us = true;
            self.observe(&kept::THEIR_LOSS, ratio(block.fraction_lost));
            if let Some(round_trip) = round_trip {
                self.observe(&kept::ROUND_TRIP, round_trip.as_secs_f64());
            }
            let remote = sender.remote();
            self.scores.there.add(media_experience_score(remote.round_trip.mean(), remote.lost.mean()));
            self.observe(&kept::THEIR_JITTER, remote.jitter.last());
            let jitter = Duration::try_from_secs_f64(remote.jitter.last()).unwrap_or_default();
            heard = events::Heard { round_trip, jitter, score: self.scores.there.last(), figures: self.figures };
            self.tell_received(now, from, (ssrc, info), (blocks.len(), Some(block)), heard, notes);
        }
        if TELLS_REPORTS_ABOUT_NOBODY && is_from_source && !is_about_us {
            self.tell_received(now, from, (ssrc, info), (blocks.len(), None), heard, notes);
        }
        heard
    }

    /// Makes a manager event of a report, or of one of its blocks.
    fn tell_received(
        &mut self,
        now: Instant,
        from: events::Source,
        (ssrc, info): (u32, Option<SenderInfo>),
        about: (usize, Option<ReportBlock>),
        heard: events::Heard,
        notes: &mut Vec<Note>,
    ) {
        if !self.is_trial && self.events.allows(now, EVENT_PACE) {
            notes.push(Note::Report(events::received(from, heard, ssrc, info, about)));
        }
    }

    fn observe<const N: usize>(&self, histogram: &Histogram<N>, value: f64) {
        if !self.is_trial {
            histogram.observe(value);
        }
    }
}

/// Converts a fraction in 256ths (RFC 3550 §6.4.1).
fn ratio(fraction_lost: u8) -> f64 {
    f64::from(fraction_lost) / 256.0
}

/// Shortest time between two manager events about the peer's reports, so that a flood of reports cannot flood the manager.
const EVENT_PACE: Duration = Duration::from_millis(100);

/// Buffer size in octets for a compound packet: a report with one block, the CNAME and a BYE, and what SRTCP adds.
pub const LARGEST_REPORT: usize = 1500;
