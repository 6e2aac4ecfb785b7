//! Collects the facts about a session for `rtp show sessions` and for warnings.

use std::time::Instant;

use ice::Component;

use super::State;
use crate::diagnosis::gone::{Patience, ShownGone};
use crate::diagnosis::overdue;
use crate::diagnosis::verdict::{Flow, Shown};
use crate::notes::Note;
use crate::transport::Transport;
use crate::transport::keys::Protection;

impl State {
    pub(super) fn overdue_warning(&self, now: Instant) -> Note {
        let shown = self.shown(now);
        let refusals = match shown.refusals() {
            nothing if nothing.is_empty() => nothing,
            refusals => format!("; refused packets: {refusals}"),
        };
        let seconds = overdue::PATIENCE.as_secs();
        self.transport.warning(&format!("no keys after {seconds} s. {}{refusals}", shown.verdict()))
    }

    /// Returns the time that the peer is given before its call ends, and its last sign of life.
    pub(super) fn patience(&self) -> Patience {
        let checked = self.transport.ice().and_then(|ice| ice.agent().last_heard());
        Patience { timeout: self.settings.consent_timeout, last_heard: checked.max(self.receiver.last_packet()) }
    }

    /// Returns the story of a peer that is gone, if there are signs of it.
    pub(super) fn shown_gone(&self, now: Instant) -> Option<ShownGone> {
        self.transport.gone()?.shown(now, self.patience())
    }

    /// Returns why the call has to end because its peer is gone; `None` if it has not to.
    pub fn story_of_the_end(&self, now: Instant) -> Option<String> {
        let is_over = self.transport.gone()?.is_over(now, self.patience());
        let text = self.shown_gone(now).filter(|_| is_over)?.to_string();
        Some(self.transport.about_the_call(&text))
    }

    /// Returns the facts about the session that `rtp show sessions` prints.
    pub fn shown(&self, now: Instant) -> Shown {
        let (receiver, sender) = (&self.receiver, self.source.statistics());
        let since = |last: Option<Instant>| last.map(|last| now.saturating_duration_since(last));
        let protection = self.protection();
        Shown {
            port: self.transport.port(),
            peer: self.media_route().map(|(to, _)| to).or(self.transport.remote().signalled(Component::Rtp)),
            stopped: self.transport.remote().is_stopped(),
            silent: self.transport.is_silent(),
            carrier: self.bundle.shown(),
            children: self.bundle.children(),
            ice: self.transport.shown_ice(),
            dtls: self.transport.shown_dtls(),
            gone: self.shown_gone(now),
            keys_due: protection == Protection::Due,
            encrypted: protection != Protection::Plain,
            has_opus: self.has_opus,
            received: Flow {
                packets: receiver.packets(),
                octets: receiver.octets(),
                silence: since(receiver.last_packet()),
                lost: receiver.cumulative_lost(),
                jitter: receiver.jitter().as_secs_f64(),
            },
            sent: Flow {
                packets: sender.packets(),
                octets: sender.octets(),
                silence: since(sender.last_packet()),
                lost: sender.remote().last.map_or(0, |block| block.cumulative_lost.into()),
                jitter: sender.remote().jitter.last(),
            },
            rtcp: self.shown_rtcp(),
            refused: self.counters.all().collect(),
        }
    }

    /// Returns the protection that media must have.
    pub fn protection(&self) -> Protection {
        let protection = self.bundle.look_as(&self.transport, Transport::protection_of);
        protection.unwrap_or(Protection::Due)
    }

    fn shown_rtcp(&self) -> String {
        let Some((component, (to, _))) = self.reports_route() else {
            return if self.transport.uses_rtcp() { "on, but reports have no route yet" } else { "off" }.to_owned();
        };
        let round_trip = &self.source.statistics().remote().round_trip;
        let trip = if round_trip.count() > 0 { format!("{:.4} s", round_trip.last()) } else { "unknown".to_owned() };
        format!("component {} to {to}, round trip {trip}", component.id())
    }
}
