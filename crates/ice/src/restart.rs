//! ICE start and restart (RFC 8445 §9). New credentials on either side begin a new generation of candidates
//! and pairs on the same sockets. Media keeps flowing on the old pair meanwhile.
//!
//! A restart changes the credentials of both sides, ours by [`Agent::restart`] and the peer's by
//! [`Agent::set_remote_credentials`], in either order. The first of the two calls begins the generation; the
//! second joins it. [`Agent::keep_credentials`] takes the place of the second where ours stay.
//!
//! While our answer is on its way, a browser that restarts already sends checks from its new ports: under its new
//! credentials, to our old ones. Chromium keeps the connection that these have made, answers 401 to checks from our new
//! credentials on it, and goes on addressing the old ones for good. So such checks count like those to our new
//! credentials, and on their pair we go on using the username fragment that the peer knows us by.

use std::time::Instant;

use crate::consent::OldPath;
use crate::lifecycle::Lifecycle;
use crate::nominate::Phase;
use crate::{Agent, Component, Credentials};

impl Agent {
    /// Sets the peer's credentials. Equal ones change nothing. Different ones mean that the peer restarts; the caller
    /// then signals new credentials of ours ([`Agent::restart`]). Ignores credentials that STUN cannot carry.
    pub fn set_remote_credentials(&mut self, now: Instant, credentials: Credentials) {
        let known = self.remote.as_ref().map(|remote| &remote.credentials);
        if known == Some(&credentials) {
            return;
        }
        if !credentials.are_usable() {
            self.counters.over_limit += 1;
            return;
        }
        if known.is_some() {
            self.begin_generation();
            self.remote_is_ahead = true;
        }
        self.remote = Some(credentials.into());
        self.begin_if_ready(now);
        self.proceed(now);
    }

    /// Restarts with new credentials of ours, to be signalled. Forgets remote candidates and credentials, unless the
    /// peer restarted first and has signalled its new ones already.
    pub fn restart(&mut self, now: Instant, local: Credentials) {
        if !std::mem::take(&mut self.remote_is_ahead) {
            self.begin_generation();
            self.remote = None;
            self.early.clear(); // they were addressed to our old credentials
        }
        self.previous = Some(std::mem::replace(&mut self.local, local.into()));
        self.restarts += 1;
        self.begin_if_ready(now);
        self.proceed(now);
    }

    /// Keeps our credentials though the peer has changed its own: it did so in an answer to an offer of ours that was no restart.
    pub fn keep_credentials(&mut self) {
        self.remote_is_ahead = false;
    }

    fn begin_generation(&mut self) {
        for component in Component::ALL {
            let phase = std::mem::replace(&mut self.phases[component], Phase::RUNNING);
            let Phase::Selected(selected) = phase else { continue };
            let addressed = self.checklist.get(selected.pair).and_then(|pair| pair.addressed);
            let (path, expires, local) = (selected.path, selected.consent.expires(), self.known_as(addressed).clone());
            self.old_paths[component] = Some(OldPath { path, expires, local });
        }
        self.checklist.clear();
        self.remotes.clear();
        self.nomination = 0; // a new connection of the peer counts from the beginning
        if let Lifecycle::Checking { .. } = self.lifecycle {
            self.lifecycle = Lifecycle::Started;
        }
    }

    /// Starts checks if [`Agent::start`] was called and the peer's credentials are known.
    pub(crate) fn begin_if_ready(&mut self, now: Instant) {
        if self.lifecycle == Lifecycle::Started && self.remote.is_some() {
            self.lifecycle = Lifecycle::Checking { since: now, fail_at: Some(now + self.config.failure_timeout) };
            self.form_pairs();
        }
        if let Lifecycle::Checking { .. } = self.lifecycle {
            self.replay_early_checks(now);
        }
    }
}

#[cfg(test)]
#[path = "restart_tests.rs"]
mod tests;
