//! The intentions of a source or a destination, not compiled. One right opens the whole answer.
//!
//! [`IntentionsTo`](super::IntentionsTo) has the compiled intentions for calls to one service.

use std::borrow::Cow;

use concord_model::intention::ServiceIntentions;
use concord_rpc::request::MatchIntentions;
use concord_rpc::{Caller, Consistency};

use crate::cache::weight::intention_bytes;
use crate::cache::{Cached, Shared};

impl Cached for MatchIntentions {
    type Request = Self;
    type Kept = Vec<ServiceIntentions>;
    const SHARED: Shared = Shared::WhoMayAsk;
    const CONSISTENCY: Consistency = Consistency::Default;

    fn request(&self) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }

    fn keep(&self, entries: Vec<ServiceIntentions>) -> Vec<ServiceIntentions> {
        entries
    }

    fn bytes(entries: &Vec<ServiceIntentions>) -> usize {
        entries.iter().map(intention_bytes).sum()
    }

    fn less_for(&self, _: &Vec<ServiceIntentions>, _: &Caller) -> Option<Vec<ServiceIntentions>> {
        None
    }
}
