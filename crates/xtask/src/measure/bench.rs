//! What a measurement is given.

use std::path::PathBuf;

/// What a measurement is given.
pub(super) struct Bench<'a> {
    pub(super) root: PathBuf,
    /// A directory it may fill.
    pub(super) scratch: PathBuf,
    /// Arguments after the name.
    pub(super) args: &'a [&'a str],
}
