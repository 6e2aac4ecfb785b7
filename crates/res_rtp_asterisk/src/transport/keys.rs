//! SRTP keys of a session: policies made of what a DTLS handshake agreed, and the object for SRTCP with keys of its own.

use asterisk::rtp::{Instance, OwnedSrtp, PolicySsrc, SrtpPolicy, Suite, Which};
use dtls_srtp::{Keys, MasterKey, Profile};

use crate::diagnosis::counters::Refused;

/// The longest SRTCP datagram that is tried with more than one key.
const LONGEST_SRTCP: usize = 1500;

/// Required protection of media and reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// None.
    Plain,
    /// SRTP with the keys of the host's instance.
    Srtp,
    /// SRTP with keys that are not there yet: packets are neither sent nor accepted.
    Due,
}

/// Keys that the host's instance has no room for.
#[derive(Default)]
pub struct SessionKeys {
    /// The keys that the handshake of component 1 agreed, for sources that are bundled later.
    agreed: Option<Keys>,
    /// Keys of component 2's own handshake. They are for SRTCP alone.
    rtcp: Option<OwnedSrtp>,
    /// Whether the peer's SRTCP verifies with `rtcp`, and ours is protected with it.
    answers_with_own: bool,
}

impl SessionKeys {
    /// Puts the keys of component 1's handshake in force. Returns whether the SRTP module took them.
    pub fn install(&mut self, instance: Instance<'_>, keys: &Keys, ssrc: u32) -> bool {
        let Some((remote, local)) = policies(keys, ssrc) else { return false };
        let installed = instance.add_srtp_policy(&remote, &local).is_ok();
        if installed {
            self.agreed = Some(keys.clone());
        }
        installed
    }

    /// Puts the keys of component 2's handshake in force. They are for SRTCP alone and live in an object of our own: the host
    /// has room for one, and that is for media. Returns whether the SRTP module took them.
    pub fn install_rtcp(&mut self, instance: Instance<'_>, keys: &Keys, ssrc: u32) -> bool {
        let Some((remote, local)) = policies(keys, ssrc) else { return false };
        // SAFETY: it is kept in `rtcp` alone, which `forget_rtcp` clears before the host frees the instance; after a panic that
        // keeps the session's end from running nobody gets at it any more but to drop it.
        let own = unsafe { OwnedSrtp::create(instance, &local) }.and_then(|own| own.add_stream(&remote).map(|()| own));
        match own {
            Ok(own) => {
                // Until a report of the peer says otherwise.
                (self.rtcp, self.answers_with_own) = (Some(own), true);
                true
            }
            Err(_) => false,
        }
    }

    /// Drops the keys of component 2's handshake.
    pub fn forget_rtcp(&mut self) {
        self.rtcp = None;
    }

    /// Whether component 1's handshake has agreed keys.
    pub fn has_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    /// Keys one more source of ours. Returns whether the SRTP module took the keys.
    pub fn add_source(&self, instance: Instance<'_>, ssrc: u32) -> bool {
        let policy = self.agreed.as_ref().and_then(|keys| outbound_policy(keys, ssrc));
        policy.zip(instance.srtp()).is_some_and(|(policy, srtp)| srtp.add_stream(&policy).is_ok())
    }

    /// Tells SRTP that a source of ours has another SSRC.
    pub fn change_source(&self, instance: Option<Instance<'_>>, old: u32, new: u32) {
        if let Some(srtp) = instance.and_then(|instance| instance.srtp()) {
            // Fails where the policy is for any SSRC, which then needs no change.
            let _ = srtp.change_source(old, new);
        }
        if let Some(own) = &self.rtcp {
            let _ = own.borrow().change_source(old, new);
        }
    }

    /// Protects a packet and hands the result to `send`. `on_own_component` says that it is a report for component 2. Returns
    /// whether it was sent.
    pub fn protect(
        &self,
        instance: Option<Instance<'_>>,
        which: Which,
        on_own_component: bool,
        packet: &mut [u8],
        send: impl FnOnce(&[u8]) -> bool,
    ) -> bool {
        let own = self.rtcp.as_ref().filter(|_| on_own_component && self.answers_with_own);
        let protected = match own {
            Some(own) => own.borrow().protect(packet, which, send),
            None => match instance.and_then(|instance| instance.srtp()) {
                Some(srtp) => srtp.protect(packet, which, send),
                None => return false,
            },
        };
        protected.unwrap_or(false)
    }

    /// Decrypts a packet of media in place. Returns its new length.
    pub fn unprotect_media(&self, instance: Option<Instance<'_>>, datagram: &mut [u8]) -> Result<usize, Refused> {
        unprotect(instance, datagram, Which::Rtp)
    }

    /// Decrypts a report in place. Returns its new length.
    ///
    /// Chrome keys SRTCP of component 2 from the RTP component's handshake, Firefox from its own: the keys that verify are also
    /// the ones that we answer with. On component 1 there is nothing to choose.
    pub fn unprotect_report(
        &mut self,
        instance: Option<Instance<'_>>,
        on_own_component: bool,
        datagram: &mut [u8],
    ) -> Result<usize, Refused> {
        if !on_own_component || self.rtcp.is_none() {
            return unprotect(instance, datagram, Which::Rtcp);
        }
        let mut original = [0; LONGEST_SRTCP];
        let original = original.get_mut(..datagram.len()).ok_or(Refused::Malformed)?;
        original.copy_from_slice(datagram);
        let own_first = self.answers_with_own;
        for own in [own_first, !own_first] {
            datagram.copy_from_slice(original);
            let plain = match self.rtcp.as_ref().filter(|_| own) {
                Some(keys) => keys.borrow().unprotect(datagram, Which::Rtcp).map_err(|_| Refused::Srtp),
                None => unprotect(instance, datagram, Which::Rtcp),
            };
            if plain.is_ok() {
                self.answers_with_own = own;
                return plain;
            }
        }
        Err(Refused::Srtp)
    }
}

fn unprotect(instance: Option<Instance<'_>>, datagram: &mut [u8], which: Which) -> Result<usize, Refused> {
    let srtp = instance.and_then(|instance| instance.srtp()).ok_or(Refused::NoKeys)?;
    srtp.unprotect(datagram, which).map_err(|_| Refused::Srtp)
}

/// Makes the policies of both directions: the peer's first, then ours for the source `ssrc`.
fn policies(keys: &Keys, ssrc: u32) -> Option<(SrtpPolicy, SrtpPolicy)> {
    Some((policy(keys.profile, &keys.remote, PolicySsrc::AnyInbound)?, outbound_policy(keys, ssrc)?))
}

fn outbound_policy(keys: &Keys, ssrc: u32) -> Option<SrtpPolicy> {
    policy(keys.profile, &keys.local, PolicySsrc::Specific(ssrc))
}

fn policy(profile: Profile, master: &MasterKey, ssrc: PolicySsrc) -> Option<SrtpPolicy> {
    let suite = match profile {
        Profile::Aes128CmSha1_80 => Suite::AesCm128HmacSha1_80,
        Profile::Aes128CmSha1_32 => Suite::AesCm128HmacSha1_32,
        _ => return None,
    };
    SrtpPolicy::new(suite, &master.key, &master.salt, ssrc).ok()
}
