//! The objects that all sessions share, from load to unload of the module.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use asterisk::lock;
use asterisk::pollable::AlwaysReadable;
use asterisk::worker::Worker;

use crate::carriers::Carriers;
use crate::config::Settings;
use crate::diagnosis::calls::Calls;
use crate::diagnosis::history::History;
use crate::endings::Endings;
use crate::gathering::Gatherer;
use crate::relay::pool::Pool;
use crate::session::Session;
use crate::transport::contexts::Contexts;

/// The settings, the certificates and the worker thread of the loaded module.
pub struct Globals {
    settings: Mutex<Arc<Settings>>,
    contexts: Contexts,
    worker: Worker<Session>,
    endings: Endings,
    carriers: Carriers,
    relays: Pool,
    gatherer: Gatherer,
    calls: Calls,
    history: History,
    always: Arc<AlwaysReadable>,
    pacer: Arc<ice::Pacer>,
    /// When the module was loaded. The timers of all sessions are aligned to a grid that starts here.
    loaded: Instant,
}

static GLOBALS: Mutex<Option<Arc<Globals>>> = Mutex::new(None);

/// Returns the shared objects; `None` unless the module is loaded.
pub fn globals() -> Option<Arc<Globals>> {
    lock(&GLOBALS).clone()
}

/// Sets the value that [`globals`] returns. `None` unloads.
pub fn set_globals(globals: Option<Arc<Globals>>) {
    let before = std::mem::replace(&mut *lock(&GLOBALS), globals);
    drop(before);
}

impl Globals {
    /// Creates the shared objects; `now` becomes the load time.
    pub fn new(
        settings: Settings,
        contexts: Contexts,
        worker: Worker<Session>,
        always: AlwaysReadable,
        now: Instant,
    ) -> Arc<Self> {
        let endings = Endings::new(Arc::clone(worker.tasks()));
        let gatherer = Gatherer::default();
        gatherer.configure(&settings);
        let relays = Pool::default();
        relays.configure(&settings);
        let history = History::default();
        history.configure(settings.call_log.as_deref(), settings.call_reports.is_on);
        let (settings, always) = (Mutex::new(Arc::new(settings)), Arc::new(always));
        Arc::new(Self {
            settings,
            contexts,
            worker,
            endings,
            carriers: Carriers::default(),
            relays,
            gatherer,
            calls: Calls::default(),
            history,
            always,
            pacer: ice::Pacer::new(now),
            loaded: now,
        })
    }

    /// Returns the settings of the last successful read of `rtp.conf`.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&lock(&self.settings))
    }

    /// Replaces the settings. Existing sessions keep theirs.
    pub fn set_settings(&self, settings: Settings) {
        self.gatherer.configure(&settings);
        self.relays.configure(&settings);
        self.history.configure(settings.call_log.as_deref(), settings.call_reports.is_on);
        *lock(&self.settings) = Arc::new(settings);
    }

    /// Returns the cache of certificates and TLS contexts.
    pub fn contexts(&self) -> &Contexts {
        &self.contexts
    }

    /// Returns the worker thread.
    pub fn worker(&self) -> &Worker<Session> {
        &self.worker
    }

    /// Returns the calls that are to be ended.
    pub fn endings(&self) -> &Endings {
        &self.endings
    }

    /// Returns what finds our public addresses.
    pub fn gatherer(&self) -> &Gatherer {
        &self.gatherer
    }

    /// Returns the threads that carry packets between bridged sessions.
    pub fn carriers(&self) -> &Carriers {
        &self.carriers
    }

    /// Returns the allocations at TURN servers.
    pub fn relays(&self) -> &Pool {
        &self.relays
    }

    /// Returns the calls whose SIP crosses our WebSockets.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Returns the calls that have ended.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Returns the shared descriptor that is always readable.
    pub fn always(&self) -> Arc<AlwaysReadable> {
        Arc::clone(&self.always)
    }

    /// Returns the slots for the connectivity checks of all sessions (RFC 8445 §14.2).
    pub fn pacer(&self) -> Arc<ice::Pacer> {
        Arc::clone(&self.pacer)
    }

    /// Returns when the module was loaded.
    pub fn loaded(&self) -> Instant {
        self.loaded
    }
}
