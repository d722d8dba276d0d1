//! The handle for everything the agent does, and the start of an agent.

use std::fmt;
use std::sync::Arc;

use concord_ca::KeyMaker;
use concord_proxycfg::Parts;
use concord_rpc::ServerApi;
use concord_runtime::{Scope, World};
use tokio::sync::Semaphore;

use crate::answers::Answers;
use crate::cache::Cache;
use crate::callers::Callers;
use crate::checks::{Checks, Maker, Runners};
use crate::config::AgentConfig;
use crate::connect::Connect;
use crate::leaves::Leaves;
use crate::limits::PROXY_STREAMS_MAX;
use crate::listing::Listing;
use crate::load::{StartError, load};
use crate::local::LocalState;
use crate::maintenance::Maintainer;
use crate::merger::Merger;
use crate::own_tokens::OwnTokens;
use crate::persist::Registrations;
use crate::persist::verdicts::Saver;
use crate::program::Program;
use crate::proxies::{Proxies, Rate};
use crate::registrar::Registrar;
use crate::registry::Registry;
use crate::reload::Reloads;
use crate::report::SelfReport;
use crate::site::Site;
use crate::sync::Synchroniser;
use crate::tokens::{PassedOn, Tokens};
use crate::vault::Vault;

/// The agent of a node: its parts, each of which does one thing. Clones are cheap and refer to the same agent.
#[derive(Clone)]
pub struct Agent {
    /// The settings of the start.
    pub config: Arc<AgentConfig>,
    /// The scope the agent's work runs in.
    pub scope: Scope,
    /// The servers, for requests that are forwarded; forward them with the caller's token. Requests that change
    /// rights must use this handle: it makes the agent forget cached rights before the answer is returned.
    pub servers: Arc<dyn ServerApi>,
    /// Finds the caller of a request.
    pub callers: Callers,
    /// Registers and deregisters services and checks.
    pub registrar: Registrar,
    /// Begins and ends maintenance.
    pub maintainer: Maintainer,
    /// Lists the local registrations.
    pub listing: Listing,
    /// Answers from the cache.
    pub answers: Answers,
    /// Answers what services without a proxy ask.
    pub connect: Connect,
    /// Streams snapshots to proxies.
    pub proxies: Proxies,
    /// Sets the agent's own tokens.
    pub own_tokens: Arc<OwnTokens>,
    /// Reports the agent itself.
    pub report: SelfReport,
    /// Applies a new configuration.
    pub reloads: Reloads,
    /// Asks the program around the agent.
    pub program: Program,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("node", &self.config.node).finish_non_exhaustive()
    }
}

impl Agent {
    /// Starts an agent. It reads the stored registrations; then it runs checks, synchronises with the catalog and
    /// serves requests until the scope ends.
    ///
    /// # Errors
    /// When registrations or definitions cannot be read; nothing runs then.
    pub fn start(
        config: AgentConfig,
        servers: Arc<dyn ServerApi>,
        keys: Arc<dyn KeyMaker>,
        world: World,
        scope: Scope,
    ) -> Result<Self, StartError> {
        let (program, halt) = Program::new(config.node.clone());
        let vault = Vault::new(&config.keks, &world);
        let (site, in_force) = Site::new(config, world.clone(), scope.clone());
        let config = Arc::clone(&site.config);
        let own_tokens = OwnTokens::load(site.clone(), in_force.clone(), &vault, halt.clone())?;
        let files = Registrations::new(vault);
        let local = LocalState::new(load(&config, &files, &world)?);
        let registry = Registry::new(local.clone(), files, site.clone(), halt.clone());

        let tokens = Arc::new(Tokens::new(site.child("tokens"), Arc::clone(&servers)));
        let servers: Arc<dyn ServerApi> = Arc::new(PassedOn::new(servers, Arc::clone(&tokens)));
        let cache = Cache::new(site.child("cache"), Arc::clone(&servers));
        let leaves = Leaves::new(site.child("leaves"), Arc::clone(&servers), keys, Arc::clone(&cache));
        let maker = Arc::new(Maker::new(&config, Arc::clone(&world.clock)));
        let runners = Arc::new(Runners::default());
        let answers = Answers { site: site.clone(), cache: Arc::clone(&cache), tokens: Arc::clone(&tokens) };
        let connect =
            Connect { site: site.clone(), answers: answers.clone(), leaves, tokens: Arc::clone(&tokens) };
        let agent = Self {
            callers: Callers { site: site.clone(), tokens: Arc::clone(&tokens) },
            registrar: Registrar { site: site.clone(), registry: registry.clone(), local: local.clone() },
            maintainer: Maintainer { site: site.clone(), registry: registry.clone(), local: local.view() },
            listing: Listing { site: site.clone(), local: local.view(), tokens: Arc::clone(&tokens) },
            proxies: Proxies {
                site: site.clone(),
                callers: Callers { site: site.clone(), tokens: Arc::clone(&tokens) },
                answers: answers.clone(),
                connect: connect.clone(),
                local: local.view(),
                runners: Arc::clone(&runners),
                servers: Arc::clone(&servers),
                streams: Arc::new(Semaphore::new(PROXY_STREAMS_MAX)),
                watches: Arc::default(),
                rate: Arc::new(Rate::new(config.xds.updates_per_second)),
                parts: Parts::default(),
            },
            report: SelfReport { site: site.clone(), local: local.view(), cache },
            reloads: Reloads {
                site: site.clone(),
                registry: registry.clone(),
                in_force,
                maker: Arc::clone(&maker),
            },
            own_tokens: Arc::new(own_tokens),
            servers: Arc::clone(&servers),
            answers,
            connect,
            program,
            config,
            scope,
        };
        tokens.begin();
        agent.scope.spawn("save verdicts", Saver { site: site.clone(), local: local.clone(), halt }.run());
        let synchroniser =
            Synchroniser { site: site.clone(), local: local.clone(), servers: Arc::clone(&servers) };
        agent.scope.spawn("synchronise", synchroniser.run());
        if agent.config.proxies.use_entries {
            let merger = Merger::new(site.clone(), local.clone(), Arc::clone(&servers));
            agent.scope.spawn("merge registrations", merger.run());
        }
        let checks = Checks { site, local, runners, maker, registry, servers };
        agent.scope.spawn("checks", checks.run());
        Ok(agent)
    }
}

#[cfg(test)]
mod tests;
