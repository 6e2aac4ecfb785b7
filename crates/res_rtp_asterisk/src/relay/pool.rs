//! The allocations that are kept ready, and the thread that makes them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use asterisk::lock;
use asterisk::worker::Worker;

use super::link::Link;
use super::servers::Servers;
use super::settings::Relays;
use super::slot::{Shown, Slot};
use crate::config::Settings;

/// The pool of the loaded module. It has no thread until relayed candidates are configured.
#[derive(Default)]
pub struct Pool {
    running: Mutex<Option<Running>>,
    /// Sessions that have got an allocation, and those that found none ready.
    served: AtomicU64,
    unserved: AtomicU64,
}

/// The figures of the pool.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Allocations that are ready.
    pub ready: usize,
    /// Sessions that have got one.
    pub served: u64,
    /// Sessions that found none ready.
    pub unserved: u64,
}

struct Running {
    worker: Worker<Slot>,
    servers: Arc<Servers>,
    slots: Vec<Arc<Slot>>,
}

impl Pool {
    /// Uses these settings from now on.
    pub fn configure(&self, settings: &Settings) {
        match settings.ice {
            true => self.set(&settings.relays),
            false => self.set(&Relays::default()),
        }
    }

    /// Uses these servers from now on. Allocations of other settings are given back, unless a session has them.
    fn set(&self, relays: &Relays) {
        let mut running = lock(&self.running);
        if running.as_ref().is_some_and(|running| running.servers.relays() == relays) {
            return;
        }
        if !relays.are_wanted() && running.is_none() {
            return;
        }
        let worker = match running.take() {
            Some(Running { worker, slots, servers }) => {
                let now = Instant::now();
                let left = slots.iter().filter_map(|slot| slot.end(now));
                left.for_each(|link| Slot::add_leaving(worker.tasks(), &servers, now, link));
                worker
            }
            None => match Worker::start(c"rtp-relay", None) {
                Ok(worker) => worker,
                Err(error) => {
                    asterisk::error!("TURN: the thread of relayed candidates could not be started: {error}");
                    return;
                }
            },
        };
        let servers = Arc::new(Servers::new(relays.clone()));
        let wanted = if relays.are_wanted() { relays.pool } else { 0 };
        let slots = (0..wanted).map(|_| Slot::add(worker.tasks(), &servers)).collect();
        *running = Some(Running { worker, servers, slots });
    }

    /// Takes an allocation that is ready. Never waits: returns `None` if there is none, or the pool is being used.
    pub fn take(&self, now: Instant) -> Option<Link> {
        let running = self.running.try_lock().ok()?;
        let slots = &running.as_ref()?.slots;
        let link = slots.iter().find_map(|slot| slot.take(now));
        if !slots.is_empty() {
            let counter = if link.is_some() { &self.served } else { &self.unserved };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        link
    }

    /// Gives a session's allocation back.
    pub fn give_back(&self, now: Instant, mut link: Link) {
        match &*lock(&self.running) {
            Some(Running { worker, servers, .. }) => Slot::add_leaving(worker.tasks(), servers, now, link),
            None => drop(link.release(now)),
        }
    }

    /// Stops the thread, and gives all allocations back without waiting for confirmations.
    pub fn stop(&self) {
        let Some(Running { worker, slots, .. }) = lock(&self.running).take() else { return };
        worker.stop();
        let now = Instant::now();
        slots.iter().for_each(|slot| drop(slot.end(now)));
        worker.tasks().all().iter().for_each(|slot| drop(slot.end(now)));
    }

    /// Returns how many allocations are ready, and how many sessions have got one or none.
    pub fn measured(&self) -> Measured {
        // Locked for a moment only, as a session that finds it locked gets no allocation.
        let tasks = lock(&self.running).as_ref().map(|running| Arc::clone(running.worker.tasks()));
        let slots = tasks.iter().flat_map(|tasks| tasks.all());
        let ready = slots.filter(|slot| slot.shown() == Some(Shown::Ready)).count();
        let [served, unserved] = [&self.served, &self.unserved].map(|counter| counter.load(Ordering::Relaxed));
        Measured { ready, served, unserved }
    }

    /// Returns the lines of `rtp show relays`.
    pub fn shown(&self) -> Vec<String> {
        let running = lock(&self.running);
        let Some(Running { worker, servers, slots }) = running.as_ref().filter(|running| !running.slots.is_empty())
        else {
            return vec!["Relayed candidates are off: rtp.conf names no TURN server that could be used".to_owned()];
        };
        let count = |wanted| worker.tasks().all().iter().filter(|slot| slot.shown() == Some(wanted)).count();
        let mut lines = servers.shown(Instant::now());
        lines.push(format!(
            "{} of {} allocations are ready, {} are being given back",
            count(Shown::Ready),
            slots.len(),
            count(Shown::Leaving)
        ));
        let counted = [&self.served, &self.unserved].map(|counter| counter.load(Ordering::Relaxed));
        lines.push(format!("{} sessions have got one, {} found none ready", counted[0], counted[1]));
        lines
    }
}
