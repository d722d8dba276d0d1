//! Configuration entries. One right opens the whole entry.

use std::borrow::Cow;
use std::sync::Arc;

use concord_model::entry::Entry;
use concord_rpc::request::ReadEntry;
use concord_rpc::{Caller, Consistency};

use crate::cache::{Cached, Shared};

/// What an entry of the usual size takes; the largest ones are as large as a request may be.
const ENTRY_BYTES: usize = 4096;

impl Cached for ReadEntry {
    type Request = Self;
    type Kept = Option<Arc<Entry>>;
    const SHARED: Shared = Shared::WhoMayAsk;
    const CONSISTENCY: Consistency = Consistency::Stale;

    fn request(&self) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }

    fn keep(&self, entry: Option<Arc<Entry>>) -> Option<Arc<Entry>> {
        entry
    }

    fn bytes(entry: &Option<Arc<Entry>>) -> usize {
        // Entries are few and change seldom, so that writing one down to count it costs nothing that matters.
        let written = |entry: &Arc<Entry>| serde_json::to_vec(&**entry).map_or(0, |bytes| bytes.len());
        ENTRY_BYTES + 4 * entry.as_ref().map_or(0, written)
    }

    fn less_for(&self, _: &Option<Arc<Entry>>, _: &Caller) -> Option<Option<Arc<Entry>>> {
        None
    }
}
