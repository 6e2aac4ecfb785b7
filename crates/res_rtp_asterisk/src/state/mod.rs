//! The part of a session behind its `state` lock. This module makes no protocol decisions: it passes packets, timeouts and host
//! calls on to the transport, the media source, RTCP and the bundle.
//!
//! [`receive`] handles received datagrams, [`bridged`] passes those of a native bridge on, [`carried`] receives
//! them for its threads, [`send`] sends packets, [`text`] sends text
//! with redundancy, [`pictures`] asks for whole pictures, and [`show`] collects the facts for `rtp show sessions`.

pub mod bridged;
pub mod carried;
mod pictures;
pub mod receive;
mod send;
mod show;
mod story;
mod text;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::story::Event;
use asterisk::limit::RateLimit;
use asterisk::pollable::AlwaysReadable;
use asterisk::rtp::{DtmfMode, HAS_ASYMMETRIC_FORMATS, InstancePtr};
use rtp::statistics::ReceiverStatistics;

use crate::bundle::Bundle;
use crate::clock;
use crate::config::Settings;
use crate::diagnosis::counters::{Counters, Refused, is_worth_a_line};
use crate::diagnosis::gone::Due;
use crate::media::clock_rates::ClockRates;
use crate::media::source::Source;
use crate::media::text::Redundancy;
use crate::metrics::totals;
use crate::notes::Note;
use crate::rtcp::reports::{Kind, Rtcp};
use crate::transport::Transport;
use crate::transport::sockets::Pair;
use crate::transport::watch;

/// Limits the warnings about refused packets, of all sessions.
static REFUSALS: RateLimit = RateLimit::new(Duration::from_secs(10), 1);

/// Everything about a session, except the parts that only the reading or the writing thread needs.
pub struct State {
    /// The settings of `rtp.conf` at the time the session began.
    settings: Arc<Settings>,
    transport: Transport,
    bundle: Bundle,
    /// The stream that we send.
    source: Source,
    /// Text with redundancy, if a description asks for it.
    redundancy: Option<Redundancy>,
    has_warned_of_text: bool,
    /// Statistics of the stream that we receive.
    receiver: ReceiverStatistics,
    /// Clock rates of the payload types that the reading thread has looked up so far.
    clock_rates: ClockRates,
    /// The payload type of the media that the peer sent last.
    heard_type: Option<u8>,
    /// The address that media was last heard or refused from, as far as that was noted.
    heard_from: Option<SocketAddr>,
    /// The payload type of the media that we sent last.
    sent_type: Option<u8>,
    rtcp: Rtcp,
    counters: Counters,
    /// Log lines and events that the host gets after the state is unlocked.
    notes: Vec<Note>,
    /// Whether the G.719 of the call is Opus (`media/carried.rs`).
    has_opus: bool,
    /// Whether received packets are passed on to another session (`media/native.rs`).
    is_bridged: bool,
    /// Whether the peer may be sent another format than the one that it sends. The host's drivers say so before there is media.
    allows_asymmetric: bool,
    /// How the host wants digits to be sent.
    dtmf_mode: DtmfMode,
    /// The earliest deadline that the worker thread has been given.
    armed: Option<Instant>,
    /// Origin of the grid that timers of all sessions are aligned to.
    grid: Instant,
}

impl State {
    /// Creates the state of a session whose peer is not known yet. `grid` must be the same for all sessions.
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
            redundancy: None,
            has_warned_of_text: false,
            receiver: ReceiverStatistics::new(0),
            clock_rates: ClockRates::default(),
            heard_type: None,
            heard_from: None,
            sent_type: None,
            rtcp: Rtcp::new(settings.rtcp_interval, settings.figures),
            counters: Counters::default(),
            notes: Vec::new(),
            has_opus: false,
            is_bridged: false,
            allows_asymmetric: !HAS_ASYMMETRIC_FORMATS,
            dtmf_mode: DtmfMode::None,
            armed: None,
            grid,
            settings,
        }
    }

    /// Notes that the session is a part of the self-test, and no call: managers, captures and metrics are not told of it.
    pub fn note_trial(&mut self) {
        self.transport.note_trial();
        self.rtcp.note_trial();
    }

    /// Returns whether the session is a part of the self-test.
    pub fn is_trial(&self) -> bool {
        self.transport.is_trial()
    }

    /// Notes that the G.719 of the call is Opus.
    pub fn note_opus(&mut self) {
        self.has_opus = true;
    }

    /// Sets whether the peer may be sent another format than the one that it sends.
    pub fn set_allows_asymmetric(&mut self, is_allowed: bool) {
        self.allows_asymmetric = is_allowed;
    }

    /// Returns the settings of `rtp.conf` at the time the session began.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns this session's own transport. It is unused while a parent's transport carries the stream.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Returns this session's own transport, to change it.
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

    /// Returns the stream that we send.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the stream that we send, to change it.
    pub fn source_mut(&mut self) -> &mut Source {
        &mut self.source
    }

    /// Changes the SSRC of our stream. A decoder of video at the peer begins anew, and needs a whole picture. Returns the old SSRC and
    /// the new one; `None` if it stays.
    pub fn change_ssrc(&mut self, now: Instant) -> Option<(u32, u32)> {
        let changed = self.source.change_ssrc()?;
        self.rtcp.pictures_mut().handle_interruption(now);
        if let Some(redundancy) = &mut self.redundancy {
            redundancy.sender.change_source();
        }
        Some(changed)
    }

    /// Returns the statistics of the stream that we receive.
    pub fn receiver(&self) -> &ReceiverStatistics {
        &self.receiver
    }

    /// Returns the RTCP side of the session.
    pub fn rtcp(&self) -> &Rtcp {
        &self.rtcp
    }

    /// Returns how the host wants digits to be sent.
    pub fn dtmf_mode(&self) -> DtmfMode {
        self.dtmf_mode
    }

    /// Sets how digits are sent.
    pub fn set_dtmf_mode(&mut self, mode: DtmfMode) {
        self.dtmf_mode = mode;
    }

    /// Returns whether the host's instance is alive: [`Self::end`] has not been called.
    pub fn is_live(&self) -> bool {
        self.transport.instance().is_some()
    }

    /// Returns the counts of refused packets by reason; only those above zero.
    pub fn refused(&self) -> impl Iterator<Item = (Refused, u64)> + '_ {
        self.counters.all()
    }

    /// Counts a refused packet.
    pub fn refuse(&mut self, reason: Refused) {
        self.count_refused(reason);
    }

    /// Counts a refused packet, and notes the first one of its reason. Returns how many there are.
    fn count_refused(&mut self, reason: Refused) -> u64 {
        let count = self.counters.add(reason);
        if count == 1 {
            self.transport.story_mut().note_here(clock::now(), Event::Refused(reason as u8));
        }
        count
    }

    /// Counts a packet from `from` that was refused. Now and then there is a line that names the call and the address.
    fn refuse_from(&mut self, from: SocketAddr, reason: Refused) {
        let count = self.count_refused(reason);
        if reason == Refused::Source && self.heard_type.is_none() {
            self.heard_from = Some(from);
        }
        if !is_worth_a_line(count) {
            return;
        }
        let (text, reason_name) = (format!("{count} packets refused, the last from {from}"), reason.name());
        let text = self.transport.about_the_call(&format!("{text}: {reason_name}"));
        // The SSRC and libsrtp's reason are in the SRTP module's own line, which knows no address.
        let is_warning = reason == Refused::Srtp && REFUSALS.allow().is_some();
        self.notes.push(if is_warning { Note::Warning(text) } else { Note::debug(1, text) });
    }

    /// Returns the collected log lines and events, to add to them.
    pub fn notes_mut(&mut self) -> &mut Vec<Note> {
        &mut self.notes
    }

    /// Takes the collected log lines and events out, for the host.
    pub fn take_notes(&mut self) -> Vec<Note> {
        let mut notes = self.transport.remote_mut().take_notes();
        if notes.is_empty() {
            return std::mem::take(&mut self.notes);
        }
        notes.append(&mut self.notes);
        notes
    }

    /// Sets the address of the peer's description. Returns whether checks may begin.
    pub fn set_address(&mut self, now: Instant, address: SocketAddr) -> bool {
        // A description comes with a hold, with its end, or with another address.
        self.rtcp.pictures_mut().handle_interruption(now);
        self.transport.set_address(now, address, &self.settings)
    }

    /// Drives ICE and DTLS after any input. New DTLS keys are also installed for the bundled sessions' sources.
    pub fn drive(&mut self, now: Instant) {
        if self.transport.drive(now, self.source.ssrc(), &mut self.notes) {
            let ssrcs = self.bundle.ssrcs();
            ssrcs.into_iter().for_each(|ssrc| self.key_bundled(ssrc));
        }
        if self.transport.has_dtls() {
            // This may be a host thread that reads, see `Engine::read`.
            dtls_srtp::thread_stop();
        }
    }

    /// Installs SRTP keys for the SSRC of a bundled session. Logs a warning when the SRTP module refuses them.
    pub fn key_bundled(&mut self, ssrc: u32) {
        if !self.transport.key_source(ssrc) {
            let text = format!("the SRTP module refuses keys for SSRC {ssrc}, which is bundled with this session");
            self.notes.push(self.transport.warning(&text));
        }
    }

    /// Runs every timer that is due. Called by the worker thread.
    pub fn handle_timeout(&mut self, now: Instant) {
        // The worker thread has used up its deadline.
        self.armed = None;
        if !self.is_live() {
            return;
        }
        if self.transport.handle_timeout(now) {
            self.drive(now);
        }
        self.drive_relay(now);
        if self.transport.handle_keys_timeout(now) {
            self.notes.push(self.overdue_warning(now));
        }
        self.handle_gone_timeout(now);
        if !self.transport.is_keyed_by_host() {
            self.handle_media_timeout(now);
        }
    }

    /// Runs the timers of the relayed address. Notes that it is lost, and has ICE use another pair.
    pub(super) fn drive_relay(&mut self, now: Instant) {
        if let Some(trouble) = self.transport.drive_relay(now) {
            let text = self.transport.about_the_call(&format!("TURN: the relayed address is lost: {trouble}"));
            self.notes.push(Note::debug(1, text));
            self.drive(now);
        }
    }

    /// Tells that the peer is gone, and has the call ended, if either is due.
    fn handle_gone_timeout(&mut self, now: Instant) {
        let patience = self.patience();
        if self.transport.gone().is_none() {
            return;
        }
        let Due { tell, end } = self.transport.gone_mut().handle_timeout(now, patience);
        if tell && let Some(shown) = self.shown_gone(now) {
            self.notes.push(self.transport.warning(&shown.to_string()));
        }
        if end {
            self.notes.push(Note::PeerGone);
        }
    }

    /// Runs the timers of RTCP reports and digits, which are sent with the media's SRTP keys.
    fn handle_media_timeout(&mut self, now: Instant) {
        if self.transport.is_silent() {
            return;
        }
        if self.rtcp.handle_timeout(now) {
            self.send_report(now, Kind::Regular);
            self.transport.steps_mut().handle_first_packet(self.receiver.first_packet());
        }
        self.handle_request_timeout(now);
        self.source.digits_mut().handle_timeout(now);
        self.flush_digits(now);
        self.send_text(now);
    }

    /// Runs media timers on the channel's thread if the worker thread must not use the SRTP keys
    /// (see [`Transport::is_keyed_by_host`]).
    fn handle_visit(&mut self, now: Instant) {
        if self.transport.is_keyed_by_host() {
            self.handle_media_timeout(now);
        }
    }

    /// Returns the next deadline, unless the worker thread already has one that is as early.
    pub fn rearm(&mut self, now: Instant) -> Option<Instant> {
        let watch = self.transport.watch_mut().poll_timeout();
        let watch = watch.map(|deadline| watch::on_grid(self.grid, now, deadline));
        self.transport.watch_keys(now);
        let media = match self.transport.is_keyed_by_host() || self.transport.is_silent() {
            true => [None; 3],
            false => [self.rtcp.poll_timeout(), self.source.digits().poll_timeout(), self.text_timeout()],
        };
        let gone = self.transport.gone().and_then(|gone| gone.poll_timeout(self.patience()));
        let next = [self.transport.poll_timeout(), watch, gone].into_iter().chain(media);
        // A deadline in the past becomes `now`.
        let next = next.flatten().min()?.max(now);
        if !self.is_live() || self.armed.is_some_and(|armed| armed <= next) {
            return None;
        }
        self.armed = Some(next);
        Some(next)
    }

    /// Stops using the session's own transport, because the parent's carries the stream now. `cname` is the parent's CNAME.
    pub fn give_up_transport(&mut self, cname: String) {
        self.transport.give_up();
        self.rtcp.set_cname(cname);
    }

    /// Uses the session's own transport again.
    pub fn take_up_transport(&mut self) {
        if self.bundle.take_up_transport() {
            self.transport.take_up(&self.settings);
        }
    }

    /// Ends the session: sends a BYE if the peer has received anything and the host has not stopped the session long before, and drops
    /// the host's instance, which is about to be freed.
    pub fn end(&mut self) {
        let now = clock::now();
        self.transport.story_mut().note_here(now, Event::Ended);
        self.finish_text(now);
        if self.transport.may_say_farewell(now) {
            self.say_goodbye(now);
        }
        let refusals = self.shown(now).refusals();
        if !refusals.is_empty() {
            let text = self.transport.about_the_call(&format!("the session ended, refused packets: {refusals}"));
            self.notes.push(Note::debug(1, text));
        }
        self.transport.steps_mut().handle_first_packet(self.receiver.first_packet());
        self.transport.end();
        if !self.is_trial() {
            totals::end(self);
        }
    }
}
