//! The known tokens: what is known about them, for how long, and how many at most.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use concord_rpc::RpcError;
use concord_runtime::Instant;

use crate::caller::{Resolved, TokenKey};
use crate::limits::{TOKENS_MAX, UNKNOWN_TOKEN_WINDOW, UNKNOWN_TOKENS_MAX};

/// The table of tokens. It holds hashes of secrets, never secrets.
#[derive(Debug)]
pub(super) struct KnownTokens {
    ttl: Duration,
    /// How often all rights were marked as outdated.
    epoch: Epoch,
    known: HashMap<TokenKey, Known>,
    unknown: HashMap<TokenKey, (Instant, RpcError)>,
}

/// A number that grows with each change of tokens or policies.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Epoch(u64);

#[derive(Debug)]
struct Known {
    resolved: Arc<Resolved>,
    index: u64,
    epoch: Epoch,
    at: Instant,
}

/// What the table knows about a token.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// Recent rights.
    Fresh(Arc<Resolved>),
    /// Rights that are older than the TTL.
    Stale(Arc<Resolved>),
    /// Rights from before a change of tokens or policies.
    Outdated(Arc<Resolved>),
    /// No server knew the token a moment ago; this was the error.
    Unknown(RpcError),
    /// Nothing is known.
    Missing,
}

impl KnownTokens {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, epoch: Epoch::default(), known: HashMap::new(), unknown: HashMap::new() }
    }

    pub(super) fn look(&self, key: &TokenKey, now: Instant) -> Look {
        if let Some(known) = self.known.get(key) {
            let resolved = Arc::clone(&known.resolved);
            if known.epoch < self.epoch {
                return Look::Outdated(resolved);
            }
            return if now - known.at < self.ttl { Look::Fresh(resolved) } else { Look::Stale(resolved) };
        }
        match self.unknown.get(key) {
            Some((at, refusal)) if now - *at < UNKNOWN_TOKEN_WINDOW => Look::Unknown(refusal.clone()),
            Some(_) | None => Look::Missing,
        }
    }

    /// The current epoch, for a question that is asked now.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Tokens or policies have changed: rights from before are not fresh any more.
    pub(super) fn outdate(&mut self) {
        self.epoch.0 += 1;
        self.unknown.clear();
    }

    /// Records rights from a state index, asked for in an epoch. Newer rights are not replaced.
    pub(super) fn learn(
        &mut self,
        key: TokenKey,
        resolved: &Arc<Resolved>,
        index: u64,
        epoch: Epoch,
        now: Instant,
    ) {
        if let Some(known) = self.known.get(&key) {
            let later = known.epoch == epoch && known.index > index && now - known.at < self.ttl;
            if later || known.epoch > epoch {
                return;
            }
        }
        self.unknown.remove(&key);
        if self.known.len() >= TOKENS_MAX && !self.known.contains_key(&key) {
            self.make_room(now);
        }
        self.known.insert(key, Known { resolved: Arc::clone(resolved), index, epoch, at: now });
    }

    /// Records that no server knows the token, asked for in an epoch.
    pub(super) fn refuse(&mut self, key: TokenKey, refusal: RpcError, epoch: Epoch, now: Instant) {
        if self.known.get(&key).is_some_and(|known| known.epoch > epoch) {
            return;
        }
        self.known.remove(&key);
        if epoch < self.epoch {
            // The token may have been created since the question was asked.
            return;
        }
        if self.unknown.len() >= UNKNOWN_TOKENS_MAX {
            self.unknown.retain(|_, (at, _)| now - *at < UNKNOWN_TOKEN_WINDOW);
        }
        if self.unknown.len() < UNKNOWN_TOKENS_MAX {
            self.unknown.insert(key, (now, refusal));
        }
    }

    fn make_room(&mut self, now: Instant) {
        let ttl = self.ttl;
        self.known.retain(|_, known| now - known.at < ttl);
        if self.known.len() >= TOKENS_MAX
            && let Some(oldest) = self.known.iter().min_by_key(|(_, known)| known.at).map(|(key, _)| *key)
        {
            self.known.remove(&oldest);
        }
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.known.len(), self.unknown.len())
    }
}

#[cfg(test)]
mod tests {
    use concord_model::intention::Action;
    use concord_model::{Secret, Uuid};
    use concord_rpc::request::ResolvedToken;

    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_epoch(Duration::from_secs(seconds))
    }

    fn key(text: &str) -> TokenKey {
        TokenKey::of(Some(&Secret::new(text.to_owned())))
    }

    fn resolved() -> Arc<Resolved> {
        let token = ResolvedToken { accessor: Uuid([1; 16]), policies: Vec::new(), expires_at: None };
        Arc::new(Resolved::build(&token, Action::Deny))
    }

    #[test]
    fn what_is_known_is_fresh_then_stale_and_never_forgotten_by_time_alone() {
        let mut table = KnownTokens::new(Duration::from_secs(30));
        table.learn(key("a"), &resolved(), 5, table.epoch(), at(0));
        assert!(matches!(table.look(&key("a"), at(29)), Look::Fresh(_)));
        assert!(matches!(table.look(&key("a"), at(30)), Look::Stale(_)));
        assert!(matches!(table.look(&key("b"), at(0)), Look::Missing));
    }

    #[test]
    fn an_unknown_token_is_refused_for_a_moment_only() {
        let mut table = KnownTokens::new(Duration::from_secs(30));
        table.learn(key("a"), &resolved(), 5, table.epoch(), at(0));
        table.refuse(key("a"), RpcError::TokenNotFound, table.epoch(), at(1));
        assert!(matches!(table.look(&key("a"), at(1)), Look::Unknown(_)));
        assert!(matches!(table.look(&key("a"), at(2)), Look::Missing));
    }

    #[test]
    fn n_29_floods_of_tokens_stay_within_bounds() {
        let mut table = KnownTokens::new(Duration::from_secs(30));
        for n in 0..100_000u32 {
            table.refuse(
                key(&n.to_string()),
                RpcError::TokenNotFound,
                table.epoch(),
                at(u64::from(n) / 50_000),
            );
        }
        assert!(table.counts().1 <= UNKNOWN_TOKENS_MAX);
        for n in 0..(TOKENS_MAX + 100) {
            table.learn(key(&n.to_string()), &resolved(), 1, table.epoch(), at(10));
        }
        assert!(table.counts().0 <= TOKENS_MAX);
    }

    #[test]
    fn an_answer_that_took_long_does_not_undo_a_later_one() {
        let mut table = KnownTokens::new(Duration::from_secs(30));
        let (old, new) = (resolved(), resolved());
        table.learn(key("a"), &new, 9, table.epoch(), at(0));
        table.learn(key("a"), &old, 5, table.epoch(), at(1));
        let Look::Fresh(known) = table.look(&key("a"), at(2)) else { panic!("known") };
        assert!(Arc::ptr_eq(&known, &new));
    }

    #[test]
    fn a_change_outdates_what_was_asked_before_it_and_nothing_that_is_asked_after() {
        let mut table = KnownTokens::new(Duration::from_secs(30));
        let before = table.epoch();
        table.learn(key("a"), &resolved(), 5, before, at(0));
        table.refuse(key("b"), RpcError::TokenNotFound, before, at(0));
        table.outdate();
        assert!(matches!(table.look(&key("a"), at(0)), Look::Outdated(_)));
        assert!(matches!(table.look(&key("b"), at(0)), Look::Missing), "it may have been made");
        // An answer that was under way during the change belongs to the epoch of its question.
        table.learn(key("a"), &resolved(), 7, before, at(0));
        assert!(matches!(table.look(&key("a"), at(0)), Look::Outdated(_)));
        table.learn(key("a"), &resolved(), 6, table.epoch(), at(0));
        assert!(matches!(table.look(&key("a"), at(0)), Look::Fresh(_)));
        table.refuse(key("a"), RpcError::TokenNotFound, before, at(0));
        assert!(matches!(table.look(&key("a"), at(0)), Look::Fresh(_)), "refused before it was made");
        table.refuse(key("c"), RpcError::TokenNotFound, before, at(0));
        assert!(matches!(table.look(&key("c"), at(0)), Look::Missing));
        table.refuse(key("a"), RpcError::TokenNotFound, table.epoch(), at(0));
        assert!(matches!(table.look(&key("a"), at(0)), Look::Unknown(_)));
    }
}
