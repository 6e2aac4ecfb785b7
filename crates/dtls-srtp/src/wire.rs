//! What OpenSSL takes for the network: one datagram in, a queue of datagrams out.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

/// The stream below an `SslStream`. In DTLS every read is a datagram, and every write is one.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    inbound: Option<Vec<u8>>,
    outbound: VecDeque<Vec<u8>>,
}

impl Wire {
    /// The datagram that the next read gets.
    pub(crate) fn receive(&mut self, datagram: Vec<u8>) {
        self.inbound = Some(datagram);
    }

    /// The oldest datagram that is to be sent.
    pub(crate) fn transmit(&mut self) -> Option<Vec<u8>> {
        self.outbound.pop_front()
    }

    /// How many wait to be sent.
    pub(crate) fn queued(&self) -> usize {
        self.outbound.len()
    }

    /// Moves what waits to be sent in front of what `other` has to send.
    pub(crate) fn hand_over(&mut self, other: &mut Self) {
        self.outbound.append(&mut other.outbound);
        other.outbound = std::mem::take(&mut self.outbound);
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self.inbound.take().ok_or(io::ErrorKind::WouldBlock)?;
        let len = datagram.len().min(buffer.len());
        buffer[..len].copy_from_slice(&datagram[..len]);
        Ok(len)
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if self.outbound.len() == OUTBOUND_MAX {
            // Nobody polls. The handshake's timer will say it again.
            self.outbound.pop_front();
        }
        self.outbound.push_back(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A flight with a long certificate chain is less than ten datagrams.
const OUTBOUND_MAX: usize = 32;
