//! The intentions of sources or destinations, not compiled. One right opens the whole answer.
//!
//! [`IntentionsTo`](super::IntentionsTo) has the compiled intentions for calls to one service.

use std::borrow::Cow;

use concord_rpc::request::{MatchIntentions, Matched};
use concord_rpc::{Caller, Consistency};

use crate::cache::weight::intention_bytes;
use crate::cache::{Cached, Shared};

impl Cached for MatchIntentions {
    type Request = Self;
    type Kept = Matched;
    const SHARED: Shared = Shared::WhoMayAsk;
    const CONSISTENCY: Consistency = Consistency::Default;

    fn request(&self) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }

    fn keep(&self, matched: Matched) -> Matched {
        matched
    }

    fn bytes(matched: &Matched) -> usize {
        matched.entries().map(intention_bytes).sum()
    }

    fn less_for(&self, _: &Matched, _: &Caller) -> Option<Matched> {
        None
    }
}
