//! Where a registration was made, and whether the catalog has it.

/// Where a registration was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// Over the API; stored on disk.
    Api,
    /// In configuration files; read at each start.
    File,
}

/// Whether the catalog has a record.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Mark {
    /// The record has to be sent.
    #[default]
    Pending,
    /// The catalog has it.
    Synced,
    /// The catalog refused it; it is sent again at the next full comparison.
    Blocked,
}
