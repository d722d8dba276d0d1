//! What a change of entries means: the verdicts that it reverses, and the chains that it changes, breaks or mends.
//!
//! ```text
//!   Side (before) ─┐   Facts: who may call, who is called, whose chain may be told
//!   Side (after) ──┴─► effects ──► Effects { verdicts, chains }
//! ```
//!
//! Both sides are complete; how one became the other plays no part. So the plan of a write compares the state with
//! one in which the write was carried out on trial, and the status of an entry compares the state with one without it.
//!
//! A verdict about requests is compared for examples: requests made of what the permissions on both sides name
//! ([`examples`]). Requests that no example stands for may be judged otherwise, too.

mod chains;
mod examples;
mod facts;
mod limits;
mod lines;
mod pattern;
mod spelling;
mod verdicts;

use std::sync::Arc;

use concord_model::entry::{Entry, EntryName};
use serde::{Deserialize, Serialize};

pub(crate) use self::chains::compiled;
pub use self::chains::{ChainChange, ChainChanges, ChainState, reaching};
pub use self::examples::{Examples, examples};
pub use self::facts::{Facts, Side};
pub use self::limits::{
    CHAINS_EXAMINED_MAX, CHAINS_LISTED_MAX, EXAMPLES_MAX, FLIPS_LISTED_MAX, JUDGED_MAX, LINES_MAX, STEPS_MAX,
};
pub use self::lines::lines;
pub use self::verdicts::{Flip, Flips};

/// What a change means.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Effects {
    /// The verdicts that it reverses.
    pub verdicts: Flips,
    /// The chains that it changes.
    pub chains: ChainChanges,
}

/// What would become of the entries of a plan, if they were written in its order.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Plan {
    /// The index of the state that it was made of.
    pub index: u64,
    /// What would become of each entry, in the order of the question.
    pub steps: Vec<Step>,
    /// What the accepted ones mean together.
    pub effects: Effects,
}

/// What would become of one entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Step {
    /// The entry.
    pub name: EntryName,
    /// What would become of it.
    pub outcome: Outcome,
}

/// What would become of one entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It would be new.
    Created {
        /// The entry as it would be stored.
        after: Arc<Entry>,
    },
    /// It would say something else than it does.
    Changed {
        /// The stored entry.
        before: Arc<Entry>,
        /// The entry as it would be stored.
        after: Arc<Entry>,
    },
    /// It says the same already; nothing would be written.
    Unchanged,
    /// It would be removed.
    Removed {
        /// The stored entry.
        before: Arc<Entry>,
    },
    /// It would be removed, but does not exist.
    Absent,
    /// It would be accepted. What it is now is not for the caller to read.
    Accepted,
    /// It would be refused.
    Refused {
        /// The reason.
        reason: String,
    },
}

/// Compares two sides that differ in the `changed` entries.
pub fn effects(before: Side<'_>, after: Side<'_>, changed: &[EntryName], facts: Facts<'_>) -> Effects {
    Effects {
        verdicts: verdicts::compare(before, after, changed, facts),
        chains: chains::compare(before, after, changed, facts),
    }
}

impl Plan {
    /// How many entries would be refused.
    pub fn refused(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step.outcome, Outcome::Refused { .. })).count()
    }
}
