//! The ready file: the bound addresses as JSON, written once everything serves.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tracing::error;

/// Writes the file atomically, so that a waiting reader never sees half of it.
pub(crate) fn write(path: &Path, bound: &Value) {
    let unfinished = path.with_extension("unfinished");
    let written = fs::write(&unfinished, bound.to_string()).and_then(|()| fs::rename(&unfinished, path));
    if let Err(failure) = written {
        error!(error = %failure, path = %path.display(), "cannot write the ready file");
    }
}
