//! The leader's lease: how long a leader may answer reads without asking the others.
//!
//! A voter that answers a message of its leader grants no other server a vote for `election_max` from then on. This
//! is the engine's rule; [`VotesHeld`] keeps it across a restart of the voter. So if a majority answered a message
//! that the leader sent at `t`, no other server leads before `t + lease`. This holds unless a voter's clock runs so
//! fast that its `election_max` is shorter than the leader's `lease`.
//!
//! The rule has two exceptions, which this module tracks: a leader that transfers its leadership asks for a vote in
//! spite of the rule, and a sole voter that promotes another one is no longer a majority by itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use concord_runtime::Instant;
use openraft::{RaftMetrics, ServerState};

use crate::engine::TypeConfig;

/// Actions of this process after which a lease is no longer valid.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    /// The last term in which this server was asked to transfer its leadership.
    handed_over: AtomicU64,
    /// Whether it ever gave a vote to another server.
    promoted: AtomicBool,
}

/// A voter that has just started may earlier have promised its leader not to vote. It grants no vote until that
/// promise would have ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VotesHeld {
    until: Option<Instant>,
}

// === impl Lease ===

impl Lease {
    /// Must be called before the engine is asked to transfer the leadership.
    pub(crate) fn hand_over(&self, term: u64) {
        self.handed_over.fetch_max(term, Ordering::SeqCst);
    }

    /// Must be called before the engine is asked to promote a server.
    pub(crate) fn promote(&self) {
        self.promoted.store(true, Ordering::SeqCst);
    }

    /// The term in which this server leads and no other server can lead, if that is so now. It has applied everything
    /// that was committed before that term.
    pub(crate) fn term(
        &self,
        metrics: &RaftMetrics<TypeConfig>,
        lease: Duration,
        now: Instant,
    ) -> Option<u64> {
        let term = metrics.current_term;
        let leads = metrics.state == ServerState::Leader && metrics.running_state.is_ok();
        // The first entry of a term comes after everything that was committed before.
        let caught_up = metrics.last_applied.is_some_and(|last| last.committed_leader_id().term == term);
        if !leads || !caught_up || self.handed_over.load(Ordering::SeqCst) >= term {
            return None;
        }
        let alone = metrics.membership_config.membership().voter_ids().eq([metrics.id]);
        let acknowledged = metrics.last_quorum_acked.map(|at| at.into_inner().0);
        let word = (alone && !self.promoted.load(Ordering::SeqCst))
            || acknowledged.is_some_and(|at| now < at + lease);
        word.then_some(term)
    }
}

// === impl VotesHeld ===

impl VotesHeld {
    /// `voted` says whether a log or a vote existed at the start. A server without either has promised nothing.
    pub(crate) fn new(voted: bool, now: Instant, promise: Duration) -> Self {
        Self { until: voted.then(|| now + promise) }
    }

    pub(crate) fn holds(self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use openraft::{LogId, Membership};

    use super::*;
    use crate::engine::{EngineInstant, Node, StoredMembership};

    const LEASE: Duration = Duration::from_secs(1);

    /// The leader of three servers in term 4, confirmed by a majority at the epoch.
    fn leader() -> RaftMetrics<TypeConfig> {
        let mut metrics = RaftMetrics::new_initial(1);
        let nodes: BTreeMap<u64, Node> = (1..=3).map(|id| (id, Node::default())).collect();
        let members = Membership::new(vec![nodes.keys().copied().collect()], nodes).expect("a membership");
        metrics.membership_config = std::sync::Arc::new(StoredMembership::new(None, members));
        metrics.state = ServerState::Leader;
        metrics.current_term = 4;
        metrics.last_applied = Some(LogId::new_term_index(4, 9));
        metrics.last_quorum_acked = Some(EngineInstant(Instant::from_epoch(Duration::ZERO)).into());
        metrics
    }

    #[track_caller]
    fn check(lease: &Lease, after: Duration, change: impl FnOnce(&mut RaftMetrics<TypeConfig>), holds: bool) {
        let mut metrics = leader();
        change(&mut metrics);
        assert_eq!(lease.term(&metrics, LEASE, Instant::from_epoch(after)), holds.then_some(4));
    }

    #[test]
    fn a_lease_rests_on_the_word_of_a_majority() {
        let (lease, early) = (Lease::default(), Duration::from_millis(999));
        check(&lease, early, |_| {}, true);
        check(&lease, LEASE, |_| {}, false);
        check(&lease, early, |metrics| metrics.last_quorum_acked = None, false);
        check(&lease, early, |metrics| metrics.state = ServerState::Follower, false);
        // It is elected again: entries that another leader committed in between may not be applied yet.
        check(&lease, early, |metrics| metrics.last_applied = Some(LogId::new_term_index(3, 9)), false);
        lease.hand_over(3);
        check(&lease, early, |_| {}, true);
        lease.hand_over(4);
        check(&lease, early, |_| {}, false);
    }

    #[test]
    fn a_sole_voter_is_its_own_majority_until_it_gives_votes_away() {
        let alone = |metrics: &mut RaftMetrics<TypeConfig>| {
            let members = Membership::new(vec![[1].into()], BTreeMap::from([(1, Node::default())]));
            let members = members.expect("a membership");
            metrics.membership_config = std::sync::Arc::new(StoredMembership::new(None, members));
            metrics.last_quorum_acked = None;
        };
        let lease = Lease::default();
        check(&lease, LEASE * 1000, alone, true);
        lease.promote();
        check(&lease, LEASE * 1000, alone, false);
    }

    #[test]
    fn votes_are_held_for_as_long_as_a_promise_may_last() {
        let at = |millis| Instant::from_epoch(Duration::from_millis(millis));
        let held = VotesHeld::new(true, at(0), LEASE);
        assert!(held.holds(at(999)) && !held.holds(at(1000)));
        assert!(!VotesHeld::new(false, at(0), LEASE).holds(at(0)));
    }
}
