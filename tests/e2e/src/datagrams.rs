//! Datagrams that nobody should send, for the sockets of running calls.

use std::num::NonZeroUsize;
use std::path::Path;

/// Datagrams of all kinds: the seeds of the fuzz targets and their corpora if there are any, as they are, changed, and behind the header
/// of the call's own stream. The same in each run.
#[derive(Debug)]
pub struct Datagrams {
    inputs: Vec<Vec<u8>>,
    ssrc: u32,
    sequence_number: u16,
    state: u64,
    datagram: Vec<u8>,
}

impl Datagrams {
    /// Reads the inputs. `ssrc` is that of the call's own stream. `DATAGRAMS_ONLY` names the fuzz target whose inputs are taken; if it
    /// is not set, those of all are.
    ///
    /// # Panics
    /// When there are no seeds.
    #[must_use]
    pub fn new(ssrc: u32) -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut inputs = Vec::new();
        let only = std::env::var("DATAGRAMS_ONLY");
        let targets = TARGETS.iter().filter(|target| only.as_ref().is_ok_and(|only| only == *target) || only.is_err());
        for target in targets {
            for directory in [format!("tests/fuzz/seeds/{target}"), format!("target/fuzz/{target}/corpus")]
                .map(|at| workspace.join(at))
            {
                let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
                inputs.extend(entries.filter_map(|entry| std::fs::read(entry.path()).ok()));
            }
        }
        inputs.iter_mut().for_each(|input| input.truncate(LONGEST));
        inputs.sort();
        assert!(inputs.len() > 1, "the seeds are in the tree");
        Self { inputs, ssrc, sequence_number: 65_000, state: 0x9e37_79b9_7f4a_7c15, datagram: Vec::new() }
    }

    /// Makes the next datagram.
    pub fn make(&mut self) -> &[u8] {
        let (kind, which, count) = (self.random() % 8, self.random(), self.random() % 4);
        self.datagram.clear();
        if kind < 4 {
            self.begin_packet(kind);
        }
        let input = &self.inputs[which % self.inputs.len()];
        self.datagram.extend_from_slice(input);
        for _ in 0..count {
            let (at, bit) = (self.random(), self.random() % 8);
            if let Some(length) = NonZeroUsize::new(self.datagram.len()) {
                self.datagram[at % length] ^= 1 << bit;
            }
        }
        if kind == 7 {
            let length = self.random() % (self.datagram.len() + 1);
            self.datagram.truncate(length);
        }
        self.datagram.truncate(LONGEST);
        &self.datagram
    }

    /// Begins an RTP packet of the call, with voice, a digit, text or anything else.
    fn begin_packet(&mut self, kind: usize) {
        self.sequence_number = match self.random() % 50 {
            0 => self.random() as u16,
            step => self.sequence_number.wrapping_add(step as u16 % 3),
        };
        let payload_type = [0, 101, 105, self.random() as u8][kind % 4];
        let timestamp = u32::from(self.sequence_number).wrapping_mul(160);
        self.datagram.extend_from_slice(&[0x80, payload_type]);
        self.datagram.extend_from_slice(&self.sequence_number.to_be_bytes());
        self.datagram.extend_from_slice(&timestamp.to_be_bytes());
        self.datagram.extend_from_slice(&self.ssrc.to_be_bytes());
    }

    /// xorshift64, whose numbers need not be good.
    fn random(&mut self) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize
    }
}

/// The fuzz targets whose inputs are, or begin like, datagrams.
const TARGETS: [&str; 9] = [
    "rtp_packet",
    "rtcp_compound",
    "rtp_red",
    "telephone_event",
    "srtp_unprotect",
    "dtls_records",
    "dtls_session",
    "ice_session",
    "mdns_answer",
];

const LONGEST: usize = 1400;
