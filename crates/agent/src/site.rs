//! Where the agent runs: its settings, the world around it, and the scope of its tasks.

use std::sync::Arc;
use std::time::Duration;

use concord_config::section::QuerySection;
use concord_model::Secret;
use concord_rpc::Caller;
use concord_runtime::{Instant, Scope, World};
use tokio::sync::watch;

use crate::config::AgentConfig;

/// What all parts of the agent may use: it reads settings and the clock, and starts tasks.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The settings of the start.
    pub(crate) config: Arc<AgentConfig>,
    /// The settings in force.
    current: watch::Receiver<Arc<AgentConfig>>,
    pub(crate) world: World,
    pub(crate) scope: Scope,
}

/// Changes the settings in force: tokens, metadata, and what the agent reports about itself.
#[derive(Clone, Debug)]
pub(crate) struct InForce(watch::Sender<Arc<AgentConfig>>);

impl Site {
    pub(crate) fn new(config: AgentConfig, world: World, scope: Scope) -> (Self, InForce) {
        let config = Arc::new(config);
        let (in_force, current) = watch::channel(Arc::clone(&config));
        (Self { config, current, world, scope }, InForce(in_force))
    }

    /// The same for a part whose tasks have a scope of their own.
    pub(crate) fn child(&self, name: &'static str) -> Self {
        Self { scope: self.scope.child(name), ..self.clone() }
    }

    /// The settings with all changes since the start.
    pub(crate) fn now(&self) -> Arc<AgentConfig> {
        Arc::clone(&self.current.borrow())
    }

    /// Completes when one of these settings has changed since it last completed.
    pub(crate) async fn changed(&mut self) {
        if self.current.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The caller's token. `None` if it is the agent's default token, because that one may be replaced later.
    pub(crate) fn own_token(&self, caller: &Caller) -> Option<Secret> {
        let config = self.now();
        let default = config.acl.tokens.default.as_ref();
        let own = |token: &&Secret| default.is_none_or(|default| !default.matches(token.expose()));
        caller.token.as_ref().filter(own).cloned()
    }

    /// The end of a blocking read's wait: the requested time, at most `max_query_time`, plus up to a sixteenth at
    /// random, so that callers do not return at the same time.
    pub(crate) fn deadline(&self, wait: Option<Duration>) -> Instant {
        let QuerySection { default_query_time, max_query_time } = self.config.queries;
        let wait = wait.filter(|wait| !wait.is_zero()).unwrap_or(default_query_time).min(max_query_time);
        self.world.clock.now() + wait + self.world.entropy.jitter(wait / 16)
    }
}

impl InForce {
    /// Applies new settings from now on; the next synchronisation compares the catalog with them.
    pub(crate) fn alter(&self, change: impl FnOnce(&mut AgentConfig)) {
        self.0.send_modify(|now| change(Arc::make_mut(now)));
    }
}
