//! Agents to put load on: as a user starts them, and ready for everything.

use concord_e2e::{Agent, AgentOptions, World, eventually};

/// How an agent is run, and how figures call it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Keeps nothing.
    Dev,
    /// A server of one, with a data directory.
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

    /// Starts one and waits until its authority has a root: before that nothing is signed.
    pub(crate) fn start(self, world: &World) -> Agent {
        let options = AgentOptions { dev: self == Self::Dev, ..AgentOptions::default() };
        let agent = world.agent("n1", options);
        let http = agent.http();
        eventually("the authority has a root", || {
            let roots = http.get("/v1/agent/connect/ca/roots");
            (roots.status == 200 && roots.body.contains("\"RootCert\"")).then_some(())
        });
        agent
    }
}
