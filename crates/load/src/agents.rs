//! Starts the agents that are measured, as a user would start them.

use concord_e2e::{Agent, AgentOptions, World, eventually};

/// How an agent is run, and its name in figures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// `-dev`, without a data directory.
    Dev,
    /// A single server with a data directory.
    Kept,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Dev, Self::Kept];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "agent -dev",
            Self::Kept => "agent with -data-dir",
        }
    }

    /// Starts an agent and waits until its CA has a root. Before that it signs nothing.
    pub(crate) fn start(self, world: &World) -> Agent {
        self.start_with(world, Vec::new())
    }

    /// The same, with these settings.
    pub(crate) fn start_with(self, world: &World, hcl: Vec<String>) -> Agent {
        let options = AgentOptions { dev: self == Self::Dev, hcl, ..AgentOptions::default() };
        let agent = world.agent("n1", options);
        let http = agent.http();
        eventually("the authority has a root", || {
            let roots = http.get("/v1/agent/connect/ca/roots");
            (roots.status == 200 && roots.body.contains("\"RootCert\"")).then_some(())
        });
        agent
    }
}
