//! Collects the state of ICE and DTLS for `rtp show sessions`.

use ::ice::Component;
use dtls_srtp::Phase;

use super::Transport;
use crate::diagnosis::verdict::{ShownDtls, ShownIce};

/// Most candidate pairs that are shown per session.
const MOST_PAIRS: usize = 16;

impl Transport {
    /// Returns the state of ICE; `None` if ICE is off or the host stopped it.
    pub fn shown_ice(&self) -> Option<ShownIce> {
        let ice = self.ice.as_ref()?;
        let agent = ice.agent();
        let pairs: Vec<_> = agent.pairs().collect();
        let counters = agent.counters();
        Some(ShownIce {
            active: ice.is_active(),
            role: format!("{:?}", agent.role()).to_lowercase(),
            selected: agent.selected(Component::Rtp).map(|path| format!("{} to {}", path.local, path.remote)),
            failed: pairs.iter().filter(|(_, state)| matches!(state, ::ice::PairState::Failed)).count(),
            pairs: pairs.iter().take(MOST_PAIRS).map(|(path, state)| pair_line(path, *state)).collect(),
            remote_candidates: agent.remote_candidates().len(),
            has_all_candidates: ice.has_all_candidates(),
            ignored_candidates: ice.ignored_candidates(),
            unanswered_names: ice.unanswered_names(),
            requests: counters.requests,
            responses: counters.responses,
            bad_integrity: counters.bad_integrity,
        })
    }

    /// Returns the state of DTLS; `None` if DTLS is not configured.
    pub fn shown_dtls(&self) -> Option<ShownDtls> {
        let dtls = self.dtls.as_ref()?;
        let (role, progress) = (dtls.setup().description(), dtls.progress());
        Some(ShownDtls { role, progress, failed: dtls.phase() == Phase::Failed })
    }
}

fn pair_line(path: &::ice::Path, state: ::ice::PairState) -> String {
    format!("component {}: {} to {} {state:?}", path.component.id(), path.local, path.remote)
}
