//! Writes: what an authorised request may read and write.

use concord_rpc::{Caller, Head, Need, RpcError};
use concord_runtime::{Scope, World};
use tokio::sync::MutexGuard;

use crate::ca::Authority;
use crate::config::ServerConfig;
use crate::log::Log;
use crate::parts::Core;

/// What a write may use. The caller's right is checked before this exists.
#[derive(Clone, Copy)]
pub(crate) struct Writing<'a> {
    /// The caller, with the rights at the start of the write.
    pub(crate) caller: &'a Caller,
    /// The log: gives the state to read, and takes the commands to write.
    pub(crate) log: &'a Log,
    /// The server's settings.
    pub(crate) config: &'a ServerConfig,
    core: &'a Core,
}

impl<'a> Writing<'a> {
    /// Takes the lock of this name, and resolves the caller again: the caller may have lost rights during the wait.
    pub(crate) async fn turn(&self, name: &str) -> Result<(MutexGuard<'a, ()>, Caller), RpcError> {
        let turn = self.core.turns.take(name).await;
        Ok((turn, self.core.caller(self.caller.token.as_ref())?))
    }

    /// The certificate authority of this server.
    pub(crate) fn authority(&self) -> Authority<'a> {
        let Core { ca: host, config, log, duties, world, scope, .. } = self.core;
        Authority { host, kinds: &config.ca.kinds, log, duties, world, scope }
    }

    /// The ports to the world.
    pub(crate) fn world(&self) -> &'a World {
        &self.core.world
    }

    /// The scope of background tasks that this write starts.
    pub(crate) fn scope(&self) -> &'a Scope {
        &self.core.scope
    }
}

impl Core {
    /// Resolves the caller of a write on the newest view and checks the required right.
    pub(crate) async fn authorise(&self, head: &Head, need: &Need) -> Result<Caller, RpcError> {
        let caller = self.log.leased(|| self.caller(head.token.as_ref())).await?;
        caller.meet(need)?;
        Ok(caller)
    }

    /// What a write of this caller may use.
    pub(crate) fn writing<'a>(&'a self, caller: &'a Caller) -> Writing<'a> {
        Writing { caller, log: &self.log, config: &self.config, core: self }
    }

    /// The caller with this secret, resolved now.
    fn caller(&self, secret: Option<&concord_model::Secret>) -> Result<Caller, RpcError> {
        self.resolver.resolve(&mut self.log.view().read(), secret, self.log.now())
    }
}
