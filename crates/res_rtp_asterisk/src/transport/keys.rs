//! The SRTP keys of a session: converts the keys of a DTLS handshake to policies for the SRTP module, and owns a second SRTP
//! object for SRTCP on component 2.

use asterisk::rtp::{Instance, OwnedSrtp, PolicySsrc, SrtpPolicy, Suite, Which};
use dtls_srtp::{Keys, MasterKey, Profile};

use super::Transport;
use crate::diagnosis::counters::Refused;

/// Longest SRTCP datagram, in octets, that is tried with both sets of keys.
const LONGEST_SRTCP: usize = 1500;

/// The protection that media and RTCP packets must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// No protection: plain RTP and RTCP.
    Plain,
    /// SRTP, with the keys of the host's instance.
    Srtp,
    /// SRTP, but the keys are not agreed yet: packets are neither sent nor accepted.
    Due,
}

impl Transport {
    /// Returns whether a DTLS handshake has agreed keys. Sources that are bundled later need them as well.
    pub fn has_agreed_keys(&self) -> bool {
        self.keys.has_agreed()
    }

    /// Installs the agreed SRTP keys for another `ssrc` that is sent over this transport. Returns whether the SRTP module accepted
    /// them.
    pub fn key_source(&self, ssrc: u32) -> bool {
        self.instance().is_some_and(|instance| self.keys.add_source(instance, ssrc))
    }
}

/// SRTP keys that the host's instance cannot store.
#[derive(Default)]
pub struct SessionKeys {
    /// The keys of component 1's handshake, needed again for sources that are bundled later.
    agreed: Option<Keys>,
    /// The keys of component 2's own handshake, for SRTCP only.
    rtcp: Option<OwnedSrtp>,
    /// Whether the peer protects its SRTCP with the keys of `rtcp`. We then do so too.
    answers_with_own: bool,
}

impl SessionKeys {
    /// Installs the keys of component 1's handshake, for the peer's streams and for our `ssrc`. Returns whether the SRTP module
    /// accepted them.
    pub fn install(&mut self, instance: Instance<'_>, keys: &Keys, ssrc: u32) -> bool {
        let Some((remote, local)) = policies(keys, ssrc) else { return false };
        let installed = instance.add_srtp_policy(&remote, &local).is_ok();
        if installed {
            self.agreed = Some(keys.clone());
        }
        installed
    }

    /// Installs the keys of component 2's handshake, for SRTCP only. They get an SRTP object of our own, because the host's
    /// instance stores only one, which is for media. Returns whether the SRTP module accepted them.
    pub fn install_rtcp(&mut self, instance: Instance<'_>, keys: &Keys, ssrc: u32) -> bool {
        let Some((remote, local)) = policies(keys, ssrc) else { return false };
        // SAFETY: the object is stored in `rtcp` only, and `forget_rtcp` drops it before the host frees the instance. If a panic
        // prevents that, the poisoned lock keeps every thread from using the object again, except to drop it.
        let own = unsafe { OwnedSrtp::create(instance, &local) }.and_then(|own| own.add_stream(&remote).map(|()| own));
        match own {
            Ok(own) => {
                // Assumed until a report of the peer verifies with the other keys.
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

    /// Returns whether component 1's handshake has agreed keys.
    pub fn has_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    /// Installs the agreed keys for another SSRC of ours. Returns false without agreed keys, or when the SRTP module refuses them.
    pub fn add_source(&self, instance: Instance<'_>, ssrc: u32) -> bool {
        let policy = self.agreed.as_ref().and_then(|keys| outbound_policy(keys, ssrc));
        policy.zip(instance.srtp()).is_some_and(|(policy, srtp)| srtp.add_stream(&policy).is_ok())
    }

    /// Moves the SRTP policy of our SSRC `old` to `new`.
    pub fn change_source(&self, instance: Option<Instance<'_>>, old: u32, new: u32) {
        if let Some(srtp) = instance.and_then(|instance| instance.srtp()) {
            // Fails if the policy covers any SSRC; no change is needed then.
            let _ = srtp.change_source(old, new);
        }
        if let Some(own) = &self.rtcp {
            let _ = own.borrow().change_source(old, new);
        }
    }

    /// Protects a packet and passes the result to `send`. `on_own_component`: the packet is RTCP for component 2. Returns whether
    /// it was sent.
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

    /// Authenticates and decrypts a media packet in place. Returns its new length in octets.
    pub fn unprotect_media(&self, instance: Option<Instance<'_>>, datagram: &mut [u8]) -> Result<usize, Refused> {
        unprotect(instance, datagram, Which::Rtp)
    }

    /// Authenticates and decrypts an RTCP packet in place. Returns its new length in octets.
    ///
    /// Without rtcp-mux, Chrome protects SRTCP on component 2 with the keys of component 1's handshake, and Firefox with those of
    /// component 2's. Both are tried, and the keys that verify are used for our own reports as well. Component 1 has one set.
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

/// Creates the policies of both directions: the inbound one for any SSRC, then the outbound one for our `ssrc`.
pub fn policies(keys: &Keys, ssrc: u32) -> Option<(SrtpPolicy, SrtpPolicy)> {
    Some((policy(keys.profile, &keys.remote, PolicySsrc::AnyInbound)?, outbound_policy(keys, ssrc)?))
}

fn outbound_policy(keys: &Keys, ssrc: u32) -> Option<SrtpPolicy> {
    policy(keys.profile, &keys.local, PolicySsrc::Specific(ssrc))
}

fn policy(profile: Profile, master: &MasterKey, ssrc: PolicySsrc) -> Option<SrtpPolicy> {
    let suite = match profile {
        Profile::Aes128CmSha1_80 => Suite::AesCm128HmacSha1_80,
        Profile::Aes128CmSha1_32 => Suite::AesCm128HmacSha1_32,
        Profile::AeadAes128Gcm => Suite::AeadAes128Gcm,
        Profile::AeadAes256Gcm => Suite::AeadAes256Gcm,
    };
    SrtpPolicy::new(suite, &master.key, &master.salt, ssrc).ok()
}
