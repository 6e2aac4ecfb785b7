//! Implements the host's ICE table (`ast_rtp_engine_ice`) for a session.

use asterisk::rtp::{Candidate, CandidateKind, HOST_NEGOTIATES_MUX, Ice, Instance, Role};
use ice::{Component, Signalled};

use crate::clock;
use crate::session::Session;
use crate::state::State;
use crate::transport::ice::IceSide;

impl Ice for Session {
    fn set_authentication(&self, _instance: Instance<'_>, ufrag: Option<&str>, password: Option<&str>) {
        self.with_description(|ice| ice.set_authentication(ufrag, password));
    }

    fn add_remote_candidate(&self, _instance: Instance<'_>, candidate: &Candidate) {
        let Some(candidate) = from_host(candidate) else { return };
        self.with_description(|ice| ice.add_remote_candidate(clock::now(), Signalled::uncarried(candidate)));
    }

    fn start(&self, _instance: Instance<'_>) {
        let now = clock::now();
        self.with_at(now, |state| {
            if state.transport().ice().is_none() {
                return;
            }
            if state.transport_mut().start_ice(now) {
                self.begin_watching(state, now);
            }
            state.drive(now);
        });
    }

    fn stop(&self, _instance: Instance<'_>) {
        self.with(|state| state.transport_mut().turn_ice_off(clock::now()));
    }

    fn ufrag(&self, _instance: Instance<'_>) -> Option<String> {
        self.describe(|agent| agent.local_credentials().ufrag.clone())
    }

    /// Returns our ICE password. A host that prints it at the end of an SDP line, and knows neither rtcp-mux nor `a=ssrc`, gets the
    /// lines of [`State::lines_behind_password`] with it.
    fn password(&self, _instance: Instance<'_>) -> Option<String> {
        let password = self.describe(|agent| agent.local_credentials().password.clone())?;
        if HOST_NEGOTIATES_MUX {
            return Some(password);
        }
        Some(password + &self.with(State::lines_behind_password)?)
    }

    /// Returns our candidates, without those that ride behind the password.
    fn local_candidates(&self, _instance: Instance<'_>) -> Option<Vec<Candidate>> {
        self.describe(|_| ())?;
        self.take_relay();
        let offered = self.with(|state| state.transport().offered_candidates())?;
        let prints_itself = self.with(|state| state.prints_ipv6_itself())?;
        let by_host = offered.iter().filter(|candidate| !prints_itself || candidate.addr.is_ipv4());
        Some(by_host.map(to_host).collect())
    }

    fn set_lite(&self, _instance: Instance<'_>) {
        self.with_ice(IceSide::set_remote_lite);
    }

    fn set_role(&self, _instance: Instance<'_>, role: Role) {
        let role = match role {
            Role::Controlling => ice::Role::Controlling,
            Role::Controlled => ice::Role::Controlled,
        };
        self.with_ice(|ice| ice.set_role(role));
    }
}

impl Session {
    /// Runs `run` with the ICE side locked. Returns `None` when the session does not use ICE.
    fn with_ice<R>(&self, run: impl FnOnce(&mut IceSide) -> R) -> Option<R> {
        self.with(|state| state.transport_mut().ice_mut().map(run)).flatten()
    }

    /// Like [`Self::with_ice`], for a line of the peer's description.
    fn with_description(&self, run: impl FnOnce(&mut IceSide)) {
        self.with(|state| state.transport_mut().ice_of_description().map(run));
    }

    /// Reads part of our description for the SDP that the host is printing. Joins a restart by the peer first.
    fn describe<R>(&self, of: impl FnOnce(&ice::Agent) -> R) -> Option<R> {
        self.with_ice(|ice| {
            ice.describe(clock::now());
            of(ice.agent())
        })
    }
}

fn from_host(candidate: &Candidate) -> Option<ice::Candidate> {
    if !candidate.transport.eq_ignore_ascii_case("udp") {
        return None;
    }
    Some(ice::Candidate {
        foundation: candidate.foundation.clone(),
        component: Component::from_id(u16::try_from(candidate.component).ok()?)?,
        priority: candidate.priority,
        addr: candidate.address,
        kind: match candidate.kind {
            CandidateKind::Host => ice::CandidateKind::Host,
            CandidateKind::ServerReflexive => ice::CandidateKind::ServerReflexive,
            CandidateKind::Relayed => ice::CandidateKind::Relayed,
        },
        related: candidate.related,
    })
}

/// Converts a candidate of the agent's to the host's.
pub fn to_host(candidate: &ice::Candidate) -> Candidate {
    Candidate {
        foundation: candidate.foundation.clone(),
        component: candidate.component.id().into(),
        transport: "UDP".to_owned(),
        priority: candidate.priority,
        address: candidate.addr,
        related: candidate.related,
        kind: match candidate.kind {
            ice::CandidateKind::ServerReflexive | ice::CandidateKind::PeerReflexive => CandidateKind::ServerReflexive,
            ice::CandidateKind::Relayed => CandidateKind::Relayed,
            ice::CandidateKind::Host => CandidateKind::Host,
        },
    }
}
