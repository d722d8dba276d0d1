//! Writes primary rows together with the derived tables. Every write of a record goes through this module, so that no
//! query can find a record in one table and miss it in another.
//!
//! `apply` decides what may be written; this module only writes it. Restoring a snapshot uses the same functions.

pub(crate) mod acl;
pub(crate) mod address;
pub(crate) mod catalog;
pub(crate) mod entry;
