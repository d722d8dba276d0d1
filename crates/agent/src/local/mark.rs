//! Where a registration comes from, and whether the catalog knows it.

/// Where a registration comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// Over the API; persisted.
    Api,
    /// From configuration files; read anew at each start.
    File,
}

/// Whether the catalog knows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Mark {
    /// It has to be told.
    #[default]
    Pending,
    /// It knows.
    Synced,
    /// It refused; asked again at the next full comparison.
    Blocked,
}
