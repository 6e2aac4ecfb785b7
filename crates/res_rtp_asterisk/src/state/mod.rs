//! A session under its one lock: the parts, put together. Each part decides for itself; here packets, time and the host's wishes
//! are passed from one to another.
//!
//! The way in is [`receive`], the way out [`send`]; [`show`] is for people.

pub mod receive;
mod send;
mod show;

use std::sync::Arc;
use std::time::Instant;

use asterisk::pollable::AlwaysReadable;
use asterisk::rtp::{DtmfMode, InstancePtr};
use rtp::statistics::ReceiverStatistics;

use crate::bundle::Bundle;
use crate::clock;
use crate::config::Settings;
use crate::diagnosis::counters::{Counters, Refused};
use crate::media::clock_rates::ClockRates;
use crate::media::source::Source;
use crate::notes::Note;
use crate::rtcp::reports::{Kind, Rtcp};
use crate::transport::Transport;
use crate::transport::sockets::Pair;
use crate::transport::watch;

/// Everything about a session except what belongs to the reading and the writing thread alone.
pub struct State {
    /// As `rtp.conf` was when the session began.
    settings: Arc<Settings>,
    transport: Transport,
    bundle: Bundle,
    /// Our stream.
    source: Source,
    /// Statistics of the stream that we receive.
    receiver: ReceiverStatistics,
    /// Clock rates of payload types, as far as the reading thread has looked them up.
    clock_rates: ClockRates,
    rtcp: Rtcp,
    counters: Counters,
    /// Lines and events for the host, to be told when the lock is open again.
    notes: Vec<Note>,
    /// How digits travel, as the host says.
    dtmf_mode: DtmfMode,
    /// The earliest deadline that the worker thread knows of.
    armed: Option<Instant>,
    /// The origin of the grid that deadlines of all sessions fall on.
    grid: Instant,
}

impl State {
    /// Makes the state of a session whose peer is not known yet. `grid` is the same moment for all sessions.
    pub fn new(
        instance: InstancePtr,
        settings: Arc<Settings>,
        sockets: Pair,
        always: Arc<AlwaysReadable>,
        grid: Instant,
    ) -> Self {
        Self {
            transport: Transport::new(clock::now(), instance, &settings, sockets, always),
            bundle: Bundle::default(),
            source: Source::new(),
            receiver: ReceiverStatistics::new(0),
            clock_rates: ClockRates::default(),
            rtcp: Rtcp::new(settings.rtcp_interval),
            counters: Counters::default(),
            notes: Vec::new(),
            dtmf_mode: DtmfMode::None,
            armed: None,
            grid,
            settings,
        }
    }

    /// Returns the transport of this session. It is silent while another session's carries the stream.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Returns the transport of this session, to change it.
    pub fn transport_mut(&mut self) -> &mut Transport {
        &mut self.transport
    }

    /// Returns the sessions that share a transport with this one.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Returns the sessions that share a transport with this one, to change them.
    pub fn bundle_mut(&mut self) -> &mut Bundle {
        &mut self.bundle
    }

    /// Returns our stream.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns our stream, to change it.
    pub fn source_mut(&mut self) -> &mut Source {
        &mut self.source
    }

    /// Returns the statistics of the stream that we receive.
    pub fn receiver(&self) -> &ReceiverStatistics {
        &self.receiver
    }

    /// Returns the reports.
    pub fn rtcp(&self) -> &Rtcp {
        &self.rtcp
    }

    /// Returns how digits travel, as the host says.
    pub fn dtmf_mode(&self) -> DtmfMode {
        self.dtmf_mode
    }

    /// Sets how digits travel.
    pub fn set_dtmf_mode(&mut self, mode: DtmfMode) {
        self.dtmf_mode = mode;
    }

    /// Returns whether the host's instance lives: `end` has not been called.
    pub fn is_live(&self) -> bool {
        self.transport.instance().is_some()
    }

    /// Counts a refusal.
    pub fn refuse(&mut self, reason: Refused) {
        self.counters.add(reason);
    }

    /// Returns lines and events for the host, to add to them.
    pub fn notes_mut(&mut self) -> &mut Vec<Note> {
        &mut self.notes
    }

    /// Returns what is to be told to the host, once.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Drives ICE and DTLS after any input, and keys bundled sources as well when there are new keys.
    pub fn drive(&mut self, now: Instant) {
        if self.transport.drive(now, self.source.ssrc(), &mut self.notes) {
            let ssrcs = self.bundle.ssrcs();
            ssrcs.into_iter().for_each(|ssrc| self.key_bundled(ssrc));
        }
    }

    /// Keys a source of a session that is bundled with this one.
    pub fn key_bundled(&mut self, ssrc: u32) {
        if !self.transport.key_source(ssrc) {
            let text = format!("the SRTP module does not take keys for source {ssrc}, which is bundled with this one");
            self.notes.push(self.transport.warning(&text));
        }
    }

    /// Lets time pass for everything that has a clock: the worker thread's part.
    pub fn handle_timeout(&mut self, now: Instant) {
        // The worker thread knows of no deadline now.
        self.armed = None;
        if !self.is_live() {
            return;
        }
        if self.transport.handle_timeout(now) {
            self.drive(now);
        }
        if self.transport.handle_keys_timeout(now) {
            self.notes.push(self.overdue_warning(now));
        }
        if !self.transport.is_keyed_by_host() {
            self.handle_media_timeout(now);
        }
    }

    /// Lets time pass for what is sent under the keys of media: reports and digits.
    fn handle_media_timeout(&mut self, now: Instant) {
        if self.rtcp.handle_timeout(now) {
            self.send_report(now, Kind::Regular);
        }
        self.source.digits_mut().handle_timeout(now);
        self.flush_digits(now);
    }

    /// Does for the channel's thread, which is here, what the worker thread may not do.
    fn handle_visit(&mut self, now: Instant) {
        if self.transport.is_keyed_by_host() {
            self.handle_media_timeout(now);
        }
    }

    /// Returns the next deadline, if the worker thread does not know one as early.
    pub fn rearm(&mut self, now: Instant) -> Option<Instant> {
        let watch = self.transport.watch_mut().poll_timeout();
        let watch = watch.map(|deadline| watch::on_grid(self.grid, now, deadline));
        self.transport.watch_keys(now);
        let media = match self.transport.is_keyed_by_host() {
            true => [None; 2],
            false => [self.rtcp.poll_timeout(), self.source.digits().poll_timeout()],
        };
        let next = [self.transport.poll_timeout(), watch].into_iter().chain(media);
        // A deadline that has passed is served at once, but not at this very moment for ever.
        let next = next.flatten().min()?.max(now);
        if !self.is_live() || self.armed.is_some_and(|armed| armed <= next) {
            return None;
        }
        self.armed = Some(next);
        Some(next)
    }

    /// Falls silent: the parent's transport carries the stream from now on, under its name.
    pub fn give_up_transport(&mut self, cname: String) {
        self.transport.give_up();
        self.rtcp.set_cname(cname);
    }

    /// Carries the stream over the session's own transport again.
    pub fn take_up_transport(&mut self) {
        if self.bundle.take_up_transport() {
            self.transport.take_up(&self.settings);
        }
    }

    /// The instance is going: the peer is told as far as it can be, and nothing reaches for the instance any more.
    pub fn end(&mut self) {
        let now = clock::now();
        if self.rtcp.say_goodbye(self.source.statistics().packets() > 0) {
            self.send_report(now, Kind::Last);
        }
        let refusals = self.shown(now).refusals();
        if !refusals.is_empty() {
            self.notes.push(Note::debug(1, format!("RTP session refused: {refusals}")));
        }
        self.transport.end();
    }
}
