//! Writes primary rows and keeps the derived tables with them. Every write of a record goes
//! through here, so that no query can see it in one arrangement and miss it in another.
//!
//! What may be written is decided in `apply`; here it is carried out. Restoring a snapshot comes
//! the same way.

pub(crate) mod acl;
pub(crate) mod catalog;
pub(crate) mod entry;
