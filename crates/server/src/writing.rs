//! Writes: what a request that was authorised may look at and write.

use concord_rpc::{Caller, Head, Need, RpcError};
use concord_runtime::{Scope, World};
use tokio::sync::MutexGuard;

use crate::config::ServerConfig;
use crate::log::Log;
use crate::parts::Core;

/// What a write may use. Its caller has what the request needs before anything is read.
#[derive(Clone, Copy)]
pub(crate) struct Writing<'a> {
    /// Who writes, by the rights of when it began.
    pub(crate) caller: &'a Caller,
    /// What is looked at, and what is written.
    pub(crate) log: &'a Log,
    /// How the server is set up.
    pub(crate) config: &'a ServerConfig,
    core: &'a Core,
}

impl<'a> Writing<'a> {
    /// The caller's turn with what has this name, and the caller by the rights of now: whoever has waited may have
    /// lost some.
    pub(crate) async fn turn(&self, name: &str) -> Result<(MutexGuard<'a, ()>, Caller), RpcError> {
        let turn = self.core.turns.take(name).await;
        Ok((turn, self.core.caller(self.caller.token.as_ref())?))
    }

    /// The certificate authority of this server.
    pub(crate) fn authority(&self) -> &'a Core {
        self.core
    }

    /// The ports to the world.
    pub(crate) fn world(&self) -> &'a World {
        &self.core.world
    }

    /// Owns what is done in the background for this write.
    pub(crate) fn scope(&self) -> &'a Scope {
        &self.core.scope
    }
}

impl Core {
    /// Resolves the caller of a write on the newest view and checks what the request needs.
    pub(crate) async fn authorise(&self, head: &Head, need: &Need) -> Result<Caller, RpcError> {
        let caller = self.log.leased(|| self.caller(head.token.as_ref())).await?;
        caller.meet(need)?;
        Ok(caller)
    }

    /// What a write by this caller may use.
    pub(crate) fn writing<'a>(&'a self, caller: &'a Caller) -> Writing<'a> {
        Writing { caller, log: &self.log, config: &self.config, core: self }
    }

    /// The caller behind a secret, as of now.
    fn caller(&self, secret: Option<&concord_model::Secret>) -> Result<Caller, RpcError> {
        self.resolver.resolve(&mut self.log.view().read(), secret, self.log.now())
    }
}
