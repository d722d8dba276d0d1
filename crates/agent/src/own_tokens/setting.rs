//! Sets the agent's tokens at run time.

use std::sync::Arc;

use concord_acl::{Labelled, Level, Right};
use concord_config::section::TokensSection;
use concord_model::Secret;
use concord_rpc::{Caller, RpcError};

use super::{FILE, OwnTokens, TokenKind};
use crate::registry::not_kept;

impl OwnTokens {
    /// Uses another token from now on, or none if it is empty. If tokens are stored, the change is durable on return.
    /// Needs `agent:write` on the node.
    ///
    /// # Errors
    /// [`RpcError::AclDisabled`] while ACLs are off, because no token is used then.
    pub async fn set(
        self: &Arc<Self>,
        caller: &Caller,
        kind: TokenKind,
        token: Secret,
    ) -> Result<(), RpcError> {
        let config = &self.site.config;
        if !config.acl.enabled {
            return Err(RpcError::AclDisabled);
        }
        caller.require(&Right::named(Labelled::Agent, config.node.as_str(), Level::Write))?;
        let own = Arc::clone(self);
        // In its own task, because the caller may go away: the stored token and the token in use must stay the same.
        let task = self.site.scope.spawn("set a token", async move { own.set_now(kind, token).await });
        task.join().await.map_err(|_| RpcError::ShuttingDown)?
    }

    async fn set_now(&self, kind: TokenKind, token: Secret) -> Result<(), RpcError> {
        let _writing = self.writing.lock().await;
        let mut next = self.state.lock().clone();
        next.set.insert(kind, token);
        if let Some(vault) = self.vault.clone() {
            let content = serde_json::to_vec(&next.kept()).expect("texts only");
            let content =
                vault.seal(FILE, &content).map_err(|error| RpcError::Internal(error.to_string()))?;
            let keep = move || vault.disk().write_atomic(FILE, &content);
            let kept = self.site.scope.spawn_blocking("keep tokens", keep);
            if let Err(error) = kept.join().await.map_err(|_| RpcError::ShuttingDown)? {
                let text = format!("{FILE} in the data directory: {error}");
                if error.is_fatal() {
                    self.halt.must_end(text.clone());
                }
                return Err(not_kept(text, error.is_full()));
            }
        }
        self.put(next);
        tracing::info!(kind = kind.as_str(), "the agent's token was changed");
        Ok(())
    }

    /// Applies the tokens of a new configuration. Tokens stored on disk still win over it; other tokens that were set
    /// do not, as in Consul.
    pub async fn reload(&self, configured: TokensSection) {
        let _writing = self.writing.lock().await;
        let mut next = self.state.lock().clone();
        next.configured = configured;
        next.set.retain(|_, token| self.vault.is_some() && !token.is_empty());
        self.put(next);
    }
}
