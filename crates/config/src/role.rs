//! What the program runs.

/// What an agent is besides an agent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Role {
    /// A server.
    Server {
        /// Whether it may form a new cluster alone.
        bootstrap: bool,
    },
    /// Nothing: it asks the servers.
    #[default]
    Client,
}

impl Role {
    /// Whether it is a server.
    pub fn is_server(self) -> bool {
        matches!(self, Self::Server { .. })
    }

    /// Whether it may form a new cluster alone.
    pub fn may_bootstrap(self) -> bool {
        self == Self::Server { bootstrap: true }
    }
}
