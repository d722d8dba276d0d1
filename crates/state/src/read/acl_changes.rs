//! The query about tokens and policies as a whole: only its index is of interest.

use crate::keys::{self, Class};
use crate::read::Reader;

impl Reader {
    /// Notes every token and every policy as read, without looking at one.
    pub fn note_acl(&mut self) {
        self.note(Class::<keys::tokens::Rows>::all());
        self.note(Class::<keys::policies::Rows>::all());
    }
}
