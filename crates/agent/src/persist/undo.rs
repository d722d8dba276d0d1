//! Changes several files as a whole. The old content is written down first; it is restored if the change fails or the
//! process ends early.
//!
//! ```text
//! write the undo file ─► change the files ─► remove the undo file: done
//!                              │ failed, or found at the next start
//!                              └► put the files back ─► remove the undo file: nothing happened
//! ```

use serde::ser::Error as _;
use serde::{Deserialize, Serialize};

use super::{FORMAT, File, PersistError, Registrations, bytes, decoded};

/// The old content of the files in the current change.
const UNDO: &str = "registrations.undo";

#[derive(Deserialize, Serialize)]
struct UndoFile {
    format: u32,
    files: Vec<Before>,
}

#[derive(Deserialize, Serialize)]
struct Before {
    path: String,
    /// The bytes on disk; `None` if the file did not exist.
    content: Option<String>,
}

impl Registrations {
    /// Undoes a change that was interrupted when the process ended. It was never acknowledged.
    pub(crate) fn recover(&self) -> Result<(), PersistError> {
        let Some(raw) = self.vault.raw(UNDO)? else { return Ok(()) };
        let undo: UndoFile = decoded(UNDO, self.opened(UNDO, raw)?.0.expose())?;
        tracing::info!(files = undo.files.len(), "undoing an unfinished change of registrations");
        self.take_back(&undo)
    }

    /// Changes several files, all or none.
    pub(super) fn set_all(&self, files: &[File]) -> Result<(), PersistError> {
        let undo = UndoFile { format: FORMAT, files: self.before(files)? };
        let sealed = self.vault.seal(UNDO, &bytes(UNDO, &undo)?)?;
        self.vault.disk().write_atomic(UNDO, &sealed)?;
        let done = files.iter().try_for_each(|file| self.set(file)).and_then(|()| self.drop_file(UNDO));
        let Err(error) = done else { return Ok(()) };
        // After a failed flush nothing more is written to this disk; the next start undoes the change.
        if !error.is_fatal()
            && let Err(undo) = self.take_back(&undo)
        {
            return Err(PersistError::HalfWritten { error: Box::new(error), undo: Box::new(undo) });
        }
        Err(error)
    }

    fn take_back(&self, undo: &UndoFile) -> Result<(), PersistError> {
        // In reverse order, and only the files that differ. So this needs no more space than the change itself, and
        // works on a full disk.
        for Before { path, content } in undo.files.iter().rev() {
            let content = content.as_ref().map(|content| content.clone().into_bytes());
            if self.vault.raw(path)? != content {
                self.set(&File { path: path.clone(), content })?;
            }
        }
        self.drop_file(UNDO)
    }

    fn before(&self, files: &[File]) -> Result<Vec<Before>, PersistError> {
        let mut before = Vec::new();
        for File { path, content: _ } in files {
            let text = |content| {
                let damaged = |error| serde_json::Error::custom(error);
                String::from_utf8(content)
                    .map_err(|error| PersistError::Damaged { path: path.clone(), error: damaged(error) })
            };
            let content = self.vault.raw(path)?.map(text).transpose()?;
            before.push(Before { path: path.clone(), content });
        }
        Ok(before)
    }
}
