//! The callers of requests.

use std::sync::Arc;

use concord_model::Secret;
use concord_rpc::{Caller, RpcError};

use crate::site::Site;
use crate::tokens::Tokens;

/// Finds the caller of a request by its token.
#[derive(Clone, Debug)]
pub struct Callers {
    pub(crate) site: Site,
    pub(crate) tokens: Arc<Tokens>,
}

impl Callers {
    /// The token of a request; without one, the agent's default token.
    pub fn token_or_default(&self, token: Option<&Secret>) -> Option<Secret> {
        let own = token.filter(|token| !token.is_empty()).cloned();
        own.or_else(|| self.site.now().acl.tokens.default.clone())
    }

    /// The caller with this token; without one, the agent's default token is used.
    ///
    /// # Errors
    /// [`RpcError::TokenNotFound`] if no server knows the token.
    pub async fn resolve(&self, token: Option<&Secret>) -> Result<Caller, RpcError> {
        let token = self.token_or_default(token);
        if let Some(caller) = self.tokens.known(token.as_ref()) {
            return Ok(caller);
        }
        self.tokens.resolve(token.as_ref()).await
    }
}
