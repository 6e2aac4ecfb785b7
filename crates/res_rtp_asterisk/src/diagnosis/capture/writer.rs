//! The thread that writes a capture. It exists only while the capture is on.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::capture::{Batch, Capture, Content, Limits, Packet, Written};
use asterisk::lock;
use asterisk::sockaddr::unmapped;

use super::{NEWS, RUNNING, end};
use crate::clock;

/// A capture's file, and what it needs to write packets.
pub struct Writer {
    on: On,
    capture: Capture<BufWriter<File>>,
    path: PathBuf,
    limits: Limits,
    deadline: Instant,
    batch: Batch,
    own: OwnAddresses,
    /// The packets that were taken and are not in the file.
    unwritten: u64,
}

/// The capture's number. Dropped, also by a panic of the thread, it ends the capture, so that packets are not kept for nobody.
struct On(u32);

/// The reason why a capture has ended.
enum Why {
    Stopped,
    Time,
    Size,
    Failed(io::Error),
}

/// The pause between two turns of the thread, in which packets gather.
const PAUSE: Duration = Duration::from_millis(50);

impl Writer {
    /// Makes the file, which only its owner may read. Fails if there is one, or a link, of this name.
    pub fn create(number: u32, path: &Path, limits: Limits) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)?;
        let capture = Capture::begin(BufWriter::with_capacity(BUFFER, file), limits.octets, "res_rtp_asterisk");
        Ok(Self {
            on: On(number),
            capture: capture?,
            path: path.to_owned(),
            limits,
            deadline: clock::now() + limits.time,
            batch: Batch::default(),
            own: OwnAddresses::default(),
            unwritten: 0,
        })
    }

    /// Writes packets until the capture ends, and tells the log how it ended.
    pub fn run(mut self) {
        let why = loop {
            let is_stopped = self.wait();
            match self.write() {
                Some(why) => break why,
                None if is_stopped => break Why::Stopped,
                None if clock::now() >= self.deadline => break Why::Time,
                None => {}
            }
        };
        let mut lost = 0;
        if let Some(mut last) = end(self.on.0) {
            last.queue.take(&mut self.batch);
            lost = last.queue.lost();
        }
        let why = match why {
            Why::Stopped | Why::Time => self.write().unwrap_or(why),
            Why::Size | Why::Failed(_) => {
                self.unwritten += self.batch.packets().count() as u64;
                why
            }
        };
        let lost = lost + self.unwritten;
        self.finish(why, lost);
    }

    /// Waits for packets, and takes them. Returns whether the capture has to end.
    fn wait(&mut self) -> bool {
        let goes_on =
            |running: &mut Option<super::Running>| running.as_ref().is_some_and(|running| !running.is_stopped);
        let waited = NEWS.wait_timeout_while(lock(&RUNNING), PAUSE, goes_on);
        let (mut running, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(running) = running.as_mut() else { return true };
        running.queue.take(&mut self.batch);
        running.is_stopped
    }

    /// Writes the packets that were taken. Returns why the capture has to end.
    fn write(&mut self) -> Option<Why> {
        let mut packets = self.batch.packets();
        let ended = packets.find_map(|packet| match self.capture.write(&self.own.complete(packet)) {
            Ok(Written::Yes) => None,
            Ok(Written::Full) => Some(Why::Size),
            Err(error) => Some(Why::Failed(error)),
        });
        self.unwritten += u64::from(ended.is_some()) + packets.count() as u64;
        self.batch.clear();
        ended.or_else(|| self.capture.flush().err().map(Why::Failed))
    }

    fn finish(self, why: Why, lost: u64) {
        let (counts, octets) = (self.capture.counts(), self.capture.written());
        let counts = Content::ALL.map(|content| format!("{} {}", counts.of(content), content.name())).join(", ");
        let why = match why {
            Why::Stopped => "it was turned off".to_owned(),
            Why::Time => format!("its time of {} s is over", self.limits.time.as_secs()),
            Why::Size => format!("the file has reached its size of {} kB", self.limits.octets / 1000),
            Why::Failed(error) => format!("the file cannot be written: {error}"),
        };
        let finished = self.capture.finish(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), lost);
        let path = self.path.display();
        asterisk::warning!(
            "RTP: the capture into {path} has ended, because {why}. It has {counts} packets in {} kB; {lost} packets were lost",
            octets / 1000
        );
        if let Err(error) = finished {
            asterisk::error!("RTP: the end of the capture {path} cannot be written: {error}");
        }
    }
}

impl Drop for On {
    fn drop(&mut self) {
        end(self.0);
    }
}

/// Our addresses that packets leave from, for sockets that are bound to all of them.
#[derive(Debug, Default)]
struct OwnAddresses(BTreeMap<IpAddr, Option<IpAddr>>);

impl OwnAddresses {
    /// Fills in an address of ours that the packet path does not know.
    fn complete<'a>(&mut self, packet: Packet<'a>) -> Packet<'a> {
        let (from, to) = (unmapped(packet.from), unmapped(packet.to));
        Packet { from: self.known(from, to), to: self.known(to, from), ..packet }
    }

    fn known(&mut self, own: SocketAddr, peer: SocketAddr) -> SocketAddr {
        if !own.ip().is_unspecified() {
            return own;
        }
        if self.0.len() >= MOST_PEERS {
            self.0.clear();
        }
        let found = *self.0.entry(peer.ip()).or_insert_with(|| ask(peer));
        SocketAddr::new(found.unwrap_or(own.ip()), own.port())
    }
}

/// Asks the kernel for the address that packets to `peer` leave from. Nothing is sent.
fn ask(peer: SocketAddr) -> Option<IpAddr> {
    let any = if peer.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    socket.local_addr().ok().map(|own| own.ip())
}

/// The octets that are written at once.
const BUFFER: usize = 256 * 1024;

/// Most peers whose address of ours is remembered.
const MOST_PEERS: usize = 1000;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::diagnosis::capture::Direction;

    #[test]
    fn only_a_new_file_is_written_and_only_its_owner_reads_it() {
        let directory = std::env::temp_dir().join(format!("capture-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (file, link) = (directory.join("file"), directory.join("link"));
        symlink(directory.join("elsewhere"), &link).unwrap();
        assert!(Writer::create(0, &file, Limits::default()).is_ok());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        for existing in [&file, &link] {
            let error = Writer::create(0, existing, Limits::default()).map(drop).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        assert!(!directory.join("elsewhere").exists());
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn packets_behind_the_last_that_fits_are_lost() {
        let file = std::env::temp_dir().join(format!("capture-size-{}", std::process::id()));
        let mut writer = Writer::create(0, &file, Limits { octets: 1000, ..Limits::default() }).unwrap();
        let mut queue = ::capture::Queue::new(10_000);
        let (from, to) = ("192.0.2.1:5004".parse().unwrap(), "192.0.2.2:4000".parse().unwrap());
        let (content, direction) = (Content::Rtp, Direction::In);
        let packet = Packet { at: Duration::ZERO, content, direction, from, to, octets: &[0x80; 172] };
        assert!((0..10).all(|_| queue.push(&packet)));
        queue.take(&mut writer.batch);
        assert!(matches!(writer.write(), Some(Why::Size)));
        let written = writer.capture.counts().of(Content::Rtp);
        assert!(written > 0 && written + writer.unwritten == 10, "{written} and {}", writer.unwritten);
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn the_address_of_a_socket_for_all_addresses_is_found() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut own = OwnAddresses::default();
        assert_eq!(own.known(address("0.0.0.0:5004"), address("127.0.0.1:4000")), address("127.0.0.1:5004"));
        assert_eq!(own.known(address("[::]:5004"), address("127.0.0.1:4000")), address("127.0.0.1:5004"));
        assert_eq!(own.known(address("192.0.2.1:5004"), address("127.0.0.1:4000")), address("192.0.2.1:5004"));
    }
}
