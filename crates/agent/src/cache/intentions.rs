//! The intentions for one destination, and the policy compiled from them. One right opens the whole answer.

use std::borrow::Cow;
use std::sync::Arc;

use concord_mesh::intention::Policy;
use concord_model::ServiceRef;
use concord_model::intention::ServiceIntentions;
use concord_rpc::request::{MatchBy, MatchIntentions, Matched};
use concord_rpc::{Caller, Consistency};

use crate::cache::weight::intention_bytes;
use crate::cache::{Cached, Shared};

/// The intentions that can decide about calls to a service.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct IntentionsTo(pub ServiceRef);

/// The intentions for one destination, and the policy compiled from them.
#[derive(Debug)]
pub struct IntentionSet {
    /// The entries, for readers that compile them themselves.
    pub entries: Vec<Arc<ServiceIntentions>>,
    /// Compiled once, when the answer arrived.
    pub policy: Policy,
}

impl Cached for IntentionsTo {
    type Request = MatchIntentions;
    type Kept = IntentionSet;
    const SHARED: Shared = Shared::WhoMayAsk;
    const CONSISTENCY: Consistency = Consistency::Default;

    fn request(&self) -> Cow<'_, MatchIntentions> {
        Cow::Owned(MatchIntentions::of(MatchBy::Destination(self.0.clone())))
    }

    fn keep(&self, matched: Matched) -> IntentionSet {
        let policy = Policy::compile(&self.0, matched.entries());
        IntentionSet { entries: matched.into_entries().map(Arc::new).collect(), policy }
    }

    fn bytes(set: &IntentionSet) -> usize {
        set.entries.iter().map(|entry| intention_bytes(entry)).sum()
    }

    fn less_for(&self, _: &IntentionSet, _: &Caller) -> Option<IntentionSet> {
        None
    }
}
