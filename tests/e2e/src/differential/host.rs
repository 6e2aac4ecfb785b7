//! One of the two Asterisks, and a listener at its manager interface.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::stream::Setting;
use crate::failure::{Failure, Result};
use crate::lab::Lab;
use crate::manager::Manager;

/// Which modules serve the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those that the host came with.
    Originals,
    /// Those of `MODULES_DIR`.
    Ours,
}

/// A running Asterisk.
#[derive(Debug)]
pub struct Host {
    lab: Lab,
    events: Arc<Mutex<Vec<Vec<String>>>>,
    ended: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Host {
    /// Starts it.
    pub fn start(side: Side, setting: Setting) -> Result<Self> {
        let site = setting.site();
        let lab = match side {
            Side::Originals => Lab::with_originals(&format!("differential-{}-originals", setting.name()), &site)?,
            Side::Ours if std::env::var_os("MODULES_DIR").is_none() => {
                return Err(Failure::new("MODULES_DIR names no modules to compare with the originals"));
            }
            Side::Ours => Lab::start(&format!("differential-{}-ours", setting.name()), &site)?,
        };
        let mut manager = Manager::listen(&lab)?;
        let (events, ended) = <(Arc<Mutex<Vec<Vec<String>>>>, Arc<AtomicBool>)>::default();
        let (kept, until) = (Arc::clone(&events), Arc::clone(&ended));
        let listener = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let event = manager.next_until(Instant::now() + Duration::from_millis(200));
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend(event);
            }
        });
        Ok(Self { lab, events, ended, listener: Some(listener) })
    }

    /// The Asterisk.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Where it listens for SIP.
    pub fn sip(&self, setting: Setting) -> SocketAddr {
        SocketAddr::new(setting.loopback(), self.lab.ports().sip)
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Vec<String>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}
