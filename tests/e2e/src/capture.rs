//! A capture of our engine (`rtp set capture`), as tshark reads it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Result, ensure};
use crate::g711;
use crate::lab::Lab;
use crate::rtp::Rtp;
use crate::tone::Audio;

/// A capture that is on.
#[derive(Debug)]
pub struct Capture<'a> {
    lab: &'a Lab,
    file: PathBuf,
}

/// A packet, as tshark understands it.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// The name of the protocol: `SIP`, `SIP/SDP`, `RTP`, `RTCP`, `STUN`, `DTLS` with a version, or one that is not wanted.
    pub protocol: String,
    /// Whether Asterisk has sent it.
    pub is_sent: bool,
    /// The source of an RTP packet, and its number, timestamp, payload type and payload.
    pub rtp: Option<Rtp>,
    /// The method of a SIP request.
    pub method: String,
    /// The status of a SIP response.
    pub status: String,
}

impl<'a> Capture<'a> {
    /// Begins a capture of `wanted` into a file below the lab's logs.
    pub fn begin(lab: &'a Lab, wanted: &str) -> Result<Self> {
        let file = lab.directory().join("log").join("capture.pcapng");
        let answer = lab.asterisk().cli(&format!("rtp set capture {wanted} {}", file.display()))?;
        ensure(answer.contains("RTP Capture Enabled"), || format!("rtp set capture {wanted}: {answer}"))?;
        Ok(Self { lab, file })
    }

    /// Ends it, and has tshark read it. The log has to tell that nothing was lost.
    pub fn end(self) -> Result<Vec<Packet>> {
        let answer = self.lab.asterisk().cli("rtp set capture off")?;
        ensure(answer.contains("RTP Capture Disabled"), || format!("rtp set capture off: {answer}"))?;
        let mode = std::fs::metadata(&self.file)?.permissions().mode() & 0o777;
        ensure(mode == 0o600, || format!("its mode is {mode:o}"))?;
        self.lab.until_logged("because it was turned off", Duration::from_secs(10))?;
        self.lab.until_logged("; 0 packets were lost", Duration::from_secs(1))?;
        read(&self.file)
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// Has tshark read a file, with its own defaults.
pub fn read(file: &Path) -> Result<Vec<Packet>> {
    const FIELDS: [&str; 9] = [
        "_ws.col.Protocol",
        "frame.packet_flags_direction",
        "rtp.ssrc",
        "rtp.seq",
        "rtp.timestamp",
        "rtp.p_type",
        "rtp.payload",
        "sip.Method",
        "sip.Status-Code",
    ];
    let mut command = vec!["-n", "-T", "fields", "-E", "separator=;"];
    command.extend(FIELDS.iter().flat_map(|field| ["-e", *field]));
    tshark(file, &command)?.lines().map(|line| Packet::parse(line).ok_or_else(|| Failure::new(line))).collect()
}

/// Runs tshark on a file and returns what it prints.
pub fn tshark(file: &Path, options: &[&str]) -> Result<String> {
    let output = Command::new("tshark").arg("-r").arg(file).args(options).output()?;
    ensure(output.status.success(), || {
        format!("tshark {options:?}: {}: {}", file.display(), String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Packet {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(';');
        let mut next = || fields.next();
        let (protocol, direction) = (next()?.to_owned(), next()?);
        let is_sent = direction.ends_with('2');
        let [ssrc, sequence, timestamp, payload_type, payload] = [next()?, next()?, next()?, next()?, next()?];
        let rtp = u32::from_str_radix(ssrc.trim_start_matches("0x"), 16).ok().and_then(|ssrc| {
            Some(Rtp {
                payload_type: payload_type.parse().ok()?,
                sequence: sequence.parse().ok()?,
                timestamp: timestamp.parse().ok()?,
                ssrc,
                payload: octets(payload)?,
                ..Rtp::default()
            })
        });
        Some(Self { protocol, is_sent, rtp, method: next()?.to_owned(), status: next()?.to_owned() })
    }
}

/// The audio of a direction in µ-law, placed by its timestamps. Packets that are missing are silent.
pub fn audio(packets: &[Packet], is_sent: bool) -> Audio {
    let of_it = packets.iter().filter(|packet| packet.is_sent == is_sent && packet.protocol == "RTP");
    let of_it: Vec<_> = of_it.filter_map(|packet| packet.rtp.as_ref()).filter(|rtp| rtp.payload_type == 0).collect();
    let Some(first) = of_it.first() else { return Audio::default() };
    let mut samples = Vec::new();
    for rtp in of_it.iter().filter(|rtp| rtp.ssrc == first.ssrc) {
        let at = rtp.timestamp.wrapping_sub(first.timestamp) as usize;
        // An hour is longer than any call here.
        if at < 3600 * 8000 {
            samples.resize(samples.len().max(at + rtp.payload.len()), 0);
            samples[at..at + rtp.payload.len()]
                .iter_mut()
                .zip(&rtp.payload)
                .for_each(|(sample, octet)| *sample = g711::decode(*octet));
        }
    }
    Audio::of(samples)
}

/// The audio of a direction in µ-law, one packet after the other.
pub fn payloads(packets: &[Packet], is_sent: bool) -> Audio {
    let of_it = packets.iter().filter(|packet| packet.is_sent == is_sent).filter_map(|packet| packet.rtp.as_ref());
    let octets = of_it.filter(|rtp| rtp.payload_type == 0).flat_map(|rtp| &rtp.payload);
    Audio::of(octets.map(|octet| g711::decode(*octet)).collect())
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).ok());
    digits.map(|two| u8::from_str_radix(two?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_tshark_is_a_packet() {
        let packet = Packet::parse("RTP;0x00000001;0x0000000a;7;160;0;ff7f;;").unwrap();
        let rtp = packet.rtp.clone().unwrap();
        assert_eq!((rtp.ssrc, rtp.sequence, rtp.payload), (10, 7, vec![255, 127]));
        assert!(!packet.is_sent);
        let sip = Packet::parse("SIP;0x00000002;;;;;;BYE;").unwrap();
        assert_eq!((sip.rtp, sip.method.as_str(), sip.is_sent), (None, "BYE", true));
    }
}
