//! Whether RTCP shares the transport of RTP (RFC 5761), for a host that may not be able to negotiate it.
//!
//! `a=rtcp-mux` is negotiated in the session descriptions (RFC 5761 §5.1.1). A host that does so tells the outcome
//! ([`Mux::set_negotiated`]). Other hosts do not know the attribute, although it is printed along with candidates for
//! both ICE components, so whether the peer multiplexes has to be observed:
//!
//! ```text
//!   nothing observed                        reports go with RTP
//!   ICE selects a pair for component 2      reports go over component 2
//!   a report of the peer arrives            reports go the way it came, whatever was observed before
//! ```
//!
//! A peer that multiplexes has no use for component 2; one that does not nominates a pair of it, or sends its own
//! reports there. The peer's own reports have the last word.

/// The administrator's choice for peers whose descriptions do not settle it (`rtcpmux` in `rtp.conf`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// The peer's behaviour decides.
    #[default]
    Auto,
    /// RTCP shares the transport of RTP.
    Yes,
    /// RTCP has a transport of its own.
    No,
}

/// The way of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// The port or ICE component of RTP (RFC 5761 §3).
    WithRtp,
    /// A port or ICE component of their own (RFC 3550 §11).
    OwnComponent,
}

/// Decides whether the RTCP of one session shares the transport of RTP.
#[derive(Debug, Clone)]
pub struct Mux {
    policy: Policy,
    is_negotiated: bool,
    path: Knowledge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knowledge {
    /// Nothing contradicts this way yet.
    Assumed(Path),
    /// The newest report of the peer came this way.
    Proved(Path),
}

impl Mux {
    /// Creates the state of a session in which nothing has been observed.
    pub fn new(policy: Policy) -> Self {
        let path = if policy == Policy::No { Path::OwnComponent } else { Path::WithRtp };
        Self { policy, is_negotiated: false, path: Knowledge::Assumed(path) }
    }

    /// Takes in the outcome of a negotiation of `a=rtcp-mux` (RFC 5761 §5.1.1). Once it is agreed on, nothing has to be
    /// observed, and the policy does not matter.
    pub fn set_negotiated(&mut self, is_multiplexed: bool) {
        self.is_negotiated = is_multiplexed;
        if is_multiplexed {
            self.path = match self.path {
                Knowledge::Assumed(_) => Knowledge::Assumed(Path::WithRtp),
                Knowledge::Proved(_) => Knowledge::Proved(Path::WithRtp),
            };
        }
    }

    /// Notes that ICE selected a pair for RTCP's own component: the peer seems not to multiplex.
    pub fn handle_pair_selected(&mut self) {
        if self.policy() == Policy::Auto && matches!(self.path, Knowledge::Assumed(_)) {
            self.path = Knowledge::Assumed(Path::OwnComponent);
        }
    }

    /// Notes that an authentic report of the peer arrived on `path`.
    pub fn handle_report(&mut self, path: Path) {
        if self.policy() == Policy::Auto {
            self.path = Knowledge::Proved(path);
        }
    }

    /// The way of our reports.
    pub fn path(&self) -> Path {
        let (Knowledge::Assumed(path) | Knowledge::Proved(path)) = self.path;
        path
    }

    /// The policy that applies: [`Policy::Yes`] once multiplexing is negotiated, the administrator's before.
    pub fn policy(&self) -> Policy {
        if self.is_negotiated { Policy::Yes } else { self.policy }
    }

    /// Whether both descriptions agreed on multiplexing.
    pub fn is_negotiated(&self) -> bool {
        self.is_negotiated
    }

    /// Whether the peer may turn out to have RTCP on a component of its own, so that this component needs a handshake.
    pub fn may_use_own_component(&self) -> bool {
        self.policy() != Policy::Yes && self.path != Knowledge::Proved(Path::WithRtp)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rtcp_follows_rtp_until_the_peer_shows_that_it_does_not_multiplex() {
        let mut mux = Mux::new(Policy::Auto);
        assert_eq!(mux.path(), Path::WithRtp);
        mux.handle_pair_selected();
        assert_eq!(mux.path(), Path::OwnComponent);
        mux.handle_report(Path::WithRtp);
        mux.handle_pair_selected();
        assert_eq!(mux.path(), Path::WithRtp, "its own reports have the last word");
        assert!(!mux.may_use_own_component());
        mux.handle_report(Path::OwnComponent);
        assert_eq!(mux.path(), Path::OwnComponent);
    }

    #[test]
    fn rtcpmux_yes_and_no_are_not_talked_out_of_it() {
        for (policy, path, other) in
            [(Policy::Yes, Path::WithRtp, Path::OwnComponent), (Policy::No, Path::OwnComponent, Path::WithRtp)]
        {
            let mut mux = Mux::new(policy);
            mux.handle_pair_selected();
            mux.handle_report(other);
            assert_eq!(mux.path(), path);
        }
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        PairSelected,
        Report(Path),
        Negotiated(bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        let path = prop_oneof![Just(Path::WithRtp), Just(Path::OwnComponent)];
        prop_oneof![Just(Step::PairSelected), path.prop_map(Step::Report), any::<bool>().prop_map(Step::Negotiated)]
    }

    fn policy() -> impl Strategy<Value = Policy> {
        prop_oneof![Just(Policy::Auto), Just(Policy::Yes), Just(Policy::No)]
    }

    proptest! {
        #[test]
        fn what_is_negotiated_or_ruled_out_is_kept_to(policy in policy(), steps in prop::collection::vec(step(), 0..12)) {
            let mut mux = Mux::new(policy);
            for step in steps {
                match step {
                    Step::PairSelected => mux.handle_pair_selected(),
                    Step::Report(path) => mux.handle_report(path),
                    Step::Negotiated(is_multiplexed) => mux.set_negotiated(is_multiplexed),
                }
                prop_assert!(!mux.is_negotiated() || mux.path() == Path::WithRtp);
                prop_assert!(mux.may_use_own_component() || mux.path() == Path::WithRtp);
                prop_assert!(!mux.is_negotiated() || !mux.may_use_own_component());
            }
        }

        #[test]
        fn the_newest_report_decides_and_before_it_the_pair(steps in prop::collection::vec(step(), 0..12)) {
            let mut mux = Mux::new(Policy::Auto);
            let (mut pair, mut report) = (None, None);
            for step in steps {
                match step {
                    Step::PairSelected => {
                        mux.handle_pair_selected();
                        pair = Some(Path::OwnComponent);
                    }
                    Step::Report(path) => {
                        mux.handle_report(path);
                        report = Some(path);
                    }
                    Step::Negotiated(_) => {}
                }
                prop_assert_eq!(mux.path(), report.or(pair).unwrap_or(Path::WithRtp));
            }
        }
    }
}
