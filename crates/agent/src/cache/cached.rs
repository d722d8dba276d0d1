//! What can be cached says so itself.
//!
//! A question is a type with an `impl Cached` in a file of its own here. Nothing else in the cache
//! knows which questions there are.

use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use concord_rpc::{Caller, Consistency, Need, Request};

/// A question to the servers whose answer the agent keeps.
pub trait Cached: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// The request it is asked with. The right that the request needs is asked of every reader.
    type Request: Request;
    /// The answer as it is kept and given out.
    type Kept: Debug + Send + Sync + 'static;
    /// Who shares one answer.
    const SHARED: Shared;
    /// Who may answer: any server where Consul lets any.
    const CONSISTENCY: Consistency;

    /// The request it is asked with.
    fn request(&self) -> Cow<'_, Self::Request>;

    /// Makes a reply into what is kept.
    fn keep(&self, reply: <Self::Request as Request>::Reply) -> Self::Kept;

    /// Roughly what an answer occupies; counted, not measured.
    fn bytes(kept: &Self::Kept) -> usize;

    /// What a caller is shown of an answer if that is less than all of it.
    fn less_for(&self, kept: &Self::Kept, caller: &Caller) -> Option<Self::Kept>;
}

/// Who shares one answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shared {
    /// All who have the right that the request needs. They are shown all of it.
    WhoMayAsk,
    /// Those with exactly the same rights. Servers leave out what these rights do not open.
    SameRights,
}

/// The right that is asked of every reader before anything is looked at.
pub(crate) fn need<C: Cached>(question: &C) -> Need {
    question.request().need()
}

/// Whether all who have the right in question share one answer. Never where servers leave things out by
/// rights, whatever the question says.
pub(crate) fn is_shared<C: Cached>(need: &Need) -> bool {
    match need {
        Need::Open | Need::Right(_) | Need::All(_) => C::SHARED == Shared::WhoMayAsk,
        Need::Filtered | Need::CheckedAt(_) | Need::OwnToken => false,
    }
}

/// Whether it is asked without a token, because everybody may know the whole answer.
pub(super) fn is_public<C: Cached>(need: &Need) -> bool {
    *need == Need::Open && is_shared::<C>(need)
}

/// What of an answer a caller is shown, and whether that is less.
pub(crate) fn shown<C: Cached>(question: &C, kept: Arc<C::Kept>, caller: &Caller) -> (Arc<C::Kept>, bool) {
    match question.less_for(&kept, caller) {
        None => (kept, false),
        Some(less) => (Arc::new(less), true),
    }
}

/// The rows a caller sees if there are others.
pub(super) fn fewer<T: Clone>(rows: &[T], sees: impl Fn(&T) -> bool) -> Option<Vec<T>> {
    if rows.iter().all(&sees) {
        return None;
    }
    Some(rows.iter().filter(|row| sees(row)).cloned().collect())
}
