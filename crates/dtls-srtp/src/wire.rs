//! The memory buffers below OpenSSL: one datagram in, a queue of datagrams out.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

/// The stream below an `SslStream`. In DTLS every read is a datagram, and every write is one.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    inbound: Option<Vec<u8>>,
    outbound: VecDeque<Vec<u8>>,
}

impl Wire {
    /// Sets the datagram that the next read returns.
    pub(crate) fn receive(&mut self, datagram: Vec<u8>) {
        self.inbound = Some(datagram);
    }

    /// Takes the oldest datagram that waits to be sent.
    pub(crate) fn transmit(&mut self) -> Option<Vec<u8>> {
        self.outbound.pop_front()
    }

    /// The number of datagrams that wait to be sent.
    pub(crate) fn queued(&self) -> usize {
        self.outbound.len()
    }

    /// The datagrams that wait to be sent, without the `len` oldest.
    pub(crate) fn queued_behind(&self, len: usize) -> impl Iterator<Item = &[u8]> {
        self.outbound.iter().skip(len).map(Vec::as_slice)
    }

    /// Forgets the datagrams that wait to be sent, except for the `len` oldest.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.outbound.truncate(len);
    }

    /// Moves the datagrams that wait to be sent to the front of `other`'s queue.
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
            // The caller does not poll. The retransmission timer repeats the flight later.
            self.outbound.pop_front();
        }
        self.outbound.push_back(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The number of datagrams that may wait to be sent. A flight with a long certificate chain has fewer than ten.
const OUTBOUND_MAX: usize = 32;
