//! The environment of a measurement.

use std::path::PathBuf;

/// The environment of a measurement.
pub(super) struct Bench<'a> {
    pub(super) root: PathBuf,
    /// A directory for the measurement's files.
    pub(super) scratch: PathBuf,
    /// The arguments after the measurement's name.
    pub(super) args: &'a [&'a str],
}
