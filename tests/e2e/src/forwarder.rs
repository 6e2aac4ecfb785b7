//! A TCP port that leads to another one, until it is killed: the server of a page that dies while its Asterisk lives.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A forwarder on the loopback interface. It is killed when it is dropped.
#[derive(Debug)]
pub struct Forwarder {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_killed: AtomicBool,
    is_frozen: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Forwarder {
    /// Listens on `port` and forwards each connection to `target`.
    pub fn start(port: u16, target: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if serving.is_killed.load(Ordering::SeqCst) {
                    return;
                }
                if serving.is_frozen.load(Ordering::SeqCst) {
                    // It is accepted and never answered.
                    serving.streams().push(client);
                    continue;
                }
                if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) {
                    let _ = serving.join(&client, &server);
                }
            }
        });
        Ok(Self { port, shared })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on it loses everything, and closes nothing: its machine has no power.
    pub fn freeze(&self) {
        self.shared.is_frozen.store(true, Ordering::SeqCst);
    }

    /// Ends it with its connections. Nobody listens on the port afterwards.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.shared.is_killed.store(true, Ordering::SeqCst);
        // The thread waits for a connection.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        for stream in self.shared.streams().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn join(self: &Arc<Self>, one: &TcpStream, other: &TcpStream) -> io::Result<()> {
        for (from, to) in [(one, other), (other, one)] {
            let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
            self.streams().push(from.try_clone()?);
            let shared = Arc::clone(self);
            thread::spawn(move || {
                let _ = shared.copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
        Ok(())
    }

    fn copy(&self, from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let len = from.read(&mut buffer)?;
            if len == 0 {
                return Ok(());
            }
            if !self.is_frozen.load(Ordering::SeqCst) {
                to.write_all(buffer.get(..len).unwrap_or_default())?;
            }
        }
    }

    fn streams(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
