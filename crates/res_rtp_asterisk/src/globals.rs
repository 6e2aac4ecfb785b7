//! The belongings of the module that all sessions share, from load to unload.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use asterisk::lock;
use asterisk::pollable::AlwaysReadable;
use asterisk::worker::Worker;

use crate::config::Settings;
use crate::session::Session;
use crate::transport::contexts::Contexts;

/// Settings, certificates and the worker thread.
pub struct Globals {
    settings: Mutex<Arc<Settings>>,
    contexts: Contexts,
    worker: Worker<Session>,
    always: Arc<AlwaysReadable>,
    /// The moment that the module was loaded. Deadlines of all sessions fall on a grid that begins there.
    loaded: Instant,
}

static GLOBALS: Mutex<Option<Arc<Globals>>> = Mutex::new(None);

/// Returns the belongings while the module is loaded.
pub fn globals() -> Option<Arc<Globals>> {
    lock(&GLOBALS).clone()
}

/// Makes the belongings those that [`globals`] returns; `None` when the module is unloaded.
pub fn set_globals(globals: Option<Arc<Globals>>) {
    let before = std::mem::replace(&mut *lock(&GLOBALS), globals);
    drop(before);
}

impl Globals {
    /// Puts the belongings together; the module is loaded `now`.
    pub fn new(
        settings: Settings,
        contexts: Contexts,
        worker: Worker<Session>,
        always: AlwaysReadable,
        now: Instant,
    ) -> Arc<Self> {
        let (settings, always) = (Mutex::new(Arc::new(settings)), Arc::new(always));
        Arc::new(Self { settings, contexts, worker, always, loaded: now })
    }

    /// Returns `rtp.conf` as it was read last.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&lock(&self.settings))
    }

    /// Takes `rtp.conf` as it is now, for sessions to come.
    pub fn set_settings(&self, settings: Settings) {
        *lock(&self.settings) = Arc::new(settings);
    }

    /// Returns the certificates and TLS contexts.
    pub fn contexts(&self) -> &Contexts {
        &self.contexts
    }

    /// Returns the worker thread.
    pub fn worker(&self) -> &Worker<Session> {
        &self.worker
    }

    /// Returns the descriptor that is always readable.
    pub fn always(&self) -> Arc<AlwaysReadable> {
        Arc::clone(&self.always)
    }

    /// Returns the moment that the module was loaded.
    pub fn loaded(&self) -> Instant {
        self.loaded
    }
}
