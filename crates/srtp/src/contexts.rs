//! The contexts of a call, and what becomes of them when its keys change.

use crate::error::Error;
use crate::policy::{Policy, Streams};
use crate::session::{Session, rtcp_ssrc, rtp_ssrc};

/// Cryptographic contexts of both directions (RFC 3711 §3.2): of sources that have a policy of their own, which is how we
/// send, and of whatever else comes in.
///
/// A policy that is given again goes on with its rollover counters and its SRTCP index, whatever happens to the other
/// direction. The peer's context goes on as well (RFC 4568 §7.1.4), and to begin with zero again would encrypt two packets
/// with one key stream (RFC 3711 §9.1).
#[derive(Debug)]
pub struct Contexts {
    own: Session,
    /// What `own` was given: a changed SSRC keeps its key.
    policies: Vec<Policy>,
    /// They are from before [`replace`](Self::replace), and go with the next that is added.
    are_former: bool,
    any: Session,
    /// What `any` was given. libsrtp would take it for either direction.
    wildcard: Option<Policy>,
}

impl Contexts {
    /// With the keys of one direction.
    pub fn new(policy: Policy) -> Result<Self, Error> {
        let [own, any] = [Session::new(&[])?, Session::new(&[])?];
        let mut contexts = Self { own, policies: Vec::new(), are_former: false, any, wildcard: None };
        contexts.add_stream(policy)?;
        Ok(contexts)
    }

    /// New keys: these for one direction, and for the other what [`add_stream`](Self::add_stream) is given next. After an
    /// error everything is as it was.
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

    /// A source more, or new keys for one that is there. The wildcard stays as it is: a second is [`Error::BadPolicy`].
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

    /// A source goes on under another SSRC, with the same key. One that is not known has nothing to go on with.
    pub fn change_source(&mut self, from: u32, to: u32) -> Result<(), Error> {
        let [from, to] = [Streams::Ssrc(from), Streams::Ssrc(to)];
        let Some(policy) = self.policies.iter().find(|policy| policy.streams() == from) else { return Ok(()) };
        self.add_own(policy.for_streams(to))?;
        if from != to {
            self.remove(from);
        }
        Ok(())
    }

    /// As [`Session::protect_rtp`].
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Error> {
        self.of(rtp_ssrc(&buffer[..len.min(buffer.len())]), Streams::AnyOutbound)?.protect_rtp(buffer, len)
    }

    /// As [`Session::protect_rtcp`].
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Error> {
        self.of(rtcp_ssrc(&buffer[..len.min(buffer.len())]), Streams::AnyOutbound)?.protect_rtcp(buffer, len)
    }

    /// As [`Session::unprotect_rtp`].
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Error> {
        self.of(rtp_ssrc(packet), Streams::AnyInbound)?.unprotect_rtp(packet)
    }

    /// As [`Session::unprotect_rtcp`].
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Error> {
        self.of(rtcp_ssrc(packet), Streams::AnyInbound)?.unprotect_rtcp(packet)
    }

    /// Where a packet of this source belongs, if only among those that the wildcard is for.
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
            // What was not there need not be removed.
            let _ = self.own.remove_stream(ssrc);
        }
    }
}
