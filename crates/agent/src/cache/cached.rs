//! The trait of questions that can be cached.
//!
//! A question is a type that implements `Cached` in its own file here. Nothing else in the cache knows which
//! questions there are.

use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use concord_rpc::{Caller, Consistency, Need, Request};

/// A question to the servers whose answer the agent keeps.
pub trait Cached: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// The request sent to the servers. Every reader needs the right that this request declares.
    type Request: Request;
    /// The form in which the answer is stored and returned.
    type Kept: Debug + Send + Sync + 'static;
    /// Which callers share one answer.
    const SHARED: Shared;
    /// Which server may answer: any one, where Consul allows that.
    const CONSISTENCY: Consistency;

    /// The request sent to the servers.
    fn request(&self) -> Cow<'_, Self::Request>;

    /// Converts a reply into the stored form.
    fn keep(&self, reply: <Self::Request as Request>::Reply) -> Self::Kept;

    /// The approximate size of an answer in bytes; computed, not measured.
    fn bytes(kept: &Self::Kept) -> usize;

    /// The part of an answer that the caller may see; `None` if it may see everything.
    fn less_for(&self, kept: &Self::Kept, caller: &Caller) -> Option<Self::Kept>;
}

/// Which callers share one answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shared {
    /// All callers with the right that the request needs. They see the whole answer.
    WhoMayAsk,
    /// Callers with exactly the same rights. The servers leave out what these rights do not cover.
    SameRights,
}

/// The right that every reader needs.
pub(crate) fn need<C: Cached>(question: &C) -> Need {
    question.request().need()
}

/// Whether all callers with this right share one answer. Never if the servers filter by rights, whatever the question
/// says.
pub(crate) fn is_shared<C: Cached>(need: &Need) -> bool {
    match need {
        Need::Open | Need::Right(_) | Need::All(_) | Need::AnyOf(_) => C::SHARED == Shared::WhoMayAsk,
        Need::Filtered | Need::CheckedAt(_) | Need::OwnToken => false,
    }
}

/// Whether the request is sent without a token, because the whole answer is public.
pub(super) fn is_public<C: Cached>(need: &Need) -> bool {
    *need == Need::Open && is_shared::<C>(need)
}

/// The part of an answer that the caller may see, and whether something was left out.
pub(crate) fn shown<C: Cached>(question: &C, kept: Arc<C::Kept>, caller: &Caller) -> (Arc<C::Kept>, bool) {
    match question.less_for(&kept, caller) {
        None => (kept, false),
        Some(less) => (Arc::new(less), true),
    }
}

/// The rows that a caller may see; `None` if it may see all of them.
pub(super) fn fewer<T: Clone>(rows: &[T], sees: impl Fn(&T) -> bool) -> Option<Vec<T>> {
    if rows.iter().all(&sees) {
        return None;
    }
    Some(rows.iter().filter(|row| sees(row)).cloned().collect())
}
