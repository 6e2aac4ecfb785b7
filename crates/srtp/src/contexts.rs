//! The cryptographic contexts of a call, across changes of its keys.

use crate::error::Error;
use crate::policy::{Policy, Streams};
use crate::session::{Session, rtcp_ssrc, rtp_ssrc};

/// The cryptographic contexts of both directions of a call (RFC 3711 §3.2): of the sources with their own policies
/// (ours, which we send), and of all other sources (which we receive).
///
/// If a policy is set again unchanged, its rollover counters and its SRTCP index continue, whatever happens to the
/// other direction. The peer's context continues as well (RFC 4568 §7.1.4). Starting again from zero would encrypt two
/// packets with the same key stream (RFC 3711 §9.1).
#[derive(Debug)]
pub struct Contexts {
    own: Session,
    /// The policies of `own`: a source that changes its SSRC keeps its key.
    policies: Vec<Policy>,
    /// `policies` are from before [`replace`](Self::replace); the next policy that is added removes them.
    are_former: bool,
    any: Session,
    /// The policy of `any`, the wildcard for all other sources. libsrtp would use it for both directions.
    wildcard: Option<Policy>,
}

impl Contexts {
    /// Creates contexts with the keys of one direction.
    pub fn new(policy: Policy) -> Result<Self, Error> {
        let [own, any] = [Session::new(&[])?, Session::new(&[])?];
        let mut contexts = Self { own, policies: Vec::new(), are_former: false, any, wildcard: None };
        contexts.add_stream(policy)?;
        Ok(contexts)
    }

    /// Sets new keys: `policy` for one direction; for the other the policy that [`add_stream`](Self::add_stream) gets
    /// next. After an error nothing has changed.
    pub fn replace(&mut self, policy: Policy) -> Result<(), Error> {
        match policy.streams() {
            Streams::Ssrc(_) => *self = Self::new(policy)?,
            Streams::AnyInbound | Streams::AnyOutbound => {
                if self.wildcard.as_ref() != Some(&policy) {
                    self.any = Session::new(std::slice::from_ref(&policy))?;
                    self.wildcard = Some(policy);
                }
                self.are_former = true;
            }
        }
        Ok(())
    }

    /// Adds a source, or sets new keys for a known one. A second wildcard is refused with [`Error::BadPolicy`].
    pub fn add_stream(&mut self, policy: Policy) -> Result<(), Error> {
        let Streams::Ssrc(ssrc) = policy.streams() else {
            self.any.add_stream(&policy)?;
            self.wildcard = Some(policy);
            return Ok(());
        };
        self.add_own(policy)?;
        if std::mem::take(&mut self.are_former) {
            let others = self.policies.iter().map(Policy::streams).filter(|&streams| streams != Streams::Ssrc(ssrc));
            others.collect::<Vec<_>>().into_iter().for_each(|streams| self.remove(streams));
        }
        Ok(())
    }

    /// Moves a source to another SSRC; it keeps its key. Does nothing for an unknown source.
    pub fn change_source(&mut self, from: u32, to: u32) -> Result<(), Error> {
        let [from, to] = [Streams::Ssrc(from), Streams::Ssrc(to)];
        let Some(policy) = self.policies.iter().find(|policy| policy.streams() == from) else { return Ok(()) };
        self.add_own(policy.for_streams(to))?;
        if from != to {
            self.remove(from);
        }
        Ok(())
    }

    /// Protects an RTP packet, see [`Session::protect_rtp`].
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Error> {
        self.of(rtp_ssrc(&buffer[..len.min(buffer.len())]), Streams::AnyOutbound)?.protect_rtp(buffer, len)
    }

    /// Protects an RTCP packet, see [`Session::protect_rtcp`].
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Error> {
        self.of(rtcp_ssrc(&buffer[..len.min(buffer.len())]), Streams::AnyOutbound)?.protect_rtcp(buffer, len)
    }

    /// Decrypts an SRTP packet, see [`Session::unprotect_rtp`].
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Error> {
        self.of(rtp_ssrc(packet), Streams::AnyInbound)?.unprotect_rtp(packet)
    }

    /// Decrypts an SRTCP packet, see [`Session::unprotect_rtcp`].
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Error> {
        self.of(rtcp_ssrc(packet), Streams::AnyInbound)?.unprotect_rtcp(packet)
    }

    /// The session for packets of this source: `own` if it has a policy, otherwise `any` if it is for `wildcard`.
    fn of(&mut self, ssrc: Option<u32>, wildcard: Streams) -> Result<&mut Session, Error> {
        let streams = Streams::Ssrc(ssrc.ok_or(Error::Malformed)?);
        if self.policies.iter().any(|policy| policy.streams() == streams) {
            Ok(&mut self.own)
        } else if self.wildcard.as_ref().is_some_and(|policy| policy.streams() == wildcard) {
            Ok(&mut self.any)
        } else {
            Err(Error::NoStream)
        }
    }

    fn add_own(&mut self, policy: Policy) -> Result<(), Error> {
        if !self.policies.contains(&policy) {
            self.own.add_stream(&policy)?;
            self.policies.retain(|known| known.streams() != policy.streams());
            self.policies.push(policy);
        }
        Ok(())
    }

    fn remove(&mut self, streams: Streams) {
        self.policies.retain(|known| known.streams() != streams);
        if let Streams::Ssrc(ssrc) = streams {
            // An error only means that the stream did not exist.
            let _ = self.own.remove_stream(ssrc);
        }
    }
}
