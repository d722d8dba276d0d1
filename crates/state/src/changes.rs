//! What a command changed and what a query read. Comparing the two decides which waiting queries are woken.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use concord_model::Timestamp;

use crate::table::Commit;
use crate::table::WatchKey;
use crate::view::View;

/// All rows and classes of rows that a command changed.
#[derive(Clone)]
pub struct Changes {
    index: u64,
    keys: Arc<BTreeSet<WatchKey>>,
}

impl Changes {
    pub(crate) fn new(commit: Commit) -> Self {
        Self { index: commit.index, keys: Arc::new(commit.keys) }
    }

    /// Index of the command.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The changed rows, and every registered class that contains them. A query that waits for any other key need not
    /// be woken.
    pub fn iter(&self) -> impl Iterator<Item = &WatchKey> {
        self.keys.iter()
    }

    /// Whether that row or class changed.
    pub fn contains(&self, key: &WatchKey) -> bool {
        self.keys.contains(key)
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Changes at {} ", self.index)?;
        f.debug_set().entries(self.keys.iter()).finish()
    }
}

/// The rows and classes that a query read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReadSet {
    pub(crate) keys: BTreeSet<WatchKey>,
    pub(crate) index: u64,
    pub(crate) epoch: u64,
    pub(crate) valid_until: Option<Timestamp>,
}

impl ReadSet {
    /// The index of the answer: that of the last change of anything it read, at least 1. Within one
    /// [`ReadSet::epoch`] it never decreases for the same query.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How often the state had been replaced by a snapshot when the query ran.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// When the answer changes without a command, because a token expires. `None`: never.
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.valid_until
    }

    /// The rows and classes read; register these keys with a watch hub.
    pub fn keys(&self) -> impl Iterator<Item = &WatchKey> {
        self.keys.iter()
    }

    /// Whether these changes can change the answer. If not, the answer stays the same.
    pub fn touched_by(&self, changes: &Changes) -> bool {
        let (few, many) = if self.keys.len() <= changes.keys.len() {
            (&self.keys, &*changes.keys)
        } else {
            (&*changes.keys, &self.keys)
        };
        few.iter().any(|key| many.contains(key))
    }

    /// Whether nothing that was read differs in this later view.
    pub fn holds_in(&self, view: &View) -> bool {
        let unchanged = |key: &WatchKey| view.tables.table(key.table).changed_at(&key.key) <= self.index;
        self.epoch == view.epoch() && self.keys.iter().all(unchanged)
    }

    /// Adds the rows and classes that another part of the same query read.
    pub fn merge(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.index = self.index.max(other.index);
        self.epoch = self.epoch.max(other.epoch);
        self.valid_until = match (self.valid_until, other.valid_until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}
