//! Reads a view and records what is read.
//!
//! Every query is a method of [`Reader`], in the file of its subject. It returns shared rows and records the rows or
//! classes that its answer depends on, even if they do not exist. [`Reader::finish`] returns what to wait for, and
//! the index of the answer. Nothing here authorises: the caller filters rows before it returns them to a client.

mod acl;
mod acl_changes;
mod ca;
mod catalog;
mod entry;
mod gateway;
mod reader;

pub use self::entry::covering;
pub use self::reader::Reader;

use concord_model::Uuid;

use crate::apply::cluster;
use crate::keys;

impl Reader {
    /// The cluster id, once there is one.
    pub fn cluster_id(&mut self) -> Option<Uuid> {
        self.row(keys::cluster_id::row()).map(|id| *id)
    }

    /// Number of the rule set in force.
    pub fn rule_set(&mut self) -> u32 {
        self.row(keys::rule_set::row()).map_or(cluster::FIRST_RULE_SET, |rules| *rules)
    }
}
