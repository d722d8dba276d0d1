//! Reads a view and records what was read.
//!
//! Every query is a method of [`Reader`], in the file of its subject. A query returns shared rows
//! and records the rows or classes its answer depends on, absent ones included; [`Reader::finish`]
//! says what to wait for and which index the answer has. Nothing here authorises: whoever hands
//! rows out filters them first.

mod acl;
mod acl_changes;
mod ca;
mod catalog;
mod entry;
mod reader;

pub use self::entry::covering;
pub use self::reader::Reader;

use concord_model::Uuid;

use crate::apply::cluster;
use crate::keys;

impl Reader {
    /// The identity of the cluster, once it has one.
    pub fn cluster_id(&mut self) -> Option<Uuid> {
        self.row(keys::cluster_id::row()).map(|id| *id)
    }

    /// Number of the rules commands are applied by.
    pub fn rule_set(&mut self) -> u32 {
        self.row(keys::rule_set::row()).map_or(cluster::FIRST_RULE_SET, |rules| *rules)
    }
}
