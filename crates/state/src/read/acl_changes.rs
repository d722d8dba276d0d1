//! The query about tokens and policies as a whole: only its index is of interest.

use crate::keys;
use crate::read::Reader;
use crate::tables::TableId;

impl Reader {
    /// Notes every token and every policy as read, without looking at one.
    pub fn note_acl(&mut self) {
        self.note(TableId::Tokens, keys::all());
        self.note(TableId::Policies, keys::all());
    }
}
